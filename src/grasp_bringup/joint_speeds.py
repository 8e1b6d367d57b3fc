"""How fast the arm's joints move: as their driver tells, or by their positions where it tells nothing."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from grasp_bringup.wish import NANOSECOND
from qtopt_policy.geometry import Array
from qtopt_policy.joint_buffer import JointReading


class MeanSpeed:
    """The mean speed of one joint over its latest positions.

    Args:
        window: least time that it is taken over [s]: from one state to the next, noise of positions and of
            stamps would be most of it.
    """

    def __init__(self, window: float) -> None:
        self._window = round(window / NANOSECOND)
        self._past: deque[tuple[int, float]] = deque()

    def add(self, stamp: int, position: float) -> float:
        """Take a position of `stamp` [ns]; return the mean speed, NaN before the window is full."""
        past = self._past
        if past and stamp < past[-1][0]:
            past.clear()  # a simulator started anew sets the clock back
        if not past or stamp > past[-1][0]:
            past.append((stamp, position))
        while len(past) > 1 and stamp - past[1][0] >= self._window:
            past.popleft()
        since, start = past[0]
        if stamp - since < self._window:
            return float("nan")
        return (position - start) / ((stamp - since) * NANOSECOND)


class JointSpeeds:
    """Speeds of all joints; where a state tells no velocity the mean over the latest positions stands in.

    Args:
        joints: n names.
        window: of that mean [s].

    Attributes:
        latest: [rad/s or m/s], shape (n,); NaN where it is not known, or not yet.
        untold: joints whose latest state told no velocity.
    """

    def __init__(self, joints: tuple[str, ...], window: float) -> None:
        self._joints = joints
        self._means = [MeanSpeed(window) for _ in joints]
        self.latest: Array = np.full(len(joints), np.nan)
        self.untold: tuple[str, ...] = ()

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Joints whose speed is not known."""
        return tuple(self._joints[i] for i in np.flatnonzero(~np.isfinite(self.latest)))

    def look(self, readings: Sequence[JointReading]) -> None:
        """Take the latest reading of every joint, in the order of the joints."""
        told = np.array([reading.velocity for reading in readings])
        means = [mean.add(one.stamp, one.position) for mean, one in zip(self._means, readings, strict=True)]
        self.latest = np.where(np.isfinite(told), told, means)
        self.untold = tuple(self._joints[i] for i in np.flatnonzero(~np.isfinite(told)))
