"""Listens to a live graph for `qtopt doctor --robot`, and moves the gripper where that is allowed."""

import time
from collections.abc import Callable
from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState

from grasp_bringup.controllers_node import controller_states
from grasp_bringup.gripper import GripperCore, GripperResult
from grasp_bringup.gripper_drive_node import make_drive
from grasp_bringup.node_spec import CLOCK, OWN_CLOCK
from grasp_bringup.observed import Heard, ImageFacts, InfoFacts, Observed
from qtopt_policy import topics
from qtopt_policy.base_node import RECORD_QOS, SENSOR_QOS, nanoseconds, pose_values
from qtopt_policy.camera_node import rgb_of
from qtopt_policy.errors import QtoptError
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import RobotConfig

DISCOVERY = 1.0  # [s] of wall time: until then, nobody may count as absent
LATEST = (
    10.0  # [s] of wall time: who is not found by then is absent; a busy machine takes longer than an idle one
)
STROKES = (False, True, False)  # open, close, open
PATIENCE = 10.0  # [s] of wall time beyond a stroke's deadline, for a simulation that is slow


class DoctorNode(Node):  # type: ignore[misc]
    """Keeps what comes on the topics of one robot and one of its cameras."""

    def __init__(self, robot: RobotConfig, camera: str, namespace: str = "") -> None:
        own_clock = robot.driver.simulated and namespace.strip("/")  # as grasp_bringup.system has it
        rules = [item for source, target in OWN_CLOCK for item in ("-r", f"{source}:={target}")]
        arguments = ["--ros-args", *rules] if own_clock else None
        super().__init__("doctor_node", namespace=namespace.strip("/") or None, cli_args=arguments)
        self._robot, self._where = robot, robot.camera_topics(camera)
        self._kind = Image if self._where.transport == "raw" else CompressedImage
        self._stamps: dict[str, list[float]] = {}
        self._ages: dict[str, list[float]] = {}
        self._latest: dict[str, Any] = {}
        self._positions: dict[str, float] = {}
        self._joint_stamps: dict[str, list[float]] = {}
        self._core: GripperCore | None = None
        self._controllers: tuple[dict[str, str], str] = ({}, "nobody was asked")
        self._hear(self._kind, self._where.topic, SENSOR_QOS)
        self._hear(CameraInfo, self._where.info, SENSOR_QOS)
        self._hear(PoseStamped, topics.TOOL_POSE, RECORD_QOS)
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, SENSOR_QOS)

    @property
    def simulated(self) -> bool:
        """Whether somebody publishes a simulator's clock."""
        return int(self.count_publishers(self.resolve_topic_name(CLOCK))) > 0

    def now(self) -> float:
        """Return ROS time [s]."""
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def _hear(self, kind: Any, topic: str, qos: Any) -> None:
        self.create_subscription(kind, topic, lambda message: self._keep(topic, message), qos)

    def _keep(self, topic: str, message: Any) -> None:
        stamp = nanoseconds(message.header.stamp) * 1e-9
        self._stamps.setdefault(topic, []).append(stamp)
        self._ages.setdefault(topic, []).append(self.now() - stamp)
        self._latest[topic] = message

    def _on_joints(self, message: JointState) -> None:
        self._keep(topics.JOINT_STATES, message)
        stamp = self._stamps[topics.JOINT_STATES][-1]
        for name, position in zip(message.name, message.position, strict=False):
            self._positions[name] = float(position)
            self._joint_stamps.setdefault(name, []).append(stamp)
            if self._core is not None and name == self._robot.gripper.joints[0]:
                self._core.joint_state(float(position), stamp)

    def forget(self) -> None:
        """Begin to listen anew."""
        for kept in (self._stamps, self._ages, self._joint_stamps):
            kept.clear()

    def ask_controllers(self, spin: Callable[[], None]) -> None:
        """Ask the controller managers which controllers are active."""
        self._controllers = controller_states(self, spin)

    def observed(self, seconds: float, strokes: tuple[GripperResult, ...], skipped: str) -> Observed:
        """Return what was seen so far."""
        pose = self._latest.get(topics.TOOL_POSE)
        arm = self.resolve_topic_name(self._robot.arm_topic)
        return Observed(
            seconds=seconds,
            simulated=self.simulated,
            image=self._heard(self._where.topic),
            info=self._heard(self._where.info),
            joints=self._heard(topics.JOINT_STATES),
            picture=_image_facts(self._latest.get(self._where.topic)),
            camera=_info_facts(self._latest.get(self._where.info)),
            positions=dict(self._positions),
            joint_stamps={name: tuple(stamps) for name, stamps in self._joint_stamps.items()},
            arm_topic=arm,
            arm_listeners=tuple(sorted({e.node_name for e in self.get_subscriptions_info_by_topic(arm)})),
            controllers=self._controllers[0],
            controllers_unknown=self._controllers[1],
            gripper_obstacle=self._gripper_obstacle(),
            tool_pose=None if pose is None else Pose.from_array(pose_values(pose)),
            strokes=strokes,
            strokes_skipped=skipped,
        )

    @property
    def complete(self) -> bool:
        """Whether everybody has been found: who tells a robot's state, and who takes its commands."""
        seen = self.observed(0.0, (), "")
        told = all(heard.publishers for heard in (seen.image, seen.info, seen.joints))
        return told and bool(seen.arm_listeners) and not seen.gripper_obstacle

    def _heard(self, topic: str) -> Heard:
        name = self.resolve_topic_name(topic)
        ends = self.get_publishers_info_by_topic(name)
        nodes = tuple(sorted({end.node_name for end in ends}))
        types = tuple(sorted({end.topic_type for end in ends}))
        stamps, ages = self._stamps.get(topic, []), self._ages.get(topic, [])
        return Heard(name, nodes, types, tuple(stamps), tuple(ages))

    def prepare_gripper(self) -> None:
        """Connect to what drives the gripper, so that it can be found."""
        self._drive_error = ""
        try:
            self._drive = make_drive(self, self._robot)
        except QtoptError as error:
            self._drive_error = str(error)

    def _gripper_obstacle(self) -> str:
        return self._drive_error or self._drive.obstacle()

    def stroke(self, close: bool, spin: Callable[[], None]) -> GripperResult:
        """Command the fingers and return how it ended.

        Raises:
            QtoptError: no command can be sent.
        """
        if obstacle := self._gripper_obstacle():
            raise QtoptError(f"gripper: {obstacle}")
        driver = self._robot.driver
        deadline = driver.gripper_deadline
        core = self._core = GripperCore(self._robot.gripper, deadline, driver.gripper_reaction_time)
        position = core.position(close)
        self._drive.send(close, position)
        core.commanded(close, self.now(), self._drive.served)
        end = time.monotonic() + deadline + PATIENCE
        while time.monotonic() < end:
            spin()
            answer = self._drive.answer()
            if answer is not None:
                core.answered(answer)
            result = core.check(self.now())
            if result is not None:
                return result
        self._drive.abandon(at_once=True)
        raise QtoptError(
            f"gripper: no result within {deadline + PATIENCE:.0f} s; does the clock stand still?"
        )


