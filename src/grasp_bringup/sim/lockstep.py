"""When simulated time may go on: not before everybody who takes part has kept up (no ROS).

What makes "nothing is lost" true:

1. A consumer's heartbeat carries the simulated time that it has seen. Time goes at most `window` beyond the
   oldest one. An executor takes one message of each topic per round, and /clock is a topic with a queue
   (base_node.py): who has seen a time has taken the other messages of that time too, so no queue longer
   than `window` worth of messages builds up before a consumer.
2. A consumer of images confirms each one that it has taken, by the image's stamp. The next image is not
   published before; an image that transport lost is published again.
3. A servo plans from tick to tick and moves on while it is not heard: it must not fall behind at all. It
   beats at every tick in which it sends no plan (plans count as heartbeats), and time goes at most `lead`
   beyond it, which its plans cover; so the arm moves as if the simulation ran at leisure.

A consumer takes part from its first message on. One that stays silent for `patience` of wall time is let go,
with an error, so that those who wait for its death by simulated time see it die; its next message brings it
back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

IMAGE = " (image)"  # marks in `waiting_for` a consumer that has not taken the last image
EPSILON = 1e-6  # [s] stamps are whole nanoseconds, times are floats


@dataclass(frozen=True)
class LockstepConfig:
    """Who takes part and how far time may go ahead of them.

    Attributes:
        consumers: names of nodes whose heartbeats count.
        window: [s] of simulated time; more than a heartbeat's period.
        servos: those of the consumers that beat at every tick.
        lead: [s] of simulated time that a servo's plan covers beyond its own tick.
        patience: wall time after which a silent consumer is let go [s].
    """

    consumers: tuple[str, ...] = ()
    window: float = 0.1
    servos: tuple[str, ...] = ()
    lead: float = 0.01
    patience: float = 10.0


class Lockstep:
    """Decides whether the next tick may come. All times in [s]: `stamp` simulated, `wall` steady."""

    def __init__(self, config: LockstepConfig) -> None:
        self._config = config
        self._beats: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._image = -1.0
        self._since: float | None = None

    @property
    def joined(self) -> bool:
        """Whether all consumers take part."""
        return not self.missing

    @property
    def missing(self) -> tuple[str, ...]:
        """Consumers that have not been heard of, or were let go."""
        return tuple(name for name in self._config.consumers if name not in self._beats)

    def heartbeat(self, name: str, stamp: float) -> None:
        """Note that the node `name` has seen the simulated time `stamp`."""
        if name in self._config.consumers:
            self._beats[name] = stamp

    def image_taken(self, name: str, stamp: float) -> None:
        """Note that the node `name` has taken the image of that stamp."""
        if name in self._config.consumers:
            self._taken[name] = max(stamp, self._taken.get(name, stamp))

    def image_published(self, stamp: float) -> None:
        """Note that an image has been published."""
        self._image = stamp

    def planned(self, stamp: float) -> None:
        """Note a plan of a servo, made at the simulated time `stamp`."""
        for name in self._config.servos:
            if name in self._beats:
                self._beats[name] = max(stamp, self._beats[name])

    def untaken(self) -> tuple[str, ...]:
        """Return the nodes that have not taken the last image."""
        return tuple(name for name, stamp in self._taken.items() if stamp < self._image - EPSILON)

    def waiting_for(self, now: float, image_due: bool) -> tuple[str, ...]:
        """Return whom the tick after `now` has to wait for; empty: it may come.

        Args:
            now: simulated time reached [s].
            image_due: the tick brings an image.
        """
        late = [name for name, beat in self._beats.items() if now - beat > self._allowed(name)]
        images = self.untaken() if image_due else ()
        return (*late, *(f"{name}{IMAGE}" for name in images))

    def _allowed(self, name: str) -> float:
        """Return how old a consumer's heartbeat may be when the next tick comes [s]."""
        config = self._config
        return config.lead + EPSILON if name in config.servos else config.window - EPSILON

    def waited(self, names: Iterable[str], wall: float) -> tuple[str, ...]:
        """Note that the tick still waits for `names` at `wall`; return those who are let go now."""
        names = tuple(names)
        if not names:
            self._since = None
            return ()
        if self._since is None:
            self._since = wall
        if wall - self._since <= self._config.patience:
            return ()
        self._since = None
        gone = {name.removesuffix(IMAGE) for name in names}
        self._beats = {name: beat for name, beat in self._beats.items() if name not in gone}
        self._taken = {name: stamp for name, stamp in self._taken.items() if name not in gone}
        return names
