"""When to command the fingers, and whether they obeyed in time (no ROS)."""

from dataclasses import dataclass
from typing import Literal

from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import GripperConfig
from qtopt_policy.step_rule import REACTION_TIME, SETTLE_CHANGE, SETTLE_TIME

Outcome = Literal["reached", "stalled", "deadline"]

REACHED_TOLERANCE = 0.002  # [m] of aperture


@dataclass(frozen=True)
class GripperResult:
    """How a command ended.

    Attributes:
        close: what was commanded.
        outcome: the fingers rest at the commanded aperture, they rest elsewhere (on an object), or they did
            not come to rest before the deadline.
        aperture: at the end [m]; NaN if no joint state ever came.
        duration: since the command [s].
    """

    close: bool
    outcome: Outcome
    aperture: float
    duration: float

    @property
    def suspicious(self) -> bool:
        """Whether an operator should look: fingers that did not rest in time, or did not open."""
        return self.outcome == "deadline" or (self.outcome == "stalled" and not self.close)


class GripperCore:
    """Turns level-triggered wishes into commands on edges and follows each to its end."""

    def __init__(self, config: GripperConfig, deadline: float) -> None:
        if not deadline > REACTION_TIME + SETTLE_TIME:
            raise ConfigError(f"deadline {deadline} s: must be above {REACTION_TIME + SETTLE_TIME} s")
        self._config = config
        self._deadline = deadline
        self._closed: bool | None = None
        self._since: float | None = None
        self._aperture = float("nan")
        self._rest_aperture = float("nan")
        self._rest_since = 0.0
        self._seen = float("-inf")

    @property
    def closed(self) -> bool | None:
        """The last command, or None before the first."""
        return self._closed

    @property
    def aperture(self) -> float:
        """The latest measured aperture [m], NaN before the first joint state."""
        return self._aperture

    def is_edge(self, close: bool) -> bool:
        """Return whether a wish asks for something else than the last command."""
        return close != self._closed

    def position(self, close: bool) -> float:
        """Return the joint position to command [m or rad]."""
        return self._config.closed_position if close else self._config.open_position

    def commanded(self, close: bool, now: float) -> None:
        """Note that a command has gone out at `now` [s]: its deadline runs."""
        self._closed = close
        self._since = now
        self._rest_aperture, self._rest_since = self._aperture, now

    def joint_state(self, position: float, now: float) -> None:
        """Take the position of the gripper's first joint [m or rad] as it was at `now` [s]."""
        self._seen = now
        self._aperture = self._config.aperture(position)
        if not abs(self._aperture - self._rest_aperture) <= SETTLE_CHANGE:
            self._rest_aperture, self._rest_since = self._aperture, now

    def check(self, now: float) -> GripperResult | None:
        """Return the result of the running command, once, when it has ended."""
        if self._since is None or self._closed is None:
            return None
        elapsed = now - self._since
        # Judged by what was measured: joint states that come late say nothing about the time since.
        rests = self._seen - self._rest_since >= SETTLE_TIME and self._seen - self._since >= REACTION_TIME
        if not rests and elapsed < self._deadline:
            return None
        self._since = None
        return GripperResult(self._closed, self._outcome(rests), self._aperture, elapsed)

    def _outcome(self, rests: bool) -> Outcome:
        if not rests:
            return "deadline"
        assert self._closed is not None
        wanted = self._config.aperture(self.position(self._closed))
        return "reached" if abs(self._aperture - wanted) <= REACHED_TOLERANCE else "stalled"
