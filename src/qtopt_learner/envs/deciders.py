"""Who acts in the environments: chance, Q, or Q with exploration. All decide for a batch of observations."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from qtopt_learner.envs.actions import ActionMap
from qtopt_learner.envs.env_config import PlayConfig
from qtopt_learner.envs.observations import Image, Vector, stack
from qtopt_learner.rows import GEOMETRY_SIZE, observation_batch
from qtopt_policy.cem import maximise
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.search_config import CemConfig

Seen = Sequence[tuple[Image, Vector]]
Vectors = list[NDArray[np.float32]]


class Decider(Protocol):
    """Chooses actions."""

    def decide(self, seen: Seen) -> Vectors:
        """Return a search vector for each observation."""
        ...


class RandomDecider:
    """Uniform in the continuous part and over the choices.

    Args:
        actions: of the environment.
        rng: the only source of chance.
    """

    def __init__(self, actions: ActionMap, rng: np.random.Generator) -> None:
        self._actions = actions
        self._rng = rng

    def decide(self, seen: Seen) -> Vectors:
        """Return a search vector for each observation."""
        return [self._actions.sample(self._rng) for _ in seen]


class CemDecider:
    """The action with the highest Q, by the search that drives the robot.

    Args:
        network: in eval mode.
        config: of the search.
        device: where the network is.
        rng: of the searches.
    """

    def __init__(
        self, network: QNetwork, config: CemConfig, device: torch.device, rng: np.random.Generator
    ) -> None:
        self._network = network
        self._config = config
        self._device = device
        self._rng = rng

    def decide(self, seen: Seen) -> Vectors:
        """Return a search vector for each observation."""
        columns = dict(stack(list(seen)))
        columns["geometry"] = np.zeros((len(seen), GEOMETRY_SIZE), dtype=np.float32)
        batch = observation_batch(columns).to(self._device)
        seeds = self._rng.integers(0, 2**62, size=len(seen)).tolist()
        return list(maximise(self._network, batch, seeds, config=self._config).best.cpu().numpy())


class ExploringDecider:
    """Another's actions, some of them random and the others disturbed.

    Args:
        inner: who decides.
        actions: of the environment.
        config: epsilon and noise.
        rng: of the exploration.
    """

    def __init__(
        self, inner: Decider, actions: ActionMap, config: PlayConfig, rng: np.random.Generator
    ) -> None:
        self._inner = inner
        self._actions = actions
        self._config = config
        self._rng = rng

    def decide(self, seen: Seen) -> Vectors:
        """Return a search vector for each observation."""
        return [self._explore(vector) for vector in self._inner.decide(seen)]

    def _explore(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._rng.random() < self._config.epsilon:
            return self._actions.sample(self._rng)
        return self._actions.disturb(vector, self._config.noise, self._rng)
