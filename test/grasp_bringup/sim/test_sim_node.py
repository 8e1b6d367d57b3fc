"""sim_node in a real graph: what drivers publish, what controllers take, time, resets, lockstep."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray, Header
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_bringup.sim.scene import Scene
from grasp_bringup.sim.sim_node import PICTURE_TICKS, SimNode
from qtopt_policy import topics
from qtopt_policy.base_node import (
    RECORD_QOS,
    SENSOR_QOS,
    BaseNode,
    as_dict,
    nanoseconds,
    time_message,
)
from qtopt_policy.errors import UnknownNameError
from support.graph import Graph, ros_graph

pytestmark = pytest.mark.graph

PERIOD = 10_000_000  # [ns] of a tick


class Driver(Node):  # type: ignore[misc]
    """Keeps what sim_node publishes and commands its controllers."""

    def __init__(self) -> None:
        super().__init__("driver")
        self.clock: list[int] = []
        self.joints: list[JointState] = []
        self.images: list[Image] = []
        self.infos: list[CameraInfo] = []
        self.truths: list[dict[str, str]] = []
        self.diagnostics: dict[str, tuple[bytes, str]] = {}
        keep = self.create_subscription
        keep(Clock, "/clock", lambda m: self.clock.append(nanoseconds(m.clock)), RECORD_QOS)
        keep(JointState, topics.JOINT_STATES, self.joints.append, RECORD_QOS)
        keep(Image, topics.IMAGE, self.images.append, SENSOR_QOS)
        keep(CameraInfo, topics.CAMERA_INFO, self.infos.append, SENSOR_QOS)
        keep(DiagnosticArray, topics.SIM_TRUTH, self._on_truth, RECORD_QOS)
        keep(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, RECORD_QOS)
        self.arm = self.create_publisher(JointTrajectory, topics.ARM_COMMAND, RECORD_QOS)
        self.gripper = self.create_publisher(Float64MultiArray, topics.GRIPPER_COMMAND, RECORD_QOS)

    def _on_truth(self, message: DiagnosticArray) -> None:
        self.truths.append(as_dict(message.status[0]))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for entry in message.status:
            self.diagnostics[entry.name] = (entry.level, entry.message)

    @property
    def stamp(self) -> int:
        return nanoseconds(self.joints[-1].header.stamp)

    def position(self, joint: str) -> float:
        message = self.joints[-1]
        return float(message.position[list(message.name).index(joint)])


class Bench:
    """sim_node, ticked by the test, and a driver of it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sim = graph.start(SimNode())
        self.driver = graph.add(Driver())
        self.wait(lambda: self.driver.arm.get_subscription_count() == 1, "sim_node's subscriptions")
        self.wait(lambda: self.driver.gripper.get_subscription_count() == 1, "sim_node's subscriptions")
        self.wait(lambda: self.driver.count_publishers(topics.JOINT_STATES) == 1, "its publishers")
        self.graph.spin(0.3)  # endpoints match a little after they are known

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self.graph.spin_until(condition, what)

    def tick(self, count: int = 1) -> None:
        """Tick and let the driver take everything before the next tick."""
        for _ in range(count):
            self.sim.tick(0.0)
            self.wait(partial(self._seen, self.sim.ticks * PERIOD), "the tick")

    def _seen(self, stamp: int) -> bool:
        driver = self.driver
        return bool(driver.clock and driver.joints) and driver.clock[-1] == stamp == driver.stamp

    def set(self, **values: Any) -> None:
        client = self.driver.create_client(SetParametersAtomically, "sim_node/set_parameters_atomically")
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=parameters)
        assert self.graph.call(client, request).result.successful

    def reset(self) -> tuple[bool, str, int]:
        """Call sim/reset; return success, message and the ticks that it took."""
        client = self.driver.create_client(Trigger, topics.SIM_RESET)
        self.wait(client.service_is_ready, "sim/reset")
        before = self.sim.ticks
        future = client.call_async(Trigger.Request())
        self.graph.spin(0.2)
        while not future.done():
            self.sim.tick(0.0)
            self.graph.spin(0.005)
            assert self.sim.ticks < before + 1000
        return future.result().success, future.result().message, self.sim.ticks - before


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Open a bench; arguments are ROS parameters of sim_node."""
    opened: list[Any] = []

    def start(**parameters: str) -> Bench:
        rules = [f"sim_node:{name}:={value}" for name, value in parameters.items()]
        opened.append(ros_graph(tmp_path, rules))
        return Bench(opened[-1].__enter__())

    yield start
    for context in opened:
        context.__exit__(None, None, None)


Open = Callable[..., Bench]


def test_clock_and_joints_come_with_each_tick_and_images_with_each_tenth(bench: Open) -> None:
    cell = bench()
    cell.tick(3 * PICTURE_TICKS)
    driver = cell.driver
    cell.wait(lambda: len(driver.images) == len(driver.infos) == 3, "three images")
    stamps = [(tick + 1) * PERIOD for tick in range(30)]
    assert driver.clock == stamps
    assert [nanoseconds(message.header.stamp) for message in driver.joints] == stamps
    for messages in (driver.images, driver.infos):
        assert [nanoseconds(message.header.stamp) for message in messages] == stamps[9::10]


def test_the_camera_is_the_robot_s(bench: Open) -> None:
    cell = bench(camera="shoulder")
    cell.tick(PICTURE_TICKS)
    cell.wait(lambda: bool(cell.driver.images and cell.driver.infos), "an image")
    image, info = cell.driver.images[0], cell.driver.infos[0]
    model = cell.sim.world.camera_model("shoulder")
    assert (image.width, image.height, image.encoding) == (model.width, model.height, "rgb8")
    assert image.header.frame_id == info.header.frame_id == "shoulder_camera_optical_frame"
    np.testing.assert_array_equal(np.array(info.k).reshape(3, 3), model.matrix)
    picture = np.frombuffer(image.data, dtype=np.uint8).reshape(model.height, model.width, 3)
    assert picture.std() > 5.0
    np.testing.assert_array_equal(picture, cell.sim.world.render("shoulder"))


def test_joint_states_are_those_of_the_world(bench: Open) -> None:
    cell = bench()
    cell.tick()
    sample, message = cell.sim.world.joint_sample(), cell.driver.joints[-1]
    assert tuple(message.name) == sample.names
    np.testing.assert_array_equal(message.position, sample.position)
    np.testing.assert_array_equal(message.velocity, sample.velocity)
    np.testing.assert_array_equal(message.effort, sample.effort)


def trajectory(cell: Bench, move: float, duration: float, stamp: int = 0) -> JointTrajectory:
    robot = cell.sim.world.robot
    goal = np.array(robot.home) + np.eye(len(robot.home))[0] * move
    point = JointTrajectoryPoint(positions=goal.tolist(), velocities=[0.0] * len(goal))
    point.time_from_start.nanosec = round(duration * 1e9)
    message = JointTrajectory(joint_names=list(robot.arm_joints), points=[point])
    message.header.stamp = time_message(stamp)
    return message


def test_a_trajectory_moves_the_arm_and_its_end_is_held(bench: Open) -> None:
    cell = bench()
    cell.driver.arm.publish(trajectory(cell, 0.1, 0.4))
    cell.graph.spin(0.2)
    cell.tick(20)
    assert cell.driver.position("joint1") == pytest.approx(0.05, abs=0.01)  # half of the way
    cell.tick(60)
    assert cell.driver.position("joint1") == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"joint_names": ["joint1"]}, "trajectory: joints ['joint1']"),
        ({"points": []}, "do not rise"),
        ({"points": [JointTrajectoryPoint(positions=[float("nan")] * 7)]}, "positions of point 0"),
        ({"header": Header(stamp=time_message(PERIOD // 2))}, "is not after now"),
    ],
)
def test_a_wrong_trajectory_is_reported_and_moves_nothing(
    bench: Open, change: dict[str, Any], text: str
) -> None:
    cell = bench()
    cell.tick(5)
    message = trajectory(cell, 0.1, 0.01)
    for name, value in change.items():
        setattr(message, name, value)
    before = cell.driver.position("joint1")
    cell.driver.arm.publish(message)
    cell.wait(lambda: "sim_node: trajectory" in cell.driver.diagnostics, "a report")
    level, found = cell.driver.diagnostics["sim_node: trajectory"]
    assert level == b"\x01"
    assert text in found
    cell.tick(10)
    assert cell.driver.position("joint1") == pytest.approx(before, abs=1e-4)


def test_the_gripper_goes_where_it_is_commanded(bench: Open) -> None:
    cell = bench()
    cell.driver.gripper.publish(Float64MultiArray(data=[0.02]))
    cell.graph.spin(0.2)
    cell.tick(60)
    assert cell.driver.position("finger_joint1") == pytest.approx(0.02, abs=2e-3)


@pytest.mark.parametrize("data", [[], [0.0, 0.0], [float("nan")]])
def test_a_wrong_gripper_command_is_reported(bench: Open, data: list[float]) -> None:
    cell = bench()
    cell.driver.gripper.publish(Float64MultiArray(data=data))
    cell.wait(lambda: "sim_node: gripper" in cell.driver.diagnostics, "a report")
    assert cell.driver.diagnostics["sim_node: gripper"][0] == b"\x01"
    cell.tick(10)
    assert cell.driver.position("finger_joint1") == pytest.approx(0.04, abs=1e-3)


def test_a_reset_replaces_the_objects_in_simulated_time_and_leaves_the_arm(bench: Open) -> None:
    cell = bench(seed="1")
    cell.driver.arm.publish(trajectory(cell, 0.1, 0.2))
    cell.graph.spin(0.2)
    cell.tick(60)
    arm, clock = cell.driver.position("joint1"), cell.driver.clock[-1]
    cell.set(seed=5, split="test")
    done, message, ticks = cell.reset()
    reply = json.loads(message)
    assert done
    assert (reply["seed"], reply["split"]) == (5, "test")
    assert ticks >= 2
    cell.tick(PICTURE_TICKS)
    assert cell.driver.position("joint1") == pytest.approx(arm, abs=1e-3)
    assert cell.driver.clock == sorted(cell.driver.clock)
    assert cell.driver.clock[-1] > clock
    cell.wait(lambda: cell.driver.truths[-1]["seed"] == "5", "the truth of the new scene")
    assert len(json.loads(cell.driver.truths[-1]["object_poses"])) == reply["objects"]


def test_the_scene_is_that_of_its_seed(bench: Open) -> None:
    cell = bench(seed="3")

    def scene() -> Scene:
        assert cell.sim.world.scene is not None
        return cell.sim.world.scene

    first = [item.shape for item in scene().objects]
    cell.set(seed=4)
    cell.reset()
    assert [item.shape for item in scene().objects] != first
    cell.set(seed=3)
    cell.reset()
    assert [item.shape for item in scene().objects] == first


@pytest.mark.parametrize(
    ("values", "text"), [({"split": "exam"}, "'exam'"), ({"seed": -1}, "scene seed -1: must be in 0")]
)
def test_a_reset_to_a_scene_that_does_not_exist_is_refused(
    bench: Open, values: dict[str, Any], text: str
) -> None:
    cell = bench()
    before = cell.sim.world.scene
    cell.set(**values)
    done, message, _ = cell.reset()
    assert not done
    assert text in message
    assert cell.sim.world.scene is before


def test_an_unknown_camera_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with ros_graph(tmp_path, ["sim_node:camera:=elbow"]) as graph:
        node = graph.add(SimNode())
        with pytest.raises(UnknownNameError, match=r"camera 'elbow'\. Valid choices: shoulder, wrist"):
            node.setup()


class Consumer(BaseNode):
    """A node that takes part in lockstep: confirms images, handles messages only when it is spun."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.images: list[int] = []
        self.joints: list[int] = []
        self._taken = self.create_publisher(Header, topics.IMAGE_TAKEN, RECORD_QOS)
        self.create_subscription(Image, topics.IMAGE, self._on_image, SENSOR_QOS)
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, RECORD_QOS)

    def _on_image(self, message: Image) -> None:
        self.images.append(nanoseconds(message.header.stamp))
        self._taken.publish(Header(stamp=message.header.stamp, frame_id=self.get_name()))

    def _on_joints(self, message: JointState) -> None:
        self.joints.append(nanoseconds(message.header.stamp))


