"""Double of RobotTrajectory."""

import numpy as np
from builtin_interfaces.msg import Duration
from moveit_msgs.msg import RobotTrajectory as RobotTrajectoryMessage
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from moveit.core import faults
from moveit.core.robot_model import RobotModel
from moveit.core.robot_state import RobotState
from moveit.core.timing import along, trapezoid

Array = NDArray[np.float64]


class RobotTrajectory:
    """Waypoints of a group with times."""

    def __init__(self, robot_model: RobotModel, /) -> None:
        self._model = robot_model
        self.joint_model_group_name = ""
        self.times: Array = np.zeros(0)
        self.path: Array = np.zeros((0, len(robot_model.joints)))
        self.speeds: Array = self.path

    def __len__(self) -> int:
        return len(self.path)

    def __getitem__(self, idx: int) -> RobotState:
        state = RobotState(self._model)
        state.set_joint_group_positions(self._model.group, self.path[idx])
        return state

    @property
    def duration(self) -> float:
        return float(self.times[-1]) if len(self) else 0.0

    def apply_totg_time_parameterization(
        self,
        velocity_scaling_factor: float,
        acceleration_scaling_factor: float,
        *,
        path_tolerance: float = 0.1,
        resample_dt: float = 0.1,
        min_angle_change: float = 0.001,
    ) -> bool:
        self._model.require_group(self.joint_model_group_name)
        for factor in (velocity_scaling_factor, acceleration_scaling_factor):
            assert 0.0 < factor <= 1.0, "MoveIt takes 1.0 instead, with a warning"
        if len(self) < 2 or faults.due("no_timing"):
            return False
        gradient = np.abs(np.gradient(self.path, np.linspace(0.0, 1.0, len(self)), axis=0)).max(axis=0)
        gradient = np.maximum(gradient, 1e-9)
        speed = float((velocity_scaling_factor * self._model.velocities / gradient).min())
        acceleration = float((acceleration_scaling_factor * self._model.accelerations / gradient).min())
        self.retime(speed, 0.5 * acceleration, resample_dt)
        return True

    def retime(self, speed: float, acceleration: float, period: float) -> None:
        """Time the path from rest to rest; speed and acceleration in paths per second."""
        times, share, rate = trapezoid(1.0, speed, acceleration, period)
        self.path, gradient = along(self.path, share)
        self.times, self.speeds = times, gradient * rate[:, None]
        if faults.due("repeated_stamp"):
            self.times[-1] = self.times[-2]
            self.path[-1] = self.path[-2]  # 0 rad in 0 s: a speed of NaN
        if faults.due("not_finite"):
            self.path[1, 0] = np.nan

    def get_robot_trajectory_msg(self, joint_filter: list[str] | None = None) -> RobotTrajectoryMessage:
        points = [
            JointTrajectoryPoint(positions=q.tolist(), velocities=v.tolist(), time_from_start=duration(t))
            for t, q, v in zip(self.times.tolist(), self.path, self.speeds, strict=True)
        ]
        message = JointTrajectory(joint_names=list(self._model.joints), points=points)
        return RobotTrajectoryMessage(joint_trajectory=message)

    def set_robot_trajectory_msg(
        self, robot_state: RobotState, msg: RobotTrajectoryMessage
    ) -> "RobotTrajectory":
        assert isinstance(robot_state, RobotState)
        message = msg.joint_trajectory
        assert list(message.joint_names) == list(self._model.joints)
        self.path = np.array([point.positions for point in message.points])
        starts = [point.time_from_start for point in message.points]
        self.times = np.array([start.sec + start.nanosec * 1e-9 for start in starts])
        self.speeds = np.zeros_like(self.path)
        return self


def duration(time: float) -> Duration:
    whole = round(time * 1e9)
    return Duration(sec=whole // 1_000_000_000, nanosec=whole % 1_000_000_000)
