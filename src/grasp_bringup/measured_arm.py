"""Where the arm really is: joint states in, tool pose and speeds out."""

from collections.abc import Sequence

import numpy as np

from grasp_bringup.effort import EffortWatch
from grasp_bringup.guard_types import GuardConfig
from grasp_bringup.joint_speeds import JointSpeeds
from grasp_bringup.kinematics import Kinematics
from grasp_bringup.wish import NANOSECOND, Finding
from qtopt_policy.geometry import Array, Pose
from qtopt_policy.joint_buffer import JointBuffer, JointSnapshot
from qtopt_policy.limits import Limits

BEYOND = 0.1  # [rad or m] that a joint may be measured beyond its limits


def joint_bounds(kinematics: Kinematics) -> dict[str, tuple[float, float]]:
    """Return the positions that the arm's joints can be measured at: no arm is far beyond its limits."""
    lower, upper = kinematics.lower - BEYOND, kinematics.upper + BEYOND
    ends = zip(lower.tolist(), upper.tolist(), strict=True)
    return dict(zip(kinematics.joints, ends, strict=True))


class MeasuredArm:
    """Merges joint states and computes the tool pose whenever all arm joints are newer than before.

    Attributes:
        snapshot: the latest state of all arm joints, None before the first.
        tool_pose: there, None before it.
        speeds: how fast the joints move.
        efforts: how hard the joints push.
    """

    def __init__(
        self, kinematics: Kinematics, limits: Limits, config: GuardConfig, max_effort: Sequence[float]
    ) -> None:
        self._kinematics = kinematics
        self._limits = limits
        self._joint_timeout = config.joint_timeout
        self._overspeed = config.overspeed
        self._overspeed_time = config.overspeed_time
        self._fast_since: int | None = None
        self.speeds = JointSpeeds(kinematics.joints, config.overspeed_time)
        self.efforts = EffortWatch(kinematics.joints, max_effort, config.effort_time)
        self._joints = JointBuffer(joint_bounds(kinematics))
        self.snapshot: JointSnapshot | None = None
        self.tool_pose: Pose | None = None

    def update(
        self,
        names: list[str],
        position: list[float],
        velocity: list[float],
        effort: list[float],
        stamp: int,
        steady: float,
    ) -> tuple[Pose, int] | None:
        """Merge one message; return the tool pose and its stamp [ns] if every arm joint is newer.

        Raises:
            ShapeError: the message cannot be used.
        """
        self._joints.update(names, position, velocity, effort, stamp, steady)
        snapshot = self._joints.snapshot(self._kinematics.joints)
        if snapshot is None or (self.snapshot is not None and snapshot.stamp == self.snapshot.stamp):
            return None
        self.snapshot = snapshot
        self.tool_pose = self._kinematics.forward(snapshot.position)
        readings = map(self._joints.reading, self._kinematics.joints)
        self.speeds.look([reading for reading in readings if reading is not None])
        return self.tool_pose, snapshot.stamp

    @property
    def missing(self) -> tuple[str, ...]:
        """Arm joints that no joint state has held yet."""
        return self._joints.missing(self._kinematics.joints)

    def silent(self, steady: float) -> tuple[str, ...]:
        """Return the arm joints without a reading for too long at the steady time `steady` [s]."""
        return self._joints.older_than(self._kinematics.joints, steady - self._joint_timeout)

    def too_fast(self) -> Finding | None:
        """Return a finding if the tool or a joint has been too fast for too long.

        A single sample is not enough: a command that came late makes a controller catch up for an instant.
        Nothing is found while the speed of a joint is not known (speeds.unchecked).
        """
        snapshot = self.snapshot
        if snapshot is None or self.speeds.unchecked:
            return None
        finding = self._fast(snapshot.position, self.speeds.latest)
        if finding is None:
            self._fast_since = None
            return None
        # A simulator started anew sets the clock back.
        since = snapshot.stamp if self._fast_since is None else min(self._fast_since, snapshot.stamp)
        self._fast_since = since
        lasted = (snapshot.stamp - since) * NANOSECOND
        return finding if lasted >= self._overspeed_time else None

    def too_strong(self) -> Finding | None:
        """Return a finding if a joint has pushed too hard for too long."""
        return None if self.snapshot is None else self.efforts.look(self.snapshot)

    def _fast(self, position: Array, velocity: Array) -> Finding | None:
        limits, factor = self._limits, self._overspeed
        speed = float(np.linalg.norm(self._kinematics.jacobian(position)[:3] @ velocity))
        if speed > factor * limits.max_tool_speed:
            return Finding("tool_speed", f"tool at {speed:.3f} m/s, limit {limits.max_tool_speed} m/s")
        allowed = limits.joint_speed_fraction * self._kinematics.velocity_limits
        worst = int((np.abs(velocity) / allowed).argmax())
        if abs(velocity[worst]) <= factor * allowed[worst]:
            return None
        found = f"{self._kinematics.joints[worst]} at {velocity[worst]:.3f} rad/s"
        return Finding("joint_speed", f"{found}, limit {allowed[worst]:.3f} rad/s")
