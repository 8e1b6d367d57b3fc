"""Exploration: how an episode departs from what its policy holds best, and which episodes do.

Epsilon-greedy tries anything, noise on the moves tries what lies near; episodes between that do neither show
what the policy can do.
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import TERMINATE, GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision, Policy
from qtopt_policy.policies.epsilon_policy import EpsilonPolicy
from qtopt_policy.policies.random_policy import RandomPolicy


@dataclass(frozen=True)
class Exploration:
    """What exploring episodes do, and how many explore.

    Attributes:
        epsilon: share of random steps of an exploring episode.
        noise: standard deviation of what is added to its moves, as a share of their bounds.
        explore: share of the episodes that explore.

    Raises:
        ConfigError: a value is out of range.
    """

    epsilon: float = 0.0
    noise: float = 0.0
    explore: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("epsilon", self.epsilon), ("explore", self.explore)):
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"{name} {value}: must be in [0, 1]")
        if not 0.0 <= self.noise < float("inf"):
            raise ConfigError(f"noise {self.noise}: must be 0 or above, in shares of the moves' bounds")

    def explores(self, number: int) -> bool:
        """Return whether episode `number` (0, 1, ...) explores; those that do are spread evenly."""
        return int(number * self.explore) != int((number + 1) * self.explore)

    def wrap(self, policy: Policy, mdp: MdpConfig) -> Policy:
        """Return the policy as it acts in exploring episodes."""
        noisy: Policy = NoisyPolicy(policy, mdp, self.noise) if self.noise else policy
        return EpsilonPolicy(noisy, RandomPolicy(mdp), self.epsilon) if self.epsilon else noisy


def base_policy(name: str) -> str:
    """Return the name of the policy within `epsilon(<name>, <share>)` and `noisy(...)`, or the name."""
    match = re.fullmatch(r"(?:epsilon|noisy)\((.+), [^,]+\)", name)
    return base_policy(match[1]) if match else name


class NoisyPolicy:
    """Adds Gaussian noise to the continuous part of each move; choices stay, so does `terminate`.

    Args:
        inner: the policy that decides.
        mdp: bounds of the moves.
        noise: standard deviation as a share of the bounds.
    """

    def __init__(self, inner: Policy, mdp: MdpConfig, noise: float) -> None:
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
