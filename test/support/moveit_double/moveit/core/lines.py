"""Pilz LIN: a straight line of the tool, timed within all limits, from rest to rest."""

import numpy as np
from numpy.typing import NDArray

from moveit.core import faults
from moveit.core.robot_model import RobotModel
from moveit.core.robot_trajectory import RobotTrajectory
from qtopt_policy.geometry import Pose

SPACING, TURN = 0.01, 0.05  # of a line's points [m, rad]
PERIOD = 0.05  # of a trajectory's points [s]


def straight(
    model: RobotModel, q: NDArray[np.float64], goal: Pose, velocity: float, acceleration: float
) -> RobotTrajectory | None:
    """Return the line from joint positions `q` to `goal` (model frame), or None without a solution.

    `velocity` and `acceleration` scale the limits, as in a plan request.
    """
    start = model.kinematics.forward(q)
    length, angle = start.distance(goal), start.angle(goal)
    count = max(2, int(np.ceil(max(length / SPACING, angle / TURN))))
    path = [q]
    for i in range(count):
        found = model.kinematics.solve(start.interpolate(goal, (i + 1) / count), path[-1])
        if not found.converged:
            return None
        path.append(found.q)
    trajectory = RobotTrajectory(model)
    trajectory.joint_model_group_name = model.group
    trajectory.path = np.array(path)
    top, ramp = _limits(model, trajectory.path, max(length, 1e-9), max(angle, 1e-9))
    if faults.due("too_fast"):
        top, ramp = 2.5 * top, 50.0 * ramp
    trajectory.retime(velocity * top, acceleration * ramp, PERIOD)
    return trajectory


def _limits(model: RobotModel, path: NDArray[np.float64], length: float, angle: float) -> tuple[float, float]:
    """Return speed and acceleration along a path, in paths per second."""
    limits = model.cartesian
    assert limits["max_trans_dec"] < 0.0
    gradient = np.abs(np.gradient(path, np.linspace(0.0, 1.0, len(path)), axis=0)).max(axis=0) + 1e-9
    joint_speed = float((model.velocities / gradient).min())
    joint_acceleration = float((0.5 * model.accelerations / gradient).min())
    speed = min(limits["max_trans_vel"] / length, limits["max_rot_vel"] / angle, joint_speed)
    return speed, min(limits["max_trans_acc"] / length, joint_acceleration)
