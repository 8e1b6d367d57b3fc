"""A rig for one executor: its process, a fake robot, and the test in the guard's place."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray

from conformance.executors import EXECUTORS, Executor
from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.processes import Child
from grasp_bringup.sim.cell_node import waypoints
from grasp_bringup.sim.joint_trajectory import TrajectoryFollower
from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, OK, nanoseconds, status
from qtopt_policy.geometry import Array, Pose, pointing_down
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.fake_driver import PERIOD, FakeDriver, FakeWisher
from support.graph import Graph, ros_graph


class Rig:
    """An executor's process between fake wishes and a fake robot that stands in a corner of its workspace."""

    def __init__(self, graph: Graph, executor: Executor, folder: Path) -> None:
        self.graph, self.executor = graph, executor
        self.robot = load_robot(resolve(Path("config/robots/sim.yaml")))
        self.kinematics = kinematics_of(self.robot)
        limits = self.robot.limits
        self.start = pointing_down(np.array([limits.workspace_min[0] + 0.02, -0.12, 0.12]), 0.0)
        q = self.kinematics.solve(self.start, self.robot.home).q
        self.driver = graph.add(FakeDriver(self.robot.arm_joints, q))
        self.wisher = graph.add(FakeWisher(self.robot.base_frame, "guard", topics.TARGET_POSE))
        self._state = self.wisher.create_publisher(DiagnosticArray, topics.ARM_STATE, LATCHED_QOS)
        command = [sys.executable, "-m", executor.module, "--ros-args", *executor.parameters]
        source = Path(__file__).parents[2] / "src"
        paths = [str(source), *map(str, executor.paths), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | dict(executor.environment)
        self.process = Child(executor.name, command, environment, folder / f"{executor.name}.log")
        graph.spin_until(
            lambda: (
                self.driver.count_subscribers(topics.TARGET_POSE) > 0
                and self.driver.count_publishers(topics.ARM_COMMAND) > 0
            ),
            f"the executor; {self.process.log}",
        )
        graph.spin(0.5)  # joint states reach it

    @property
    def tool(self) -> Pose:
        return self.kinematics.forward(self.driver.q)

    def away(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> Pose:
        """Return a pose relative to the start."""
        return pointing_down(self.start.position + np.array([x, y, z]), yaw)

    @property
    def far(self) -> Pose:
        """A pose more than 30 cm away."""
        return self.away(0.22, 0.2, 0.1)

    def hold(self) -> None:
        """Say what the guard says when the arm is stopped."""
        values: dict[str, object] = {"stopped": 1, "holding": 1}
        self._state.publish(DiagnosticArray(status=[status("arm", OK, "", values)]))

    def wait_motion(self, distance: float = 0.02) -> None:
        begun = self.tool
        self.graph.spin_until(lambda: self.tool.distance(begun) > distance, "motion")

    def wait_rest(self) -> None:
        self.graph.spin_until(lambda: self.driver.standing, "the arm's rest")

    def wait_arrival(self, target: Pose) -> None:
        self.graph.spin_until(
            lambda: (
                self.tool.distance(target) < 0.003
                and self.tool.angle(target) < 0.035
                and self.driver.standing
            ),
            f"rest at {target.position.tolist()}",
        )

    def commanded(self) -> Array:
        """Return the joint positions every PERIOD that a controller without delays follows, shape (T, n)."""
        trajectories = self.driver.trajectories
        stamps = [nanoseconds(message.header.stamp) * 1e-9 for message in trajectories]
        follower = TrajectoryFollower(self.robot.arm_joints, self.driver.path[0][1])
        path = []
        for message, start, end in zip(trajectories, stamps, [*stamps[1:], stamps[-1] + 0.2], strict=True):
            follower.accept(message.joint_names, waypoints(message, start), start)
            path += [follower.sample(float(t)) for t in np.arange(start, end, PERIOD)]
        return np.array(path)


@pytest.fixture(params=EXECUTORS, ids=lambda executor: executor.name)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made: list[Child] = []
    try:
        with ros_graph(tmp_path) as graph:
            built = Rig(graph, request.param, tmp_path)
            made.append(built.process)
            try:
                yield built
            finally:
                built.process.stop()
    finally:
        for process in made:
            process.remove_leftovers(but=(os.getpid(),))
