"""Stand-ins for a robot's drivers and for the nodes that wish: they do exactly what they are told."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Float64MultiArray, Header
from trajectory_msgs.msg import JointTrajectory

from grasp_bringup.sim.cell_node import waypoints
from grasp_bringup.sim.joint_trajectory import TrajectoryFollower
from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, LATEST_QOS, RECORD_QOS, as_dict, nanoseconds, pose_message
from qtopt_policy.geometry import Array, Pose

PERIOD = 0.01  # [s]
FINGER_SPEED = 0.1  # [m/s]


class FakeDriver(Node):  # type: ignore[misc]
    """Follows trajectories as ros2_control does, moves fingers steadily, publishes joint states at 100 Hz.

    Attributes:
        q: positions of the arm's joints.
        path: time [s] and `q` of every period.
        trajectories: all that came in.
        gripper_commands: all that came in.
        stamps: of all joint states [ns].
        silent: publish no joint states.
        effort: of the arm's joints, as `joints`; None publishes none.
        stuck: fingers do not move.
    """

    def __init__(self, joints: Sequence[str], q: Array, fingers: Sequence[str] = ("finger_joint1",)) -> None:
        super().__init__("fake_driver")
        self.joints, self.fingers = list(joints), list(fingers)
        self.q = np.array(q, dtype=np.float64)
        self.finger = self._wanted_finger = 0.04
        self.path: list[tuple[float, Array]] = []
        self.trajectories: list[JointTrajectory] = []
        self.gripper_commands: list[float] = []
        self.stamps: list[int] = []
        self.silent = self.stuck = False
        self.effort: Array | None = None
        self._follower = TrajectoryFollower(tuple(joints), q)
        self._stepped = self._now()
        self._arm_states = self.create_publisher(JointState, topics.JOINT_STATES, RECORD_QOS)
        self._finger_states = self.create_publisher(JointState, topics.JOINT_STATES, RECORD_QOS)
        self.create_subscription(JointTrajectory, topics.ARM_COMMAND, self._on_trajectory, RECORD_QOS)
        self.create_subscription(Float64MultiArray, topics.GRIPPER_COMMAND, self._on_gripper, RECORD_QOS)
        self.create_timer(PERIOD, self._step)

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def _on_trajectory(self, message: JointTrajectory) -> None:
        self.trajectories.append(message)
        now = self._now()
        points = waypoints(message, nanoseconds(message.header.stamp) * 1e-9 or now)
        if points[-1].time > now:
            self._follower.accept(message.joint_names, points, now)

    def _on_gripper(self, message: Float64MultiArray) -> None:
        self.gripper_commands.append(message.data[0])
        self._wanted_finger = message.data[0]

    def _step(self) -> None:
        stamp = self.get_clock().now()
        now = stamp.nanoseconds * 1e-9
        elapsed, self._stepped = now - self._stepped, now
        self.q = self._follower.sample(now)
        if not self.stuck:
            step = FINGER_SPEED * elapsed
            self.finger += float(np.clip(self._wanted_finger - self.finger, -step, step))
        self.path.append((now, self.q))
        if not self.silent:
            self._publish(stamp.to_msg(), stamp.nanoseconds)

    def _publish(self, stamp: Any, nanoseconds: int) -> None:
        """Arm and fingers come from two publishers, the arm's joints in reverse order."""
        arm = JointState(name=self.joints[::-1], position=self.q[::-1].tolist())
        arm.effort = [] if self.effort is None else self.effort[::-1].tolist()
        fingers = JointState(name=self.fingers, position=[self.finger] * len(self.fingers))
        arm.header.stamp = fingers.header.stamp = stamp
        self.stamps.append(nanoseconds)
        self._arm_states.publish(arm)
        self._finger_states.publish(fingers)

    @property
    def standing(self) -> bool:
        """Whether the arm has not moved for the last 200 ms."""
        recent = np.array([q for _, q in self.path[-20:]])
        return len(recent) == 20 and float(np.abs(recent - recent[-1]).max()) < 1e-9


class FakeWisher(Node):  # type: ignore[misc]
    """Stands for policy_node: heartbeat and wishes at 20 Hz.

    Attributes:
        target, close: what is wished for now; None is silence.
        frame: frame_id of the target.
        beating: publish the heartbeat.
        wished: stamp of the last target [ns].
    """

    def __init__(self, frame: str, name: str = "policy", topic: str = topics.POLICY_TARGET) -> None:
        super().__init__(f"fake_{name}")
        self.frame = frame
        self.target: Pose | None = None
        self.close: bool | None = None
        self.beating = True
        self.wished = 0
        self._pose = self.create_publisher(PoseStamped, topic, LATEST_QOS)
        self._close = self.create_publisher(Bool, f"{name}/gripper_close", LATEST_QOS)
        self._heartbeat = self.create_publisher(Header, f"{topics.HEARTBEAT}/{name}_node", LATEST_QOS)
        self.create_timer(1.0 / topics.REPUBLISH_RATE, self._wish)

    def publish_raw(self, message: PoseStamped) -> None:
        """Publish a target of the test's own making."""
        self._pose.publish(message)

    def _wish(self) -> None:
        now = self.get_clock().now()
        stamp = now.to_msg()
        if self.beating:
            self._heartbeat.publish(Header(stamp=stamp))
        if self.target is not None:
            self._pose.publish(pose_message(self.target, self.frame, stamp))
            self.wished = now.nanoseconds
        if self.close is not None:
            self._close.publish(Bool(data=self.close))


class FakePad(Node):  # type: ignore[misc]
    """Stands for joy_node: publishes its buttons at 20 Hz; None is silence."""

    def __init__(self) -> None:
        super().__init__("fake_pad")
        self.buttons: list[int] | None = None
        self._joy = self.create_publisher(Joy, topics.JOY, 10)
        self.create_timer(1.0 / topics.REPUBLISH_RATE, self._publish)

    def _publish(self) -> None:
        if self.buttons is not None:
            self._joy.publish(Joy(buttons=self.buttons))


class Listener(Node):  # type: ignore[misc]
    """Keeps what the motion chain says.

    Attributes:
        arm_state: latest keys of arm/state.
        tool_poses, targets, closes: all messages of arm/tool_pose, arm/target_pose, gripper/close.
        diagnostics: latest keys by name of the status.
        levels, messages: latest level and text by name of the status.
    """

    def __init__(self) -> None:
        super().__init__("listener")
        self.arm_state: dict[str, str] = {}
        self.tool_poses: list[PoseStamped] = []
        self.targets: list[PoseStamped] = []
        self.closes: list[bool] = []
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.levels: dict[str, bytes] = {}
        self.messages: dict[str, str] = {}
        self.create_subscription(DiagnosticArray, topics.ARM_STATE, self._on_arm_state, LATCHED_QOS)
        self.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, RECORD_QOS)
        self.create_subscription(PoseStamped, topics.TOOL_POSE, self.tool_poses.append, RECORD_QOS)
        self.create_subscription(PoseStamped, topics.TARGET_POSE, self.targets.append, RECORD_QOS)
        self.create_subscription(Bool, topics.GRIPPER_CLOSE, self._on_close, RECORD_QOS)

    def _on_arm_state(self, message: DiagnosticArray) -> None:
        self.arm_state = as_dict(message.status[0])

    def _on_close(self, message: Bool) -> None:
        self.closes.append(message.data)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for entry in message.status:
            self.diagnostics[entry.name] = as_dict(entry)
            self.levels[entry.name], self.messages[entry.name] = entry.level, entry.message
