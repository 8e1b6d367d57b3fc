"""How hard the arm's joints push: a stop where that is too much, and the peaks to choose limits by."""

from collections.abc import Sequence

import numpy as np

from grasp_bringup.wish import NANOSECOND, Finding
from qtopt_policy.geometry import Array
from qtopt_policy.joint_buffer import JointSnapshot


class EffortWatch:
    """Compares the efforts in joint states with limits; a joint without an effort is not checked.

    A published effort is the whole of it: gravity and friction are in it.

    Args:
        joints: n names.
        allowed: limits in the unit of the joint states, as `joints`; 0 for a joint that is not watched; empty
            where none is.
        duration: for which a joint must be beyond its limit [s]. A single sample is not enough: contact and
            gears make peaks.

    Attributes:
        excess: what `look` has returned last.
    """

    def __init__(self, joints: tuple[str, ...], allowed: Sequence[float], duration: float) -> None:
        limits = np.array(allowed if len(allowed) else [0.0] * len(joints))
        self._joints, self._duration = joints, duration
        self._limits: Array = np.where(limits > 0.0, limits, np.inf)
        self._since: dict[int, int] = {}
        self._latest: Array = np.full(len(joints), np.nan)
        self._peaks: Array = self._latest.copy()
        self.excess: Finding | None = None

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Joints that have a limit, but whose latest state tells no effort."""
        blind = np.isfinite(self._limits) & ~np.isfinite(self._latest)
        return tuple(self._joints[i] for i in np.flatnonzero(blind))

    @property
    def peaks(self) -> str:
        """Greatest magnitude so far of each joint that tells its effort, for people."""
        known = np.flatnonzero(np.isfinite(self._peaks)).tolist()
        return ", ".join(f"{self._joints[i]} {self._peaks[i]:.2f}" for i in known)

    def look(self, snapshot: JointSnapshot) -> Finding | None:
        """Return a finding if a joint has been beyond its limit for too long.

        A state without an effort says nothing: drivers and joint_state_publisher may take turns.
        """
        self._latest = effort = snapshot.effort
        self._peaks = np.fmax(self._peaks, np.where(np.isfinite(effort), np.abs(effort), np.nan))
        self.excess = None
        for i in np.flatnonzero(np.isfinite(effort)).tolist():
            if abs(effort[i]) <= self._limits[i]:
                self._since.pop(i, None)
                continue
            # A simulator started anew sets the clock back.
            self._since[i] = since = min(self._since.get(i, snapshot.stamp), snapshot.stamp)
            if (snapshot.stamp - since) * NANOSECOND >= self._duration:
                found = f"{self._joints[i]} at effort {effort[i]:.2f}, limit {self._limits[i]:g}"
                self.excess = Finding("joint_effort", found)
        return self.excess
