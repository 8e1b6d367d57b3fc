"""How smooth the embedded servo's motion is as a controller follows it, against a robot's datasheet (no ROS).

Targets that a graph recorded are fed to ServoLoop as they came, and disturbed: jumps, gaps, duplicates. What
the loop sends is followed as joint_trajectory_controller does (cubic splines, sim/joint_trajectory.py) and
sampled at 1 kHz, the rate of FR3-class robots, whose control aborts on motions that are not smooth at that
rate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.kinematics import Kinematics
from grasp_bringup.servo import ServoConfig, ServoCore
from grasp_bringup.servo_loop import Plan, ServoLoop
from grasp_bringup.sim.joint_trajectory import TrajectoryFollower, Waypoint
from qtopt_policy.errors import ConfigError, ShapeError
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import Limits

F64 = NDArray[np.float64]

TICK = 10_000_000  # [ns] between ticks of the servo
RATE = 1000  # [Hz] at which the robot takes set points
NAMES = ("velocity", "acceleration", "jerk")


@dataclass(frozen=True, eq=False)
class JointLimits:
    """Bounds per joint, shape (n,): velocity [rad/s], acceleration [rad/s2], jerk [rad/s3]."""

    velocity: F64
    acceleration: F64
    jerk: F64


# https://frankarobotics.github.io/docs (frankarobotics/docs 5f28326), control-parameters-joint-*.csv.
DATASHEETS = {
    # Franka Research 3. Its velocity limits fall towards the ends of the joints; these are the rectangular
    # ones (-fr3-rectangular.csv), which hold in most of the range whatever the position.
    "fr3": JointLimits(np.array([2.0, 1.0, 1.5, 1.25, 3.0, 1.5, 3.0]), np.full(7, 10.0), np.full(7, 5000.0)),
    # Franka Emika Robot ("Panda").
    "panda": JointLimits(
        np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61]),
        np.array([15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0]),
        np.array([7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0]),
    ),
}


@dataclass(frozen=True, eq=False)
class TimedPose:
    """A target pose (base frame) that comes at `time` [s]."""

    time: float
    pose: Pose


def read_targets(path: Path) -> list[TimedPose]:
    """Read recorded targets: a CSV file with the columns t,x,y,z,qx,qy,qz,qw.

    Raises:
        ConfigError: the file is missing or malformed.
    """
    try:
        rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        return [TimedPose(float(row[0]), Pose.from_array(row[1:])) for row in rows]
    except (OSError, ValueError, ShapeError) as error:
        raise ConfigError(f"{path}: expected columns t,x,y,z,qx,qy,qz,qw: {error}") from error


def with_duplicates(targets: Sequence[TimedPose]) -> list[TimedPose]:
    """Return the targets with every third one three times at once."""
    return [target for i, target in enumerate(targets) for _ in range(3 if i % 3 == 0 else 1)]


def with_gaps(targets: Sequence[TimedPose]) -> list[TimedPose]:
    """Return the targets without those of 0.4 s in every 1.2 s: longer than the wish timeout."""
    return [target for target in targets if target.time % 1.2 < 0.8]


def with_jumps(targets: Sequence[TimedPose]) -> list[TimedPose]:
    """Return the targets with every fifth one 0.12 m aside, to and fro, as no guard would let through."""
    aside = np.array([0.0, 0.12, 0.05])
    signs = [0.0 if i % 5 else (-1.0) ** (i // 5) for i in range(len(targets))]
    return [
        TimedPose(target.time, Pose(target.pose.position + sign * aside, target.pose.quaternion))
        for target, sign in zip(targets, signs, strict=True)
    ]


DISTURBANCES: dict[str, Callable[[Sequence[TimedPose]], list[TimedPose]]] = {
    "as recorded": list,
    "duplicates": with_duplicates,
    "gaps": with_gaps,
    "jumps": with_jumps,
}


def follow(
    kinematics: Kinematics, limits: Limits, start: F64, targets: Sequence[TimedPose], config: ServoConfig
) -> F64:
    """Return the robot's set points at RATE until 0.5 s after the last target, shape (samples, n)."""
    core = ServoCore(kinematics, limits, TICK * 1e-9, config)
    loop = ServoLoop(core)
    follower = TrajectoryFollower(kinematics.joints, start)
    steps = TICK * RATE // 1_000_000_000
    path: list[F64] = []
    waiting = sorted(targets, key=lambda target: target.time)
    for tick in range(round((waiting[-1].time + 0.5) * 1e9 / TICK)):
        now = tick * TICK
        loop.joint_state(follower.sample(now * 1e-9), now * 1e-9)
        while waiting and waiting[0].time * 1e9 <= now:
            loop.target(waiting.pop(0).pose, now, now, now * 1e-9)
        plan = loop.tick(now, now * 1e-9)
        if plan is not None:
            follower.accept(kinematics.joints, _waypoints(plan), now * 1e-9)
        path += [follower.sample(now * 1e-9 + i / RATE) for i in range(steps)]
    return np.array(path)


def _waypoints(plan: Plan) -> list[Waypoint]:
    return [Waypoint(plan.stamp * 1e-9 + point.time, point.q, point.dq) for point in plan.points]


def derivatives(path: F64) -> dict[str, F64]:
    """Return velocity, acceleration and jerk of set points sampled at RATE, by differences."""
    found = {}
    values = path
    for name in NAMES:
        values = np.diff(values, axis=0) * RATE
        found[name] = values
    return found


def shares(path: F64, limits: JointLimits) -> dict[str, F64]:
    """Return the largest share of each limit that each joint uses, shape (n,) per name of NAMES."""
    return {
        name: np.abs(values).max(axis=0) / getattr(limits, name) for name, values in derivatives(path).items()
    }
