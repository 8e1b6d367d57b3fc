"""Epsilon-greedy over any policy: with probability epsilon a step is random."""

import numpy as np

from qtopt_policy.errors import ConfigError
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision, Policy


class EpsilonPolicy:
    """Mixes a policy with noise, step by step.

    Args:
        inner: the policy that mostly decides.
        noise: the policy that decides otherwise.
        epsilon: share of steps that `noise` decides, 0 to 1.

    Raises:
        ConfigError: epsilon is not in [0, 1].
    """

    def __init__(self, inner: Policy, noise: Policy, epsilon: float) -> None:
        if not 0.0 <= epsilon <= 1.0:
            raise ConfigError(f"epsilon {epsilon}: must be in [0, 1]")
        self._inner = inner
        self._noise = noise
        self._epsilon = epsilon
        self._rng = np.random.default_rng(0)

    @property
    def name(self) -> str:
        """Name as recorded, e.g. `epsilon(cem, 0.2)`."""
        return f"epsilon({self._inner.name}, {self._epsilon:g})"

    def reset(self, seed: int) -> None:
        """Start a new episode of both policies; each draws its own random numbers."""
        own, noise = np.random.SeedSequence(seed).generate_state(2)
        self._rng = np.random.default_rng(own)
        self._inner.reset(seed)
        self._noise.reset(int(noise))

    def decide(self, observation: Observation) -> Decision:
        """Let one of the two policies pick an action."""
        chosen = self._noise if self._rng.random() < self._epsilon else self._inner
        return chosen.decide(observation)
