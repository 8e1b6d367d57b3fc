"""Ways to spoil a message, by the kind of message: each changes it in place."""

import math
from array import array
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState, Joy
from trajectory_msgs.msg import JointTrajectory

HUGE = 1e3  # [m] or [rad]: far beyond every place of the arm
ELSEWHERE = "elsewhere"

Change = Callable[[Any], None]


def _number(kind: Any, value: float) -> Change:
    """Put `value` where a message says where the arm is, or shall be."""

    def pose(message: Any) -> None:
        message.pose.position.x = value

    def joints(message: Any) -> None:
        message.position = array("d", [value] * len(message.position))

    def trajectory(message: Any) -> None:
        for point in message.points:
            point.positions = array("d", [value] * len(point.positions))

    return {PoseStamped: pose, JointState: joints, JointTrajectory: trajectory}[kind]


def _names(kind: Any) -> Change:
    """Speak of another frame, or of other joints."""

    def pose(message: Any) -> None:
        message.header.frame_id = ELSEWHERE

    def joints(message: Any) -> None:
        message.name = [f"{ELSEWHERE}_{name}" for name in message.name]

    def trajectory(message: Any) -> None:
        message.joint_names = [f"{ELSEWHERE}_{name}" for name in message.joint_names]

    return {PoseStamped: pose, JointState: joints, JointTrajectory: trajectory}[kind]


def _velocity(kind: Any) -> Change:
    """Let every joint be said to move fast."""
    assert kind is JointState

    def joints(message: Any) -> None:
        message.velocity = array("d", [HUGE] * len(message.velocity))

    return joints


def _effort(kind: Any) -> Change:
    """Let every joint be said to push hard."""
    assert kind is JointState

    def joints(message: Any) -> None:
        message.effort = array("d", [HUGE] * len(message.name))

    return joints


def _released(kind: Any) -> Change:
    """Let no button be held."""
    assert kind is Joy

    def buttons(message: Any) -> None:
        message.buttons = array("i", [0] * len(message.buttons))

    return buttons


def _empty(kind: Any) -> Change:
    """Leave nothing of a message but its type."""
    blank = kind()

    def clear(message: Any) -> None:
        for name in kind.get_fields_and_field_types():
            setattr(message, name, getattr(blank, name))

    return clear


def _out_of_the_box(kind: Any) -> Change:
    """Ask for a place half a metre to the side: within the arm's reach, outside its workspace."""
    assert kind is PoseStamped

    def pose(message: Any) -> None:
        message.pose.position.y += 0.5

    return pose


def _free(kind: Any) -> Change:
    """Let arm/state say that nothing holds the arm."""
    assert kind is DiagnosticArray

    def state(message: Any) -> None:
        for entry in message.status:
            for pair in entry.values:
                pair.value = {"stopped": "0", "holding": "0", "armed": "1"}.get(pair.key, pair.value)

    return state


# By name: makes the change for a kind of message.
CORRUPTIONS: dict[str, Callable[[Any], Change]] = {
    "nan": lambda kind: _number(kind, math.nan),
    "huge": lambda kind: _number(kind, HUGE),
    "names": _names,
    "velocity": _velocity,
    "effort": _effort,
    "released": _released,
    "empty": _empty,
    "outside": _out_of_the_box,
    "free": _free,
}
