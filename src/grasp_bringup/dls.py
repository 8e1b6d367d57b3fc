"""One step of damped least squares inverse kinematics: null-space posture, joint bounds (pure NumPy).

    dq = J# e + (1 - J# J) dq0,   J# = A^T (A A^T + damping^2 1)^-1 W,   A = W J

W weighs angles against positions [m/rad]. Wampler 1986, "Manipulator inverse kinematic solutions based on
vector formulations and damped least-squares methods"; Nakamura and Hanafusa 1986.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ANGLE_WEIGHT = 0.3  # [m/rad]: half a radian counts as much as 15 cm
_WEIGHTS = np.array([1.0, 1.0, 1.0, ANGLE_WEIGHT, ANGLE_WEIGHT, ANGLE_WEIGHT])
_EYE = np.eye(6)


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
    rows = _WEIGHTS[:, None] * jacobian
    wanted = _WEIGHTS * error
    step = _damped(rows, wanted, posture, damping)
    free = np.ones(len(low), dtype=bool)
    while ((outside := (step < low) | (step > high)) & free).any():
        free &= ~outside
        step = np.clip(step, low, high)
        rest = wanted - rows @ np.where(free, 0.0, step)
        step[free] = _damped(rows[:, free], rest, posture[free], damping)
    return step


def _damped(rows: Array, wanted: Array, posture: Array, damping: float) -> Array:
    gram = rows @ rows.T + damping * damping * _EYE
    step: Array = posture + rows.T @ np.linalg.solve(gram, wanted - rows @ posture)
    return step
