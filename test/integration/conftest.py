"""One running world per module, and somebody who talks to its drivers."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_bringup.kinematics import kinematics_of
from integration.worlds import WORLDS, World
from qtopt_collector.collector_requests_node import parameter_message
from qtopt_policy import topics
from qtopt_policy.base_node import RECORD_QOS, SENSOR_QOS, nanoseconds
from qtopt_policy.camera_node import rgb_of
from qtopt_policy.geometry import Array, Pose
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.graph import Graph, ros_graph

START_TIME = 60.0  # [s] of wall time for a world to show its first joint state and image


class Drivers:
    """The drivers of a running world, as topics and services show them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.robot = load_robot(resolve(Path("config/robots/sim.yaml")))
        self.kinematics = kinematics_of(self.robot)
        self.joints: list[JointState] = []
        self.images: list[Image] = []
        self.infos: list[CameraInfo] = []
        self.position: dict[str, float] = {}
        node = graph.add(Node("user"))
        node.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, RECORD_QOS)
        node.create_subscription(Image, topics.IMAGE, self.images.append, SENSOR_QOS)
        node.create_subscription(CameraInfo, topics.CAMERA_INFO, self.infos.append, SENSOR_QOS)
        self._arm = node.create_publisher(JointTrajectory, self.robot.arm_topic, RECORD_QOS)
        self._gripper = node.create_publisher(Float64MultiArray, self.robot.gripper_topic, RECORD_QOS)
        self._set = node.create_client(SetParametersAtomically, "sim_node/set_parameters_atomically")
        self._reset = node.create_client(Trigger, topics.SIM_RESET)
        names = {*self.robot.arm_joints, *self.robot.gripper.joints}
        graph.spin_until(
            lambda: names <= set(self.position) and bool(self.images and self.infos), "its drivers"
        )
        listeners = (self._arm, self._gripper)
        graph.spin_until(lambda: all(p.get_subscription_count() for p in listeners), "its controllers")
        graph.spin(0.3)  # endpoints match a little after they are known

    def _on_joints(self, message: JointState) -> None:
        self.joints.append(message)
        self.position.update(zip(message.name, message.position, strict=True))

    @property
    def time(self) -> float:
        """The world's time [s], of the last joint state."""
        return nanoseconds(self.joints[-1].header.stamp) * 1e-9

    @property
    def q(self) -> Array:
        """Positions of the arm's joints [rad]."""
        return np.array([self.position[name] for name in self.robot.arm_joints])

    @property
    def aperture(self) -> float:
        """Distance of the fingertips [m]."""
        gripper = self.robot.gripper
        return gripper.aperture(self.position[gripper.joints[0]])

    def pass_time(self, seconds: float) -> None:
        """Let the world's time go on [s]."""
        end = self.time + seconds
        self.graph.spin_until(lambda: self.time >= end, f"{seconds} s of the world's time")

    def move(self, q: Sequence[float] | Array, duration: float) -> None:
        """Command a straight motion of the joints from here to rest at `q` [rad]."""
        point = JointTrajectoryPoint(positions=[float(v) for v in q], velocities=[0.0] * len(q))
        point.time_from_start.sec = int(duration)
        point.time_from_start.nanosec = round(duration % 1.0 * 1e9)
        self._arm.publish(JointTrajectory(joint_names=list(self.robot.arm_joints), points=[point]))

    def go(self, pose: Pose, duration: float = 1.0) -> None:
        """Move the tool to a pose and wait until it has had the time."""
        self.move(self.kinematics.solve(pose, self.robot.home).q, duration)
        self.pass_time(duration + 0.5)

    def grip(self, position: float) -> None:
        """Command a position of the fingers [m] and give them a second."""
        self._gripper.publish(Float64MultiArray(data=[position]))
        self.pass_time(1.0)

    def reset(self, seed: int, split: str = "train") -> dict[str, Any]:
        """Place a scene as the collector does; return the reply."""
        values: dict[str, int | str] = {"seed": seed, "split": split}
        parameters = [parameter_message(name, value) for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=parameters)
        assert self.graph.call(self._set, request).result.successful
        answer = self.graph.call(self._reset, Trigger.Request())
        assert answer.success, answer.message
        reply: dict[str, Any] = json.loads(answer.message)
        return reply

    def picture(self) -> NDArray[np.uint8]:
        """Return an image taken after now, RGB, shape (H, W, 3)."""
        now = self.time
        self.images.clear()
        self.graph.spin_until(
            lambda: bool(self.images) and nanoseconds(self.images[-1].header.stamp) * 1e-9 > now, "an image"
        )
        return rgb_of(self.images[-1])


@pytest.fixture(scope="module", params=WORLDS, ids=lambda world: world.name)
def world(request: pytest.FixtureRequest) -> World:
    found: World = request.param
    if absent := found.missing():
        pytest.skip(absent)
    return found


@pytest.fixture(scope="module")
def drivers(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drivers]:
    folder = tmp_path_factory.mktemp(world.name)
    with ros_graph(folder / "ros") as graph, world.drivers(folder / "logs"):
        yield Drivers(graph)
