"""The simulated cell as its drivers would show it: camera, joints and controllers around a World."""

from array import array
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from grasp_bringup.sim.joint_trajectory import TrajectoryFollower, Waypoint
from grasp_bringup.sim.scene import SceneConfig, load_scene_config, sample_scene
from grasp_bringup.sim.world import CONTROL_PERIOD, World
from qtopt_policy import topics
from qtopt_policy.base_node import LATEST_QOS, OK, RECORD_QOS, SENSOR_QOS, WARN, BaseNode, nanoseconds
from qtopt_policy.camera import CameraModel
from qtopt_policy.config import load_config
from qtopt_policy.errors import QtoptError, ShapeError, UnknownNameError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

TICK = round(CONTROL_PERIOD * 1e9)  # [ns] of simulated time
NANO = 1e-9


class CellNode(BaseNode):
    """A World behind the topics of drivers and controllers, advanced tick by tick with `advance`.

    Its messages carry simulated time, which rises through all resets.

    Parameters (ROS):
        robot, mdp, scene: paths of the YAML files.
        camera: the active camera.
        split, seed: of the scene; taken at the start and by each reset.
    """

    watch_qos = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        for parameter, default in (
            ("robot", "config/robots/sim.yaml"),
            ("mdp", "config/mdp.yaml"),
            ("scene", "config/scene.yaml"),
            ("camera", "wrist"),
            ("split", "train"),
        ):
            self.declare_parameter(parameter, default)
        self.declare_parameter("seed", 1)
        self.ticks = 0
        self.images = 0

    @property
    def time(self) -> float:
        """Simulated time [s]."""
        return self.ticks * TICK * NANO

    def setup(self) -> None:
        """Build the world with its first scene, settled; connect it."""
        robot = load_robot(self._file("robot"))
        mdp = load_config(self._file("mdp"), MdpConfig)
        self._scenes: SceneConfig = load_scene_config(self._file("scene"))
        self._camera = self.parameter("camera", str)
        if self._camera not in robot.cameras:
            raise UnknownNameError("camera", self._camera, robot.cameras)
        # Nodes know the cameras' places from the URDF: no jitter.
        self.world = World(robot, self._scenes, jitter_cameras=False, success_height=mdp.success_height)
        self.place_scene()
        self.world.settle()
        self._follower = TrajectoryFollower(robot.arm_joints, robot.home)
        self._prepare_messages(robot.cameras[self._camera].frame)
        self._connect(robot.arm_topic, robot.gripper_topic)

    def _file(self, parameter: str) -> Path:
        return resolve(Path(self.parameter(parameter, str)))

    def place_scene(self) -> None:
        """Replace the objects by those of the parameters `split` and `seed`; the arm stays as it is.

        Raises:
            ConfigError: there is no such split or seed.
        """
        split, seed = self.parameter("split", str), self.parameter("seed", int)
        scene = sample_scene(self._scenes, split, seed, self.world.robot.bin)
        self.world.reset(scene, keep_arm=True, settle=False)

    def _prepare_messages(self, frame: str) -> None:
        """Build each message once: building them is most of what publishing costs."""
        self._stamp, self._picture_stamp = Time(), Time()
        self._clock_message = Clock(clock=self._stamp)
        self._joints = JointState(name=list(self.world.joint_sample().names))
        self._joints.header.stamp = self._stamp
        model = self.world.camera_model(self._camera)
        self._info = camera_info(model, frame)
        self._image = Image(height=model.height, width=model.width, encoding="rgb8", step=3 * model.width)
        self._image.header.frame_id = frame
        self._info.header.stamp = self._image.header.stamp = self._picture_stamp

    def _connect(self, arm_topic: str, gripper_topic: str) -> None:
        self._clock_publisher = self.create_publisher(Clock, "/clock", RECORD_QOS)
        self._joint_publisher = self.create_publisher(JointState, topics.JOINT_STATES, RECORD_QOS)
        self._image_publisher = self.create_publisher(Image, topics.IMAGE, SENSOR_QOS)
        self._info_publisher = self.create_publisher(CameraInfo, topics.CAMERA_INFO, SENSOR_QOS)
        self.create_subscription(JointTrajectory, arm_topic, self.on_trajectory, RECORD_QOS)
        self.create_subscription(Float64MultiArray, gripper_topic, self._on_gripper, LATEST_QOS)

    def advance(self) -> None:
        """Simulate one tick."""
        self.ticks += 1
        self.world.command_arm(self._follower.sample(self.time))
        self.world.advance(CONTROL_PERIOD)
        stamp = self.ticks * TICK
        self._stamp.sec, self._stamp.nanosec = stamp // 1_000_000_000, stamp % 1_000_000_000
        sample = self.world.joint_sample()
        self._joints.position = array("d", sample.position.tobytes())
        self._joints.velocity = array("d", sample.velocity.tobytes())
        self._joints.effort = array("d", sample.effort.tobytes())

    def publish_state(self) -> None:
        """Publish the time reached and the joints' state."""
        self.publish_clock()
        self._joint_publisher.publish(self._joints)

    def publish_clock(self) -> None:
        """Publish the time reached."""
        self._clock_publisher.publish(self._clock_message)

    def take_picture(self) -> None:
        """Render and publish an image and its camera_info."""
        picture = self.world.render(self._camera)
        self._picture_stamp.sec, self._picture_stamp.nanosec = self._stamp.sec, self._stamp.nanosec
        self._image.data = array("B", np.ascontiguousarray(picture).tobytes())
        self.images += 1
        self.publish_picture()

    def publish_picture(self) -> None:
        """Publish the last image, its stamp unchanged: it was lost on the way."""
        self._info_publisher.publish(self._info)
        self._image_publisher.publish(self._image)

    def on_trajectory(self, message: JointTrajectory) -> None:
        """Follow a trajectory from now on; a wrong one is reported and changes nothing."""
        start = nanoseconds(message.header.stamp) * NANO or self.time
        try:
            self._follower.accept(message.joint_names, waypoints(message, start), self.time)
            self.report("trajectory", OK, "followed")
        except QtoptError as error:
            self.report("trajectory", WARN, str(error))

    def _on_gripper(self, message: Float64MultiArray) -> None:
        try:
            if len(message.data) != 1:
                raise ShapeError(f"gripper command {list(message.data)}: expected one position")
            self.world.command_gripper(message.data[0])
            self.report("gripper", OK, f"commanded {message.data[0]}")
        except QtoptError as error:
            self.report("gripper", WARN, str(error))


def waypoints(message: JointTrajectory, start: float) -> list[Waypoint]:
    """Return the points of a message; their times count from `start` [s]."""
    points = []
    for point in message.points:
        time = start + point.time_from_start.sec + point.time_from_start.nanosec * NANO
        velocity = np.array(point.velocities) if len(point.velocities) else None
        points.append(Waypoint(time, np.array(point.positions), velocity))
    return points


def camera_info(model: CameraModel, frame: str) -> CameraInfo:
    """Build the CameraInfo of a pinhole camera without distortion."""
    message = CameraInfo(width=model.width, height=model.height, distortion_model="plumb_bob")
    message.header.frame_id = frame
    message.d = [0.0] * 5
    message.k = model.matrix.reshape(-1)
    message.r = np.eye(3).reshape(-1)
    message.p = np.hstack([model.matrix, np.zeros((3, 1))]).reshape(-1)
    return message
