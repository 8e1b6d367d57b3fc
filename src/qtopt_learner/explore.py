"""Noise on a policy's moves while it collects: what epsilon-greedy leaves out, trying nearby moves."""

from dataclasses import replace

import numpy as np

from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import TERMINATE, GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision, Policy


class NoisyPolicy:
    """Adds Gaussian noise to the continuous part of each move; choices stay, so does `terminate`.

    Args:
        inner: the policy that decides.
        mdp: bounds of the moves.
        noise: standard deviation as a share of the bounds.

    Raises:
        ConfigError: the noise is negative.
    """

    def __init__(self, inner: Policy, mdp: MdpConfig, noise: float) -> None:
        if noise < 0.0:
            raise ConfigError(f"noise {noise}: must not be negative")
        self._inner = inner
        self._spec = mdp.action_spec()
        self._noise = noise
        self._rng = np.random.default_rng(0)

    @property
    def name(self) -> str:
        """Name as recorded, e.g. `noisy(cem, 0.1)`."""
        return f"noisy({self._inner.name}, {self._noise:g})"

    def reset(self, seed: int) -> None:
        """Start a new episode; noise and inner policy draw their own random numbers."""
        self._rng = np.random.default_rng((seed, 1))
        self._inner.reset(seed)

    def decide(self, observation: Observation) -> Decision:
        """Disturb the inner policy's action."""
        decision = self._inner.decide(observation)
        action = decision.action
        if action.choice == TERMINATE:
            return decision
        draw = self._rng.normal(0.0, self._noise, 4) * self._spec.high
        values = np.array([*action.translation, action.yaw]) + draw
        values = np.clip(values, self._spec.low, self._spec.high)
        return replace(decision, action=GraspAction(values[:3], float(values[3]), action.choice))
