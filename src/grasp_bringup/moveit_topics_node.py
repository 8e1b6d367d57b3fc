"""The topics of moveit_node: target, joint states and holds in, diagnostics out (no MoveIt)."""

import shutil
import tempfile
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from sensor_msgs.msg import JointState

from grasp_bringup.executor_node import ExecutorNode
from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.motion_node import JOINT_QOS
from grasp_bringup.moveit_config import moveit_parameters, write_parameters
from grasp_bringup.moveit_inputs import MoveConfig, MoveInputs
from grasp_bringup.moveit_motion import Arm, MoveLoop
from qtopt_policy import topics
from qtopt_policy.base_node import OK, nanoseconds
from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose
from qtopt_policy.joint_buffer import JointBuffer
from qtopt_policy.robot import RobotConfig

REPORT_PERIOD = 0.5  # [s] of the steady clock


class ReleasableArm(Arm, Protocol):
    """An arm that must be let go of before the process ends."""

    def release(self) -> None:
        """Let go; nothing else is called afterwards."""


class MoveItTopicsNode(ExecutorNode):
    """Connects MoveLoop with topics and clocks; what it moves is made by `make_arm`.

    Parameters (ROS): `robot` and the fields of MoveConfig, which only a start can set.
    """

    def __init__(self) -> None:
        super().__init__("moveit_node")
        self.declare_config(MoveConfig())
        self._steady_lock = Lock()
        self._loop: MoveLoop | None = None
        self._arm: ReleasableArm | None = None
        self._file: Path | None = None

    def setup(self) -> None:
        """Start MoveIt and connect it."""
        robot, config = self.robot(), self.read_config(MoveConfig)
        self._joints = robot.arm_joints
        self._inputs = MoveInputs(config, self.steady_now)
        self._buffer = JointBuffer()
        self._arm = self.make_arm(robot, self._parameter_file(robot), config)
        self._loop = MoveLoop(
            self._arm, self._inputs, kinematics_of(robot), robot.limits, config, self.now_ns
        )
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, JOINT_QOS)
        self.take_targets(robot)
        self.create_timer(REPORT_PERIOD, self._report, clock=self.steady_clock)
        self._loop.start()

    def make_arm(self, robot: RobotConfig, parameters: Path, config: MoveConfig) -> ReleasableArm:
        """Return what plans and moves.

        Args:
            robot: whose group, frames and limits hold.
            parameters: file of MoveIt's parameters, as moveit_config.write_parameters writes them.
            config: planner and its thresholds.
        """
        raise NotImplementedError

    def _parameter_file(self, robot: RobotConfig) -> Path:
        """Write MoveIt's parameters with the robot's limits and this node's clock; return the file."""
        parameters = moveit_parameters(robot) | {"use_sim_time": self.simulated}
        folder = Path(tempfile.mkdtemp(prefix="moveit_node_"))
        self._file = write_parameters(parameters, folder / "moveit.yaml")
        return self._file

    def steady_now(self) -> float:
        """Return the time that watchdogs count [s]; from any thread."""
        with self._steady_lock:
            return super().steady_now()

    def _on_joints(self, message: JointState) -> None:
        names, positions, velocities = list(message.name), list(message.position), list(message.velocity)
        try:
            stamp, steady = nanoseconds(message.header.stamp), self.steady_now()
            self._buffer.update(names, positions, velocities, [], stamp, steady)
        except ShapeError as error:
            self.note("joint_state", str(error))
            return
        snapshot = self._buffer.snapshot(self._joints)
        if snapshot is not None and set(names) & set(self._joints):
            self._inputs.joint_state(snapshot.position, snapshot.velocity)

    def note(self, name: str, detail: str) -> None:
        """Count a finding."""
        self._inputs.note(name, detail)

    def target(self, pose: Pose, stamp: int) -> None:
        """Take a target."""
        self._inputs.target(pose, stamp, self.now_ns())

    def hold(self, reason: str) -> None:
        """Stop now."""
        self._inputs.hold(reason)

    def on_deactivate(self, state: Any) -> Any:
        """Stop; take no targets any more."""
        self.hold("not active")
        return super().on_deactivate(state)

    def _report(self) -> None:
        assert self._loop is not None
        self.report("motion", OK, self._loop.state, moves=self._loop.moves)
        self.report_fired(*self._inputs.findings())

    def destroy_node(self) -> Any:
        """Stop the arm, let go of MoveIt, then end."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        if self._arm is not None:
            self._arm.release()
            self._arm = None
        if self._file is not None:
            shutil.rmtree(self._file.parent, ignore_errors=True)
        return super().destroy_node()
