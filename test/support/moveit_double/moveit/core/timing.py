"""Times for paths: a trapezoid of speed along the path, slow enough for every joint and the tool."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def trapezoid(length: float, speed: float, acceleration: float, period: float) -> tuple[Array, Array, Array]:
    """Return times, places 0 to `length` and speeds of a motion from rest to rest, shape (T,) each."""
    ramp = min(speed / acceleration, np.sqrt(length / acceleration))
    top = ramp * acceleration
    total = 2 * ramp + max(0.0, length - top * ramp) / top
    times = np.linspace(0.0, total, max(3, int(np.ceil(total / period)) + 1))
    up = np.minimum(times, ramp)
    down = np.clip(times - (total - ramp), 0.0, None)
    flat = np.clip(times - ramp, 0.0, total - 2 * ramp)
    places = 0.5 * acceleration * up**2 + top * flat + top * down - 0.5 * acceleration * down**2
    return times, np.clip(places, 0.0, length), acceleration * (up - down)


def along(path: Array, share: Array) -> tuple[Array, Array]:
    """Return positions and their derivatives at shares 0 to 1 of a path, shape (T, n) each."""
    knots = np.linspace(0.0, 1.0, len(path))
    gradient = np.gradient(path, knots, axis=0)
    q = np.column_stack([np.interp(share, knots, column) for column in path.T])
    dq = np.column_stack([np.interp(share, knots, column) for column in gradient.T])
    return q, dq
