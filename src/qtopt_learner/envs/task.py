"""An environment as a task: its specs, networks for them, and its replay."""

import importlib
import sys
from pathlib import Path
from typing import Any

import gymnasium

from qtopt_learner.envs.actions import ActionMap
from qtopt_learner.envs.env_config import AUTO, EnvRunConfig
from qtopt_learner.envs.observations import ObservationMap
from qtopt_learner.replay import Replay, capacity_of
from qtopt_learner.rows import Layout
from qtopt_learner.task import REPLAY_FOLDER
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.registry import make_network

Env = gymnasium.Env[Any, Any]


def make_env(name: str) -> Env:
    """Return an environment by Gymnasium id or `module:factory`.

    Raises:
        ConfigError: there is no such environment; the message says what was tried.
    """
    module, colon, factory = name.partition(":")
    try:
        if not colon:
            return gymnasium.make(name)
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        found = getattr(importlib.import_module(module), factory)()
    except (gymnasium.error.Error, ImportError, AttributeError) as error:
        raise ConfigError(f"environment '{name}': {error}") from error
    if not isinstance(found, gymnasium.Env):
        raise ConfigError(f"environment '{name}': {factory}() returned {type(found).__name__}, no Env")
    return found


class EnvTask:
    """The task of a run on an environment.

    Args:
        config: of the run.

    Attributes:
        observations: from the environment's observations to images and vectors.
        actions: from search vectors to the environment's actions.

    Raises:
        ConfigError: there is no such environment, or its spaces are not supported.
    """

    def __init__(self, config: EnvRunConfig) -> None:
        self._config = config
        env = make_env(config.env)
        self.observations = ObservationMap(env.observation_space)
        self.actions = ActionMap(env.action_space)
        env.close()

    @property
    def network_name(self) -> str:
        """Name of the network: as asked for, or as the observation needs."""
        name = self._config.train.network
        generic = "vector" if self.observations.spec.image is None else "image"
        return generic if name == AUTO else name

    def network(self) -> QNetwork:
        """Return a network with fresh weights."""
        specs = self.actions.spec, self.observations.spec
        return make_network(self.network_name, *specs, self._config.train.network_parameters)

    def replay(self) -> Replay:
        """Open the replay of what was played."""
        layout = Layout.of(self.actions.spec, self.observations.spec)
        capacity = capacity_of(layout, self._config.train.replay_gb)
        return Replay(layout, capacity, self._config.out / REPLAY_FOLDER / "online")

    def nothing(self) -> Replay:
        """Return an empty replay: there is no offline data."""
        return Replay(Layout.of(self.actions.spec, self.observations.spec), 1)
