"""What MoveIt Servo's status codes mean, and when to ask it for what (no ROS).

Servo drops every pose until it is told that poses are what it gets, and says so in its log alone. It paces
its motion by the wall clock: in a simulation at any other speed the arm's would be wrong by that factor.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SERVO = "servo_node"  # name of MoveIt Servo's node
SCENE = "planning_scene"  # where it takes changes of its scene: monitored_planning_scene_topic of servo.yaml
SCENE_MADE = f"{SERVO}/publish_planning_scene"  # where it says what it has made of them (moveit_servo)
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


class ServoRequest:
    """When to ask Servo for something: until it has agreed, and again after a restart.

    Args:
        wanted: what to ask for at first: POSE of its mode, False (no pause) of its pause.

    Attributes:
        wanted: what to ask for now.
    """

    RETRY = 0.5  # [s]

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._agreed: int | None = None  # Servo's last word; None: unknown, as a request may act unanswered
        self._asked: float | None = None

    @property
    def settled(self) -> bool:
        """Whether Servo has agreed to what is wanted."""
        return self._agreed == self.wanted

    def want(self, wanted: int) -> None:
        """Note what is wanted from now on."""
        if wanted != self.wanted:
            self.wanted, self._asked = wanted, None

    def must_ask(self, ready: bool, steady: float) -> bool:
        """Return whether to ask for what is wanted now.

        Args:
            ready: Servo's service is there, and Servo has what it needs for it.
            steady: time [s].
        """
        if not ready:
            self._agreed, self._asked = None, None
            return False
        waiting = self._asked is not None and steady - self._asked < self.RETRY
        if self.settled or waiting:
            return False
        self._agreed, self._asked = None, steady
        return True

    def answered(self, asked: int, success: bool) -> None:
        """Note the answer to a request for `asked`; none to a request since undone."""
        if success and asked == self.wanted:
            self._agreed = asked


class ServoScene:
    """Whether Servo has the collision scene, and when to send it.

    Servo begins with an empty scene and keeps nothing over a restart, which cannot be told from outside. So
    the scene is sent again and again: an object takes the place of its namesake. Servo repeats what it took.

    Args:
        names: of the objects.
    """

    PERIOD = 2.0  # between two sendings [s]
    SILENCE = 7.0  # without Servo's word for so long an object counts as missing [s]

    def __init__(self, names: Iterable[str]) -> None:
        self._seen: dict[str, float | None] = dict.fromkeys(names)
        self._sent: float | None = None

    def must_send(self, ready: bool, steady: float) -> bool:
        """Return whether to send the scene now.

        Args:
            ready: somebody listens.
            steady: time [s].
        """
        if not ready or (self._sent is not None and steady - self._sent < self.PERIOD):
            return False
        self._sent = steady
        return True

    def made(self, names: Iterable[str], steady: float) -> None:
        """Note which objects Servo says are in its scene."""
        for name in set(names) & set(self._seen):
            self._seen[name] = steady

    def missing(self, steady: float) -> tuple[str, ...]:
        """Return the objects that Servo has not named lately."""
        return tuple(
            name for name, seen in self._seen.items() if seen is None or steady - seen > self.SILENCE
        )