def examine(
    robot: RobotConfig, camera: str, seconds: float, may_move: Callable[[], str], namespace: str = ""
) -> Observed:
    """Listen to a live graph and, if allowed, open and close the gripper.

    Args:
        robot: to be found in the graph.
        camera: name of the active one.
        seconds: to listen, after discovery [s of wall time].
        may_move: called once after listening; returns why the gripper may not be moved, "" if it may.
        namespace: of the robot's nodes.
    """
    rclpy.init()
    node = DoctorNode(robot, camera, namespace)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.prepare_gripper()
        _discover(node, executor)
        _listen(node, executor, seconds)
        node.ask_controllers(lambda: executor.spin_once(timeout_sec=0.02))
        seen = node.observed(seconds, (), "")
        skipped = seen.gripper_obstacle or may_move()
        if skipped:
            return node.observed(seconds, (), skipped)
        strokes = tuple(node.stroke(close, lambda: executor.spin_once(timeout_sec=0.02)) for close in STROKES)
        return node.observed(seconds, strokes, "")
    finally:
        executor.remove_node(node)
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def _discover(node: DoctorNode, executor: SingleThreadedExecutor) -> None:
    """Wait until everybody has been found, from DISCOVERY on, and at most until LATEST."""
    _spin_for(executor, DISCOVERY)
    end = time.monotonic() + LATEST - DISCOVERY
    while not node.complete and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.02)


def _listen(node: DoctorNode, executor: SingleThreadedExecutor, seconds: float) -> None:
    """Listen on the graph's own clock: anew where a simulator's is discovered only meanwhile."""
    simulated = False
    while True:
        if node.simulated and not simulated:
            simulated = True
            node.set_parameters([Parameter("use_sim_time", value=True)])
            _spin_for(executor, DISCOVERY)
        node.forget()
        _spin_for(executor, seconds)
        if node.simulated is simulated or simulated:
            return


def _spin_for(executor: SingleThreadedExecutor, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.02)


def _image_facts(message: Any) -> ImageFacts | None:
    if message is None:
        return None
    try:
        picture = rgb_of(message)
    except QtoptError as error:
        return ImageFacts(0, 0, "", str(error))
    kind = message.format if isinstance(message, CompressedImage) else message.encoding
    return ImageFacts(picture.shape[1], picture.shape[0], kind)


def _info_facts(message: Any) -> InfoFacts | None:
    if message is None:
        return None
    k, d = (tuple(float(value) for value in values) for values in (message.k, message.d))
    return InfoFacts(int(message.width), int(message.height), k, d, message.header.frame_id)
