"""Returns of any range as Q in [0, 1], exactly: the values are mapped, not the rewards.

With low <= sum of discounted rewards <= high from every state, and V' = (V - low) / (high - low), the Bellman
equation V = r + gamma V(next) becomes V' = r' + gamma V'(next) with

    r' = (r - (1 - gamma) low) / (high - low)      while the episode goes on
    r' = (r - low) / (high - low)                  at its end

so the order of policies stays what it was. A range that is too narrow shows as `labels_clipped` in the
metrics; one that is far too wide leaves Q little to tell actions apart by.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.errors import ConfigError


@dataclass(frozen=True)
class ReturnRange:
    """Bounds of the discounted return, from any state.

    Attributes:
        low, high: in the environment's own rewards.
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ConfigError(f"returns from {self.low} to {self.high}: not an interval")

    def rewards(self, rewards: NDArray[np.float64], terminated: bool, discount: float) -> NDArray[np.float32]:
        """Return r' of an episode's rewards, shape (T,); `terminated` if its last step ends it."""
        base = np.full(len(rewards), (1.0 - discount) * self.low)
        if terminated:
            base[-1] = self.low
        mapped: NDArray[np.float32] = ((rewards - base) / (self.high - self.low)).astype(np.float32)
        return mapped

    def unmapped(self, q: float) -> float:
        """Return the discounted return that a value in [0, 1] stands for."""
        return self.low + q * (self.high - self.low)
