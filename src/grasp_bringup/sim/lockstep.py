"""When simulated time may go on: not before everybody who takes part has kept up (no ROS).

What makes "nothing is lost" true:

1. A consumer's heartbeat carries the simulated time that it has seen. Time goes at most `window` beyond the
   oldest one. An executor takes one message of each topic per round, and /clock is a topic with a queue
   (base_node.py): who has seen a time has taken the other messages of that time too, so no queue longer
   than `window` worth of messages builds up before a consumer.
2. A consumer of images confirms each one that it has taken, by the image's stamp. The next image is not
   published before; an image that transport lost is published again.
3. While a servo streams set points, each tick waits for the plan that was made for it (`lead` before), so
   that the arm moves as if the simulation ran at leisure. A plan that stands still ends the stream.

A consumer takes part from its first message on. One that stays silent for `patience` of wall time is let go,
with an error, so that those who wait for its death by simulated time see it die; its next message brings it
back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

PLAN = "servo plan"
EPSILON = 1e-6  # [s] stamps are whole nanoseconds, times are floats


@dataclass(frozen=True)
class LockstepConfig:
    """Who takes part and how far time may go ahead of them.

    Attributes:
        consumers: names of nodes whose heartbeats count.
        window: [s] of simulated time; more than a heartbeat's period.
        lead: [s] of simulated time between a servo's plan and its first use.
        stream_gap: a servo streams if its plans are at most so far apart [s].
        servo_patience: wall time after which a stream that broke off (the servo died) is no longer waited
            for [s]; far above what a loaded machine needs for one plan.
        patience: wall time after which a silent consumer is let go [s].
    """

    consumers: tuple[str, ...] = ()
    window: float = 0.1
    lead: float = 0.01
    stream_gap: float = 0.03
    servo_patience: float = 2.0
    patience: float = 10.0


class Lockstep:
    """Decides whether the next tick may come. All times in [s]: `stamp` simulated, `wall` steady."""

    def __init__(self, config: LockstepConfig) -> None:
        self._config = config
        self._beats: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._image = -1.0
        self._plan, self._streaming = -1.0, False
        self._since: float | None = None
        self._plan_since: float | None = None

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

    def planned(self, stamp: float, stands: bool = False) -> None:
        """Note a plan of the servo, made at the simulated time `stamp`; one that `stands` is its last."""
        self._streaming = not stands and 0.0 < stamp - self._plan <= self._config.stream_gap
        self._plan = max(stamp, self._plan)

    def untaken(self) -> tuple[str, ...]:
        """Return the nodes that have not taken the last image."""
        return tuple(name for name, stamp in self._taken.items() if stamp < self._image - EPSILON)

    def waiting_for(self, now: float, image_due: bool) -> tuple[str, ...]:
        """Return whom the tick after `now` has to wait for; empty: it may come.

        Args:
            now: simulated time reached [s].
            image_due: the tick brings an image.
        """
        late = [name for name, beat in self._beats.items() if now - beat > self._config.window - EPSILON]
        images = self.untaken() if image_due else ()
        plan = self._streaming and self._plan < now - self._config.lead - EPSILON
        return (*late, *(f"{name} (image)" for name in images), *((PLAN,) if plan else ()))

    def waited(self, names: Iterable[str], wall: float) -> tuple[str, ...]:
        """Note that the tick still waits for `names` at `wall`; return those who are let go now."""
        names = tuple(names)
        self._since = _first(self._since, wall) if names else None
        self._plan_since = _first(self._plan_since, wall) if PLAN in names else None
        if self._plan_since is not None and wall - self._plan_since > self._config.servo_patience:
            self._streaming = False
        if self._since is None or wall - self._since <= self._config.patience:
            return ()
        self._since = None
        gone = {name.removesuffix(" (image)") for name in names}
        self._beats = {name: beat for name, beat in self._beats.items() if name not in gone}
        self._taken = {name: stamp for name, stamp in self._taken.items() if name not in gone}
        return tuple(name for name in names if name != PLAN)


def _first(since: float | None, wall: float) -> float:
    return wall if since is None else since
