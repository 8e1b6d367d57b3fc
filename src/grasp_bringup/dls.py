"""One step of damped least squares inverse kinematics: null-space posture, joint bounds (pure NumPy).

    dq = J# e + (1 - J# J) dq0,   J# = A^T (A A^T + damping^2 1)^-1 W,   A = W J

W weighs angles against positions [m/rad]. Wampler 1986, "Manipulator inverse kinematic solutions based on
vector formulations and damped least-squares methods"; Nakamura and Hanafusa 1986.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ANGLE_WEIGHT = 0.3  # [m/rad]: half a radian counts as much as 15 cm
_ROW_WEIGHTS = np.array([1.0, 1.0, 1.0, ANGLE_WEIGHT, ANGLE_WEIGHT, ANGLE_WEIGHT])


def bounded_step(
    jacobian: Array, error: Array, posture: Array, room: tuple[Array, Array], damping: float
) -> Array:
    """Return the joint displacement that reduces `error` and stays in `room`.

    A joint that would leave its room is held at the edge, and the others take over its share: at most as
    many rounds as there are joints.

    Args:
        jacobian: linear then angular rows, shape (6, n).
        error: wanted displacement of the tool [m, rad], shape (6,).
        posture: displacement wished for in the null space, shape (n,).
        room: least (<= 0) and largest (>= 0) displacement of each joint, shape (n,) each.
        damping: of the least squares [m].

    Returns:
        Displacement, shape (n,), every component within its room.
    """
    low, high = room
    rows = _ROW_WEIGHTS[:, None] * jacobian
    wanted = _ROW_WEIGHTS * error
    step = np.zeros(len(low))
    free = np.ones(len(low), dtype=bool)
    while free.any():
        trial = _damped(rows[:, free], wanted - rows @ np.where(free, 0.0, step), posture[free], damping)
        inside = (trial >= low[free]) & (trial <= high[free])
        step[free] = np.clip(trial, low[free], high[free])
        if inside.all():
            break
        free[np.flatnonzero(free)[~inside]] = False
    return step


def _damped(rows: Array, wanted: Array, posture: Array, damping: float) -> Array:
    gram = rows @ rows.T
    gram.flat[:: len(gram) + 1] += damping * damping
    step: Array = posture + rows.T @ np.linalg.solve(gram, wanted - rows @ posture)
    return step