def test_in_lockstep_nothing_is_lost_however_slow_the_consumers(tmp_path: Path) -> None:
    """The simulator may run as fast as it can; each consumer is spun now and then, by chance."""
    names = ["eager", "lazy"]
    rules = [f"{name}:use_sim_time:=true" for name in names]
    rules += ["sim_node:rtf:=0.0", "sim_node:lockstep:=true", "sim_node:lockstep_consumers:=[eager, lazy]"]
    rng = np.random.default_rng(0)
    with ros_graph(tmp_path, rules):
        own = SingleThreadedExecutor()
        sim = SimNode()
        assert sim.start()
        own.add_node(sim)
        consumers = [Consumer(name) for name in names]
        executors = [SingleThreadedExecutor() for _ in names]
        for executor, consumer in zip(executors, consumers, strict=True):
            assert consumer.start()
            executor.add_node(consumer)
        limit = 300
        while sim.ticks < limit:
            sim.step(own)
            for executor, chance in zip(executors, (0.8, 0.3), strict=True):
                if rng.random() < chance:
                    for _ in range(int(rng.integers(1, 12))):
                        executor.spin_once(timeout_sec=0.0)
        for _ in range(100):
            sim.step(own)
            for executor in executors:
                executor.spin_once(timeout_sec=0.001)
        last = sim.ticks * PERIOD
        for consumer in consumers:
            images = sorted(set(consumer.images))
            assert len(images) >= 25
            assert np.diff(images).tolist() == [PICTURE_TICKS * PERIOD] * (len(images) - 1)
            assert last - images[-1] < 3 * PICTURE_TICKS * PERIOD
            joints = sorted(set(consumer.joints))
            assert np.diff(joints).tolist() == [PERIOD] * (len(joints) - 1)
        for node in (sim, *consumers):
            node.destroy_node()


def test_without_lockstep_the_same_slow_consumer_loses_images(tmp_path: Path) -> None:
    """Shows that the test above can fail."""
    with ros_graph(tmp_path, ["sim_node:rtf:=0.0", "lazy:use_sim_time:=true"]) as graph:
        own = SingleThreadedExecutor()
        sim = SimNode()
        assert sim.start()
        own.add_node(sim)
        lazy = graph.start(Consumer("lazy"))
        while sim.ticks < 1000:
            sim.step(own)
            if sim.ticks % 50 == 0:
                graph.spin(0.01)
        graph.spin(0.2)
        assert len(set(lazy.images)) < 60
        sim.destroy_node()
