"""When to command the fingers, and whether they obeyed in time (no ROS)."""

import math
from dataclasses import dataclass
from typing import Literal

from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import GripperConfig
from qtopt_policy.step_rule import SETTLE_CHANGE, SETTLE_TIME

Outcome = Literal["reached", "stalled", "deadline", "refused"]

REACHED_TOLERANCE = 0.002  # [m] of aperture
RETRY_PAUSE = 1.0  # [s] before a command that an action server refused, or did not end in time, is sent again


@dataclass(frozen=True)
class ServerAnswer:
    """What an action server says of a command.

    Attributes:
        accepted: whether it took the goal.
        stalled: the fingers exert their force and do not move.
        reached: they are where they were told to go. A server may say neither: franka_gripper aborts a grasp
            of something wider than its goal without a word about why.
        effort: grip force [N] or [Nm]; None where it reports none, or zero, as many do that measure none.
        detail: status of the goal, for people.
    """

    accepted: bool
    stalled: bool = False
    reached: bool = False
    effort: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class GripperResult:
    """How a command ended.

    Attributes:
        close: what was commanded.
        outcome: the fingers rest at the commanded aperture, they rest elsewhere (on an object), they did not
            come to rest (or an action server gave no result) before the deadline, or the server refused.
        aperture: at the end [m]; NaN if no joint state ever came.
        duration: since the command [s].
        stalled: whether an action server says that they stopped before their goal; None: nobody says.
        effort: grip force that an action server reports, or None.
        detail: what the server says, for people.
        reaction: from the command to the first joint state that shows a motion [s]; None: none did.
    """

    close: bool
    outcome: Outcome
    aperture: float
    duration: float
    stalled: bool | None = None
    effort: float | None = None
    detail: str = ""
    reaction: float | None = None

    @property
    def suspicious(self) -> bool:
        """Whether an operator should look: no rest in time, no opening, or a refusal."""
        return self.outcome in ("deadline", "refused") or (self.outcome == "stalled" and not self.close)


class GripperCore:
    """Turns level-triggered wishes into commands on edges and follows each to its end.

    Args:
        config: the gripper.
        deadline: time in which the fingers must rest, or an action must have a result, after a command [s].
        reaction_time: fingers that have not moved so long after a command do not move any more [s].

    Raises:
        ConfigError: the deadline leaves no time to react and to rest.
    """

    def __init__(self, config: GripperConfig, deadline: float, reaction_time: float) -> None:
        least = reaction_time + SETTLE_TIME
        if not deadline > least:
            raise ConfigError(
                f"deadline {deadline} s: must be above {least:g} s (driver.gripper_reaction_time and a rest)"
            )
        self._config = config
        self._deadline, self._reaction_time = deadline, reaction_time
        self._closed: bool | None = None
        self._since: float | None = None
        self._served = False
        self._answer: ServerAnswer | None = None
        self._retry_at = float("-inf")
        self._reaction: float | None = None
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

    def is_edge(self, close: bool, now: float = math.inf) -> bool:
        """Return whether a wish asks for something else than the last command at `now` [s].

        A command that a server refused, or did not end in time, counts as not given, but only after
        RETRY_PAUSE.
        """
        return close != self._closed and now >= self._retry_at

    def position(self, close: bool) -> float:
        """Return the joint position to command [m or rad]."""
        return self._config.closed_position if close else self._config.open_position

    def commanded(self, close: bool, now: float, served: bool = False) -> None:
        """Note that a command has gone out at `now` [s]: its deadline runs.

        Args:
            close: what was commanded.
            now: [s].
            served: whether an action server will answer.
        """
        self._closed = close
        self._since = now
        self._served, self._answer, self._reaction = served, None, None
        self._rest_aperture, self._rest_since = self._aperture, now

    def answered(self, answer: ServerAnswer) -> None:
        """Take the action server's answer to the latest command."""
        self._answer = answer

    def joint_state(self, position: float, now: float) -> None:
        """Take the position of the gripper's first joint [m or rad] as it was at `now` [s]."""
        self._seen = now
        self._aperture = self._config.aperture(position)
        if not abs(self._aperture - self._rest_aperture) <= SETTLE_CHANGE:
            known = not math.isnan(self._rest_aperture)
            if known and self._reaction is None and self._since is not None and now >= self._since:
                self._reaction = now - self._since
            self._rest_aperture, self._rest_since = self._aperture, now

    def check(self, now: float) -> GripperResult | None:
        """Return the result of the running command, once, when it has ended."""
        if self._since is None or self._closed is None:
            return None
        outcome = self._outcome(self._closed, now)
        if outcome is None:
            return None
        answer = self._answer or ServerAnswer(accepted=True)
        result = GripperResult(
            self._closed,
            outcome,
            self._aperture,
            now - self._since,
            (answer.stalled and not answer.reached) if answer.stalled or answer.reached else None,
            answer.effort,
            answer.detail,
            self._reaction,
        )
        self._since = None
        # gripper_node cancels a goal that has missed its deadline: it may never be carried out.
        if outcome == "refused" or (outcome == "deadline" and self._served):
            self._closed, self._retry_at = None, now + RETRY_PAUSE
        return result

    def _outcome(self, closed: bool, now: float) -> Outcome | None:
        """Return how the command has ended, None while it runs."""
        assert self._since is not None
        answer = self._answer
        if answer is not None and not answer.accepted:
            return "refused"
        if answer is not None and (answer.stalled or answer.reached):
            return "reached" if answer.reached else "stalled"
        # Judged by what was measured: joint states that come late say nothing about the time since.
        begun = self._reaction is not None or self._seen - self._since >= self._reaction_time
        rests = begun and self._seen - self._rest_since >= SETTLE_TIME
        if rests and (answer is not None or not self._served):
            wanted = self._config.aperture(self.position(closed))
            return "reached" if abs(self._aperture - wanted) <= REACHED_TOLERANCE else "stalled"
        return "deadline" if now - self._since >= self._deadline else None
