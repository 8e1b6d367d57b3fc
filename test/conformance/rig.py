"""A rig for one executor: its process, a fake robot, and the test in the guard's place."""

import os
import sys
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from trajectory_msgs.msg import JointTrajectory

from conformance.executors import Executor
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
from support.graph import Graph


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
        message = DiagnosticArray(status=[status("arm", OK, "", values)])
        message.header.stamp = self.wisher.get_clock().now().to_msg()
        self._state.publish(message)

    def now(self) -> float:
        """Return the time of the stamps [s]."""
        return float(self.wisher.get_clock().now().nanoseconds) * 1e-9

    def other_side(self) -> Pose:
        """Return the start or the far pose, whichever is farther away."""
        return max((self.start, self.far), key=self.tool.distance)

    def move(self) -> int:
        """Begin to move far; return how many trajectories there were before."""
        count = len(self.driver.trajectories)
        self.wisher.target = self.other_side()
        self.wait_motion()
        return count

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

    def positions(self, message: JointTrajectory) -> Array:
        """Return a trajectory's points in the order of the robot's joints [rad], shape (T, n)."""
        order = [list(message.joint_names).index(name) for name in self.robot.arm_joints]
        return np.array([point.positions for point in message.points])[:, order]

    def commanded(self, first: int = 0) -> tuple[Array, Array]:
        """Return what a controller without delays follows from trajectory number `first` on.

        Times [s], one per PERIOD, shape (T,), and joint positions [rad], shape (T, n).
        """
        trajectories = self.driver.trajectories[first:]
        stamps = [nanoseconds(message.header.stamp) * 1e-9 for message in trajectories]
        before = [q for time, q in self.driver.path if time < stamps[0]]
        follower = TrajectoryFollower(self.robot.arm_joints, before[-1])
        times, path = [], []
        for message, start, end in zip(trajectories, stamps, [*stamps[1:], stamps[-1] + 0.2], strict=True):
            follower.accept(message.joint_names, waypoints(message, start), start)
            for t in np.arange(start, end, PERIOD):
                times.append(float(t))
                path.append(follower.sample(float(t)))
        return np.array(times), np.array(path)
