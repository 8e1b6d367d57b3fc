"""Uniformly random moves: the floor below every other policy, and the noise of epsilon-greedy."""

import numpy as np

from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import CHOICES, TERMINATE, GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision

# Mostly moves, so that an episode gets somewhere before it ends: move, close, open, terminate.
CHOICE_SHARES = (0.8, 0.1, 0.05, 0.05)


class RandomPolicy:
    """Draws the move uniformly within its bounds and the choice by fixed shares.

    Args:
        mdp: bounds of the moves.
        shares: probability of move, close, open, terminate.

    Raises:
        ConfigError: the shares are not four probabilities that add up to 1.
    """

    def __init__(self, mdp: MdpConfig, shares: tuple[float, ...] = CHOICE_SHARES) -> None:
        if len(shares) != len(CHOICES) or min(shares) < 0.0 or abs(sum(shares) - 1.0) > 1e-9:
            raise ConfigError(f"shares {shares}: expected a probability for each of {', '.join(CHOICES)}")
        self._spec = mdp.action_spec()
        self._shares = shares
        self._rng = np.random.default_rng(0)

    @property
    def name(self) -> str:
        """Name as recorded."""
        return "random"

    def reset(self, seed: int) -> None:
        """Start a new episode with its own random numbers."""
        self._rng = np.random.default_rng(seed)

    def decide(self, observation: Observation) -> Decision:
        """Draw an action; the observation is not looked at."""
        values = self._rng.uniform(self._spec.low, self._spec.high)
        choice = int(self._rng.choice(len(CHOICES), p=self._shares))
        if choice == TERMINATE:
            return Decision(GraspAction(np.zeros(3), 0.0, TERMINATE))
        return Decision(GraspAction(values[:3], float(values[3]), choice))
