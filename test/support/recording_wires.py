"""The topics on which an episode depends, from the camera to the bag, and ways to spoil their messages."""

import math
from array import array
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, Header

from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, LATEST_QOS, RECORD_QOS, SENSOR_QOS
from support.corruptions import ELSEWHERE, HUGE, Change
from support.wires import Wire

BEATING = ("guard_node", "servo_node", "gripper_node", "policy_node", "collector_node")
BEATS = {node: f"{topics.HEARTBEAT}/{node}" for node in BEATING}

RECORDING_WIRES = {
    topics.IMAGE: Wire(Image, SENSOR_QOS, "sim_node"),
    topics.CAMERA_INFO: Wire(CameraInfo, SENSOR_QOS, "sim_node"),
    topics.JOINT_STATES: Wire(JointState, RECORD_QOS, "sim_node"),
    topics.TOOL_POSE: Wire(PoseStamped, RECORD_QOS, "guard_node"),
    topics.GRIPPER_CLOSE: Wire(Bool, LATEST_QOS, "guard_node"),
    topics.GRIPPER_COMMAND: Wire(Float64MultiArray, LATEST_QOS, "gripper_node"),
    topics.GRIPPER_RESULT: Wire(DiagnosticArray, LATCHED_QOS, "gripper_node"),
    topics.POLICY_TARGET: Wire(PoseStamped, LATEST_QOS, "policy_node"),
    topics.POLICY_GRIPPER: Wire(Bool, LATEST_QOS, "policy_node"),
    topics.OBSERVATION: Wire(CompressedImage, RECORD_QOS, "policy_node"),
    topics.ACTION: Wire(JointState, RECORD_QOS, "policy_node"),
    topics.STEP: Wire(DiagnosticArray, RECORD_QOS, "policy_node"),
    topics.EPISODE: Wire(DiagnosticArray, LATCHED_QOS, "policy_node"),
    topics.COLLECTOR_TARGET: Wire(PoseStamped, LATEST_QOS, "collector_node"),
    topics.COLLECTOR_GRIPPER: Wire(Bool, LATEST_QOS, "collector_node"),
    **{topic: Wire(Header, LATEST_QOS, node) for node, topic in BEATS.items()},
}


def _half_as_large(message: Any) -> None:
    """Make a smaller picture of it that is one: a camera that was set to another size."""
    message.height, message.width = message.height // 2, message.width // 2
    if isinstance(message, Image):
        message.step //= 2
        message.data = message.data[: message.height * message.step]


def _encoding(message: Any) -> None:
    message.encoding = ELSEWHERE


def _truncated(message: Any) -> None:
    message.data = message.data[: len(message.data) // 2]


def _nan_camera(message: Any) -> None:
    message.k = [math.nan] * 9


def _nan_command(message: Any) -> None:
    message.data = array("d", [math.nan] * len(message.data))


def _flipped(message: Any) -> None:
    message.data = not message.data


def _keys(message: Any) -> None:
    for entry in message.status:
        for pair in entry.values:
            pair.key = f"{ELSEWHERE}_{pair.key}"


def _words(message: Any) -> None:
    for entry in message.status:
        for pair in entry.values:
            pair.value = ELSEWHERE


def _fingers(message: Any) -> None:
    """Let the fingers be said to be far away, and the arm where it is."""
    message.position = array(
        "d", [HUGE if "finger" in name else q for name, q in zip(message.name, message.position, strict=True)]
    )


def _no_fingers(message: Any) -> None:
    """Leave the fingers out, as where they have a driver of their own that died."""
    kept = [i for i, name in enumerate(message.name) if "finger" not in name]
    for field in ("position", "velocity", "effort"):
        values = getattr(message, field)
        setattr(message, field, array("d", [values[i] for i in kept] if len(values) else []))
    message.name = [message.name[i] for i in kept]


# By name and kind of message; those of support.corruptions hold for all others.
RECORDING_CORRUPTIONS: dict[tuple[str, Any], Change] = {
    ("small", Image): _half_as_large,
    ("small", CameraInfo): _half_as_large,
    ("encoding", Image): _encoding,
    ("truncated", Image): _truncated,
    ("truncated", CompressedImage): _truncated,
    ("nan", CameraInfo): _nan_camera,
    ("nan", Float64MultiArray): _nan_command,
    ("flipped", Bool): _flipped,
    ("names", DiagnosticArray): _keys,
    ("words", DiagnosticArray): _words,
    ("fingers", JointState): _fingers,
    ("no fingers", JointState): _no_fingers,
}
