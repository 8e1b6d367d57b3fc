"""Jerk-limited joint motion out of a stream of joint positions: two moving averages in series.

    q[k] = sum_i w[i] c[k - i],   w = box(n1) * box(n2),   sum w = 1

The output's position and velocity are convex combinations of the input's, so whatever box (joint limits) or
half space (table, in joint space) holds the input holds the output, it cannot overshoot, and it reaches an
input that rests n1 + n2 - 2 samples later. Acceleration and jerk are bounded by

    |ddq| <= max|dc[k] - dc[k - n1]| / (n1 dt),   |dddq| <= 2 max|ddq| / (n2 dt)

Biagiotti and Melchiorri 2012, "FIR filters for online trajectory planning with time- and frequency-domain
specifications".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointMotion:
    """Joint positions, velocities and accelerations, shape (n,) each [rad, rad/s, rad/s2 or m, ...]."""

    q: Array
    dq: Array
    ddq: Array


class MovingAverages:
    """Two moving averages in series over `first` and `second` samples of joint positions."""

    def __init__(self, first: int, second: int, period: float) -> None:
        kernel = np.convolve(np.full(first, 1.0 / first), np.full(second, 1.0 / second))
        self._weights = kernel[::-1].copy()  # oldest sample first, as in the history
        self._centre = float(np.arange(len(kernel)) @ kernel)
        # Row j - 1: what the history weighs in the output j samples from now if the input rests.
        count = len(kernel)
        self._rest = np.array([[*np.zeros(j), *self._weights[: count - j]] for j in range(1, max(count, 2))])
        self._rest[:, -1] += 1.0 - self._rest.sum(axis=1)
        self._first = first
        self._period = period

    @property
    def settling_samples(self) -> int:
        """Samples after which the output has reached an input that rests."""
        return len(self._rest)

    def to_rest(self) -> Array:
        """Return the next outputs if the input rests from now on, shape (settling_samples, n).

        The last one is the newest input.
        """
        return self._rest @ self._history[2:]

    def reset(self, q: Array, dq: Array) -> None:
        """Start at `q` with velocity `dq`: as if the input had come along a straight line."""
        # Two samples more than the kernel takes: for the differences that make velocity and acceleration.
        ages = np.arange(len(self._weights) + 1, -1, -1.0)
        self._history = q + np.outer((self._centre - ages) * self._period, dq)
        self._motion = self._derive()

    @property
    def newest(self) -> Array:
        """The newest input, shape (n,): where the output will come to rest."""
        newest: Array = self._history[-1]
        return newest

    @property
    def outgoing_step(self) -> Array:
        """The input's displacement `first` samples ago, which the next push takes out of the average."""
        step: Array = self._history[-self._first] - self._history[-self._first - 1]
        return step

    @property
    def motion(self) -> JointMotion:
        """The output of now."""
        return self._motion

    def push(self, q: Array) -> JointMotion:
        """Take the next input and return the next output."""
        self._history[:-1] = self._history[1:]
        self._history[-1] = q
        self._motion = self._derive()
        return self._motion

    def _derive(self) -> JointMotion:
        count = len(self._weights)
        now, before, earlier = (self._weights @ self._history[2 - i :][:count] for i in range(3))
        velocity = (now - before) / self._period
        return JointMotion(now, velocity, (velocity - (before - earlier) / self._period) / self._period)
