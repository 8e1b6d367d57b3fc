"""Geometry of one straight move: where it ends, its points, its joint steps and its speeds (no ROS)."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.kinematics import Kinematics
from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import Limits

Array = NDArray[np.float64]

# Speeds come from differences between a planner's points; so much above a limit passes.
TOLERANCE = 1.05


def step_towards(measured: Pose, target: Pose, limits: Limits) -> Pose:
    """Return the target, or the pose on the way to it that lies one step away.

    A trajectory outlives the process that sent it: no longer than a step, it ends soon.
    """
    distance, angle = measured.distance(target), measured.angle(target)
    shares = [1.0]
    if distance > limits.max_step_length:
        shares.append(limits.max_step_length / distance)
    if angle > limits.max_step_yaw:
        shares.append(limits.max_step_yaw / angle)
    share = min(shares)
    return target if share == 1.0 else measured.interpolate(target, share)


def line(start: Pose, goal: Pose, spacing: float, turn: float) -> list[Pose]:
    """Return poses on the straight way from `start` (left out) to `goal`, evenly spaced.

    Args:
        start: where the way begins.
        goal: where it ends, in the same frame.
        spacing: largest distance between neighbours [m].
        turn: largest rotation between neighbours [rad].
    """
    pieces = max(start.distance(goal) / spacing, start.angle(goal) / turn, 1.0)
    count = int(np.ceil(pieces - 1e-9))
    return [start.interpolate(goal, (i + 1) / count) for i in range(count)]


def joint_jump(path: Array, largest: float) -> str:
    """Return where neighbouring rows of joint positions, shape (T, n), differ by more than `largest` [rad].

    A solver without memory may take another branch of a redundant arm. Empty if it did not.
    """
    steps = np.abs(np.diff(path, axis=0)).max(axis=1)
    worst = int(np.argmax(steps))
    if steps[worst] <= largest:
        return ""
    return f"{steps[worst]:.3f} rad between points {worst} and {worst + 1}, at most {largest} rad"


def flaw(times: Array, path: Array) -> str:
    """Return why the points of a trajectory are none that a controller can follow; empty: they are.

    No comparison with NaN holds, so what is not finite must be found before any speed is compared.

    Args:
        times: of the points [s], shape (T,).
        path: joint positions [rad], shape (T, n).
    """
    if not np.isfinite(times).all():
        return f"time of point {int(np.argmin(np.isfinite(times)))} is not finite"
    if not np.isfinite(path).all():
        return f"joint positions of point {int(np.argmin(np.isfinite(path).all(axis=1)))} are not finite"
    standing = np.flatnonzero(np.diff(times) <= 0.0)
    if len(standing):
        index = int(standing[0])
        return f"times do not rise: point {index} at {times[index]} s, the next one at {times[index + 1]} s"
    return ""


def excess(times: Array, path: Array, kinematics: Kinematics, limits: Limits) -> float:
    """Return by which factor a trajectory is faster than the limits allow; 1 or less: it keeps them.

    Args:
        times: of the points [s], shape (T,), rising.
        path: joint positions [rad], shape (T, n).
        kinematics: of the arm.
        limits: whose tool speeds and share of the joint speeds hold.

    Raises:
        ShapeError: `flaw` finds one.
    """
    if found := flaw(times, path):
        raise ShapeError(found)
    if len(times) < 2:
        return 0.0
    elapsed = np.diff(times)
    joints = np.abs(np.diff(path, axis=0)) / elapsed[:, None]
    allowed = limits.joint_speed_fraction * kinematics.velocity_limits
    poses = [kinematics.forward(q) for q in path]
    pairs = list(pairwise(poses))
    speeds = np.array([a.distance(b) for a, b in pairs]) / elapsed
    turns = np.array([a.angle(b) for a, b in pairs]) / elapsed
    worst = (
        (joints / allowed).max(),
        speeds.max() / limits.max_tool_speed,
        turns.max() / limits.max_tool_yaw_speed,
    )
    return float(max(worst))
