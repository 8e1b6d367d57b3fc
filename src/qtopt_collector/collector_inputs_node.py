"""What collector_node hears: into the open bag as it comes, and into the cell."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, Header

from qtopt_collector.bags import messages, schema
from qtopt_collector.bags.pictures import raw_image
from qtopt_collector.bags.source import IMAGE
from qtopt_collector.cell import Cell, Picture
from qtopt_collector.recorder import Recorder
from qtopt_policy import topics
from qtopt_policy.base_node import (
    LATCHED_QOS,
    LATEST_QOS,
    RECORD_QOS,
    SENSOR_QOS,
    WARN,
    BaseNode,
    as_dict,
    nanoseconds,
)
from qtopt_policy.drivers import CameraTopics
from qtopt_policy.errors import BagError, QtoptError, ShapeError

NANO = 1e-9
# Deep enough that nothing is lost while a bag is closed (fsync) or another callback runs.
STREAM_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=500, reliability=ReliabilityPolicy.RELIABLE)

# Topics of a bag that come over the wire: type and QoS.
RECORDED: dict[str, tuple[Any, QoSProfile]] = {
    topics.OBSERVATION: (CompressedImage, RECORD_QOS),
    topics.CAMERA_INFO: (CameraInfo, STREAM_QOS),
    topics.JOINT_STATES: (JointState, STREAM_QOS),
    topics.TOOL_POSE: (PoseStamped, RELIABLE_QOS),
    topics.ACTION: (JointState, RECORD_QOS),
    topics.STEP: (DiagnosticArray, RECORD_QOS),
    topics.EPISODE: (DiagnosticArray, LATCHED_QOS),
    topics.TARGET_POSE: (PoseStamped, RELIABLE_QOS),
    topics.GRIPPER_CLOSE: (Bool, RELIABLE_QOS),
    schema.DEBUG_IMAGE: (CompressedImage, RECORD_QOS),
}


class CellInputs:
    """Subscribes to everything that the collector needs.

    Args:
        node: that it belongs to; problems go into its diagnostics.
        cell: to fill in.
        recorder: whose open bag gets the recorded topics.
        gripper_joint: whose effort is the grip force.
        camera: topics of the active camera.
        watched: nodes whose heartbeats count.
        debug_image: record the picture of each decision too.
        disk_failed: is told why the disk refused.
    """

    def __init__(
        self,
        node: BaseNode,
        cell: Cell,
        recorder: Recorder,
        gripper_joint: str,
        camera: CameraTopics,
        watched: Iterable[str],
        debug_image: bool,
        disk_failed: Callable[[str], None],
    ) -> None:
        self._node, self._cell, self._recorder = node, cell, recorder
        self._gripper_joint = gripper_joint
        self._disk_failed = disk_failed
        self._beats = dict.fromkeys(watched, float("-inf"))
        self._listeners: dict[str, Callable[[Any], None]] = {
            topics.JOINT_STATES: self._on_joints,
            topics.TOOL_POSE: self._on_tool_pose,
            topics.GRIPPER_CLOSE: self._on_gripper,
            topics.EPISODE: self._on_episode,
        }
        for topic, (kind, qos) in RECORDED.items():
            if topic != schema.DEBUG_IMAGE or debug_image:
                source = camera.info if topic == topics.CAMERA_INFO else topic
                node.create_subscription(kind, source, partial(self._on_recorded, topic), qos, raw=True)
        # Undecoded: an image is looked at twice per episode, and the others then cost nothing.
        self._compressed = camera.transport == "compressed"
        kind = CompressedImage if self._compressed else Image
        node.create_subscription(kind, camera.topic, self._on_image, SENSOR_QOS, raw=True)
        node.create_subscription(DiagnosticArray, topics.ARM_STATE, self._on_arm, LATCHED_QOS)
        node.create_subscription(DiagnosticArray, topics.GRIPPER_RESULT, self._on_result, LATCHED_QOS)
        node.create_subscription(DiagnosticArray, topics.SIM_TRUTH, self._on_truth, LATEST_QOS)
        for name in self._beats:
            beat = partial(self._on_heartbeat, name)
            node.create_subscription(Header, f"{topics.HEARTBEAT}/{name}", beat, LATEST_QOS, raw=True)

    def silent(self, since: float) -> tuple[str, ...]:
        """Return the watched nodes that have not been heard since then [s, steady]."""
        return tuple(sorted(name for name, beat in self._beats.items() if beat < since))

    def _on_recorded(self, topic: str, cdr: bytes) -> None:
        time = int(self._node.get_clock().now().nanoseconds)
        try:
            message = schema.deserialize(cdr, schema.SPECS[topic].kind)
        except BagError as error:
            self._node.report(topic, WARN, str(error))
            return
        try:
            self._recorder.record_message(topic, time, message)
        except BagError as error:
            self._disk_failed(str(error))
        listener = self._listeners.get(topic)
        if listener is not None:
            listener(message)

    def _on_joints(self, message: Any) -> None:
        stamp = messages.stamp_of(message) * NANO
        try:
            self._cell.state.add_joints(stamp, message.name, message.position)
        except ShapeError as error:
            self._node.report(topics.JOINT_STATES, WARN, str(error))
            return
        if self._gripper_joint in message.name and len(message.effort) == len(message.name):
            self._cell.hear_joint_effort(float(message.effort[message.name.index(self._gripper_joint)]))

    def _on_tool_pose(self, message: Any) -> None:
        try:
            self._cell.state.add_pose(messages.stamp_of(message) * NANO, messages.pose_of(message))
        except ShapeError as error:
            self._node.report(topics.TOOL_POSE, WARN, str(error))

    def _on_gripper(self, message: Any) -> None:
        self._cell.hear_gripper(bool(message.data))

    def _on_result(self, message: DiagnosticArray) -> None:
        try:
            self._cell.hear_result(as_dict(message.status[0]) if message.status else {})
        except BagError as error:
            self._node.report(topics.GRIPPER_RESULT, WARN, str(error))

    def _on_episode(self, message: Any) -> None:
        try:
            values = messages.values_of(message)
        except BagError as error:
            self._node.report(topics.EPISODE, WARN, str(error))
            return
        self._cell.hear_episode(values | {"detail": message.status[0].message})

    def _on_image(self, cdr: bytes) -> None:
        if not self._cell.picture_wanted:
            return
        try:
            message: Any = schema.deserialize(cdr, schema.COMPRESSED_IMAGE if self._compressed else IMAGE)
            pixels = messages.decode_image(message) if self._compressed else raw_image(message)
            self._cell.picture = Picture(pixels, messages.stamp_of(message) * NANO)
        except QtoptError as error:
            self._node.report("image", WARN, str(error))

    def _on_arm(self, message: DiagnosticArray) -> None:
        self._cell.arm = as_dict(message.status[0]) if message.status else {}

    def _on_truth(self, message: DiagnosticArray) -> None:
        values = as_dict(message.status[0]) if message.status else {}
        self._cell.truth = values | {"stamp": repr(nanoseconds(message.header.stamp) * NANO)}

    def _on_heartbeat(self, name: str, cdr: bytes) -> None:
        self._beats[name] = self._node.steady_now()
