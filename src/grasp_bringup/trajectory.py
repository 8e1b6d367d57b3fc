"""Short joint trajectories that end at rest, so that the servo's death leaves the arm standing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.smoothing import JointMotion

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrajectoryPoint:
    """Joint positions and velocities, shape (n,) each, at `time` [s] after the trajectory's start."""

    time: float
    q: Array
    dq: Array


def stopping_points(motion: JointMotion, duration: float, count: int) -> list[TrajectoryPoint]:
    """Return `count` points that bring `motion` to rest in `duration` [s]; the last one is at rest.

    The velocity is the cubic with the velocity and acceleration of `motion` at its start and none at its
    end; with s = t / T,

        dq(t) = (2 s^3 - 3 s^2 + 1) dq0 + T (s^3 - 2 s^2 + s) ddq0
        q(t)  = q0 + T (s^4/2 - s^3 + s) dq0 + T^2 (s^4/4 - 2 s^3/3 + s^2/2) ddq0

    so the arm rests T dq0 / 2 + T^2 ddq0 / 12 further on.
    """
    points = []
    for i in range(1, count + 1):
        s = i / count
        velocity = (2 * s**3 - 3 * s**2 + 1) * motion.dq + duration * (s**3 - 2 * s**2 + s) * motion.ddq
        way = duration * (s**4 / 2 - s**3 + s) * motion.dq
        bend = duration**2 * (s**4 / 4 - 2 * s**3 / 3 + s**2 / 2) * motion.ddq
        velocity = np.zeros_like(velocity) if i == count else velocity
        points.append(TrajectoryPoint(s * duration, motion.q + way + bend, velocity))
    return points
