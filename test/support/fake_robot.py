"""A robot with a camera for policy_node alone: its tool follows the policy's wishes, no guard, no servo."""

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool

from qtopt_policy import topics
from qtopt_policy.base_node import LATEST_QOS, RECORD_QOS, SENSOR_QOS, pose_message, pose_values
from qtopt_policy.geometry import Pose, pointing_down

PERIOD = 0.02  # [s]
SPEED = 0.4  # [m/s]
SIZE = 96  # [px]


class FakeRobot(Node):  # type: ignore[misc]
    """Publishes images at 10 Hz, joints and tool pose at 50 Hz; follows policy/target_pose and its gripper.

    Attributes:
        pictures: stamps [ns] of all images sent, and their pixels.
        alter: changes an image message before it is sent; returns False to send none.
        camera_frame: of camera_info.
        joint_period: ticks between joint states.
        joints: function of the finger position to names and positions of the joint state.
        has_pose, has_info: whether tool poses and camera_info are sent.
    """

    def __init__(self) -> None:
        super().__init__("fake_robot")
        self.pose = pointing_down([0.5, 0.0, 0.18], 0.0)
        self.target: Pose | None = None
        self.finger, self.closed = 0.04, False
        self.pictures: dict[int, Any] = {}
        self.alter: Callable[[Image], bool] = lambda message: True
        self.camera_frame = "wrist_camera_optical_frame"
        self.joints: Callable[[float], tuple[list[str], list[float]]] = lambda finger: (
            ["joint7", "finger_joint2", "finger_joint1"],
            [0.1, finger, finger],
        )
        self.has_pose = self.has_info = True
        self.joint_period = 1
        self._rng = np.random.default_rng(0)
        self._ticks = 0
        self._poses = self.create_publisher(PoseStamped, topics.TOOL_POSE, RECORD_QOS)
        self._targets = self.create_publisher(PoseStamped, topics.TARGET_POSE, LATEST_QOS)
        self._joint_states = self.create_publisher(JointState, topics.JOINT_STATES, RECORD_QOS)
        self._images = self.create_publisher(Image, topics.IMAGE, SENSOR_QOS)
        self._infos = self.create_publisher(CameraInfo, topics.CAMERA_INFO, SENSOR_QOS)
        self.create_subscription(PoseStamped, topics.POLICY_TARGET, self._on_target, LATEST_QOS)
        self.create_subscription(Bool, topics.POLICY_GRIPPER, self._on_gripper, LATEST_QOS)
        self.create_timer(PERIOD, self._step)

    def _on_target(self, message: PoseStamped) -> None:
        self.target = Pose.from_array(pose_values(message))
        self._targets.publish(message)

    def _on_gripper(self, message: Bool) -> None:
        self.closed = message.data

    def _step(self) -> None:
        self._ticks += 1
        self._move()
        stamp = self.get_clock().now()
        if self.has_pose:
            self._poses.publish(pose_message(self.pose, "base_link", stamp.to_msg()))
        names, positions = self.joints(self.finger)
        joints = JointState(name=names, position=positions)
        joints.header.stamp = stamp.to_msg()
        if self._ticks % self.joint_period == 0:
            self._joint_states.publish(joints)
        if self._ticks % 5 == 0:
            self._look(stamp)

    def _move(self) -> None:
        goal = 0.0 if self.closed else 0.04
        self.finger += float(np.clip(goal - self.finger, -0.01, 0.01))
        if self.target is None:
            return
        offset = self.target.position - self.pose.position
        length = float(np.linalg.norm(offset))
        share = min(1.0, SPEED * PERIOD / length) if length > 0 else 0.0
        self.pose = Pose(self.pose.position + share * offset, self.target.quaternion)

    def _look(self, stamp: Any) -> None:
        info = CameraInfo(width=SIZE, height=SIZE, k=[90.0, 0.0, 47.5, 0.0, 90.0, 47.5, 0.0, 0.0, 1.0])
        info.header.stamp, info.header.frame_id = stamp.to_msg(), self.camera_frame
        if self.has_info:
            self._infos.publish(info)
        picture = self._rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        message = Image(height=SIZE, width=SIZE, encoding="rgb8", step=3 * SIZE, data=picture.tobytes())
        message.header = info.header
        if self.alter(message):
            self.pictures[stamp.nanoseconds] = picture
            self._images.publish(message)
