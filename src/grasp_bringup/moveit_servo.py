"""What MoveIt Servo's status codes mean, and when to ask it for what (no ROS).

Servo drops every pose until it is told that poses are what it gets, and says so in its log alone. It paces
its motion by the wall clock: in a simulation at any other speed the arm's would be wrong by that factor.
"""

from dataclasses import dataclass
from typing import Literal

SERVO = "servo_node"  # name of MoveIt Servo's node
POSE = 2  # moveit_msgs/srv/ServoCommandType

Level = Literal["ok", "warn", "error"]

# moveit_msgs/msg/ServoStatus: code to name and level.
STATUS: dict[int, tuple[str, Level]] = {
    -1: ("invalid_command", "error"),
    0: ("no_warning", "ok"),
    1: ("decelerate_for_approaching_singularity", "warn"),
    2: ("halt_for_singularity", "error"),
    3: ("decelerate_for_leaving_singularity", "warn"),
    4: ("decelerate_for_collision", "warn"),
    5: ("halt_for_collision", "error"),
    6: ("joint_bound", "warn"),
}


@dataclass(frozen=True)
class Status:
    """A status as the diagnostics have it."""

    name: str
    level: Level
    code: int
    text: str


def status_of(code: int, text: str) -> Status:
    """Return what a code means; an unknown one is an error with its number."""
    name, level = STATUS.get(code, (f"code_{code}", "error"))
    return Status(name, level, code, text)


class ServoMode:
    """When to ask for POSE mode and for a pause.

    Attributes:
        poses: whether Servo has said that it takes poses.
    """

    RETRY = 0.5  # [s]

    def __init__(self) -> None:
        self.poses = False
        self._asked: float | None = None
        self._paused = False

    def must_ask(self, ready: bool, steady: float) -> bool:
        """Return whether to ask for POSE mode now: until it is granted, and again after a restart.

        Args:
            ready: Servo's service is there.
            steady: time [s].
        """
        if not ready:
            self.poses, self._asked = False, None
            return False
        waiting = self._asked is not None and steady - self._asked < self.RETRY
        if self.poses or waiting:
            return False
        self._asked = steady
        return True

    def answered(self, success: bool) -> None:
        """Note the answer to a request for POSE mode."""
        self.poses = success

    def pause(self, stopped: bool) -> bool | None:
        """Return whether to pause (True) or to go on (False), or None where nothing has changed.

        Args:
            stopped: what the guard says on arm/state.
        """
        if stopped == self._paused:
            return None
        self._paused = stopped
        return stopped
