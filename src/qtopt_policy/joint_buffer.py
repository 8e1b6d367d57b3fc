"""Joint states merged by name: messages may be partial, in any order and from several publishers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.errors import ShapeError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class JointReading:
    """The latest values of one joint.

    Attributes:
        position: [rad or m].
        velocity: [rad/s or m/s], NaN where the driver sends none.
        effort: [Nm or N], NaN where the driver sends none.
        stamp: of its message [ns].
        received: when it arrived, on the caller's clock [s].
    """

    position: float
    velocity: float
    effort: float
    stamp: int
    received: float


@dataclass(frozen=True, eq=False)
class JointSnapshot:
    """The wanted joints together: arrays of shape (n,), the oldest stamp [ns] and the oldest arrival [s]."""

    position: Array
    velocity: Array
    effort: Array
    stamp: int
    received: float


class JointBuffer:
    """Keeps the latest reading of every joint, each with its own age.

    Args:
        bounds: lowest and highest position that a joint can have, by name; others may have any.
    """

    def __init__(self, bounds: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._bounds = dict(bounds or {})
        self._readings: dict[str, JointReading] = {}

    def update(
        self,
        names: Sequence[str],
        position: Sequence[float],
        velocity: Sequence[float],
        effort: Sequence[float],
        stamp: int,
        received: float,
    ) -> None:
        """Merge one message; `velocity` and `effort` may be empty.

        Raises:
            ShapeError: arrays and names differ in length, a name occurs twice or a position is not finite or
                out of its bounds; the message names the joint and nothing of the message is kept.
        """
        _check(names, position, velocity, effort)
        for name, value in zip(names, position, strict=True):
            low, high = self._bounds.get(name, (-math.inf, math.inf))
            if not low <= value <= high:
                raise ShapeError(f"joint state: position of '{name}' is {value}, bounds {low:.3f} {high:.3f}")
        for i, name in enumerate(names):
            speed = float(velocity[i]) if len(velocity) else float("nan")
            force = float(effort[i]) if len(effort) else float("nan")
            self._readings[name] = JointReading(float(position[i]), speed, force, stamp, received)

    def missing(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return those of `names` that no message has held yet."""
        return tuple(name for name in names if name not in self._readings)

    def older_than(self, names: Sequence[str], received: float) -> tuple[str, ...]:
        """Return those of `names` whose latest reading arrived before `received` [s], or never."""
        readings = ((name, self._readings.get(name)) for name in names)
        return tuple(name for name, reading in readings if reading is None or reading.received < received)

    def reading(self, name: str) -> JointReading | None:
        """Return the latest reading of one joint, if any."""
        return self._readings.get(name)

    def snapshot(self, names: Sequence[str]) -> JointSnapshot | None:
        """Return the latest readings of `names`, or None while one is missing."""
        if not names or self.missing(names):
            return None
        readings = [self._readings[name] for name in names]
        return JointSnapshot(
            np.array([reading.position for reading in readings]),
            np.array([reading.velocity for reading in readings]),
            np.array([reading.effort for reading in readings]),
            min(reading.stamp for reading in readings),
            min(reading.received for reading in readings),
        )


def _check(
    names: Sequence[str], position: Sequence[float], velocity: Sequence[float], effort: Sequence[float]
) -> None:
    if len(set(names)) != len(names):
        raise ShapeError(f"joint state: a name occurs twice in {list(names)}")
    if len(position) != len(names):
        raise ShapeError(f"joint state: {len(position)} positions for {len(names)} names")
    for kind, values in (("velocities", velocity), ("efforts", effort)):
        if len(values) not in (0, len(names)):
            raise ShapeError(f"joint state: {len(values)} {kind} for {len(names)} names")
    for name, value in zip(names, position, strict=True):
        if not np.isfinite(value):
            raise ShapeError(f"joint state: position of '{name}' is {value}")
