"""Follows joint trajectories as ros2_control's joint_trajectory_controller does (no ROS).

A new trajectory replaces the old one at once: the motion leads from where the set point is now to the new
one's first point that lies ahead, and then from point to point. With velocities it is a cubic spline, without
them a broken line. When it ends the last point is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtopt_policy.errors import ShapeError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Waypoint:
    """Joint positions [rad] and velocities [rad/s] (or None), shape (n,), at `time` [s]."""

    time: float
    position: Array
    velocity: Array | None


class TrajectoryFollower:
    """The set points of `joints`, which rest at `position` [rad], shape (n,), until a trajectory comes."""

    def __init__(self, joints: tuple[str, ...], position: ArrayLike) -> None:
        self._joints = joints
        self._points = [Waypoint(-np.inf, np.array(position, dtype=np.float64), np.zeros(len(joints)))]

    def accept(self, names: Sequence[str], points: Sequence[Waypoint], now: float) -> None:
        """Take a trajectory at `now`; the times of its points and `now` are on one clock [s].

        Args:
            names: all of the joints, in any order; the points' arrays are in this order.
            points: in the order of their times.
            now: points at or before it are skipped.

        Raises:
            ShapeError: joints are missing or unknown, a point has another length or is not finite, times do
                not rise, or all points lie in the past. The message names it; the old trajectory goes on.
        """
        order = self._order(names)
        checked = [self._reorder(point, order, index) for index, point in enumerate(points)]
        times = [point.time for point in checked]
        if not times or any(b <= a for a, b in pairwise(times)):
            raise ShapeError(f"trajectory: times {times} do not rise")
        ahead = [point for point in checked if point.time > now]
        if not ahead:
            raise ShapeError(f"trajectory: its end at {times[-1]:.3f} s is not after now, {now:.3f} s")
        position, velocity = self._state(now)
        self._points = [Waypoint(now, position, velocity), *ahead]

    def sample(self, time: float) -> Array:
        """Return the set points [rad] at `time` [s], shape (n,)."""
        return self._state(time)[0]

    def _order(self, names: Sequence[str]) -> list[int]:
        if sorted(names) != sorted(self._joints):
            raise ShapeError(f"trajectory: joints {list(names)}, expected {list(self._joints)}")
        return [list(names).index(name) for name in self._joints]

    def _reorder(self, point: Waypoint, order: list[int], index: int) -> Waypoint:
        arrays = [("positions", point.position)]
        if point.velocity is not None:
            arrays.append(("velocities", point.velocity))
        for kind, array in arrays:
            if array.shape != (len(order),) or not np.isfinite(array).all():
                raise ShapeError(
                    f"trajectory: {kind} of point {index} are {array.tolist()}, "
                    f"expected {len(order)} finite values"
                )
        velocity = None if point.velocity is None else point.velocity[order]
        return Waypoint(point.time, point.position[order], velocity)

    def _state(self, time: float) -> tuple[Array, Array]:
        last = self._points[-1]
        if time >= last.time or len(self._points) == 1:
            return last.position, np.zeros_like(last.position)
        index = next(i for i, point in enumerate(self._points) if point.time > time)
        if index == 0:
            return self._points[0].position, np.zeros_like(last.position)
        return _between(self._points[index - 1], self._points[index], time)


def _between(a: Waypoint, b: Waypoint, time: float) -> tuple[Array, Array]:
    """Interpolate position and velocity as cubics, with s = t / T.

    q(t)  = (2 s^3 - 3 s^2 + 1) qa + T (s^3 - 2 s^2 + s) va + (3 s^2 - 2 s^3) qb + T (s^3 - s^2) vb
    q'(t) = 6 (s^2 - s) (qa - qb) / T + (3 s^2 - 4 s + 1) va + (3 s^2 - 2 s) vb
    """
    duration = b.time - a.time
    s = (time - a.time) / duration
    if a.velocity is None or b.velocity is None:
        return a.position + s * (b.position - a.position), (b.position - a.position) / duration
    position = (
        (2 * s**3 - 3 * s**2 + 1) * a.position
        + duration * (s**3 - 2 * s**2 + s) * a.velocity
        + (3 * s**2 - 2 * s**3) * b.position
        + duration * (s**3 - s**2) * b.velocity
    )
    velocity = (
        6 * (s**2 - s) * (a.position - b.position) / duration
        + (3 * s**2 - 4 * s + 1) * a.velocity
        + (3 * s**2 - 2 * s) * b.velocity
    )
    return position, velocity
