"""The two target networks of QT-Opt (1806.10293, section 4.1).

target 1 = exponential moving average of the weights; target 2 = target 1 as it was `lag` gradient steps ago.
With theta the weights that are trained, after each gradient step

    theta_1 <- decay theta_1 + (1 - decay) theta

(decay near 1 means slow). Normalisation statistics are averaged like the weights, counters are copied: a
target must normalise by statistics that belong to its own weights. The robot acts with target 1.
"""

import copy
from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from qtopt_policy.errors import CheckpointError, ConfigError
from qtopt_policy.networks.base import QNetwork

StateDict = dict[str, Tensor]

# The paper's figures for 15 million steps; shorter runs scale both down (a choice, not the paper's).
PAPER_HORIZON = 10_000.0  # 1 / (1 - 0.9999)
PAPER_LAG_PER_HORIZON = 0.6  # 6000 / 10000
HORIZON_PER_STEP = 0.01
LEAST_HORIZON = 100.0


@dataclass(frozen=True)
class TargetConfig:
    """Speed of the target networks.

    Attributes:
        decay: of the moving average per gradient step; None scales it with the run's length.
        lag: of target 2 behind target 1 [gradient steps]; None scales it with the run's length.
        snapshots: of target 1 kept per lag; the true lag is in [lag, lag + lag / snapshots].
    """

    decay: float | None = None
    lag: int | None = None
    snapshots: int = 4

    def __post_init__(self) -> None:
        if self.decay is not None and not 0.0 <= self.decay < 1.0:
            raise ConfigError(f"decay {self.decay}: must be in [0, 1); 0.9999 is slow, 0 copies the weights")
        if self.lag is not None and self.lag < 1:
            raise ConfigError(f"lag {self.lag}: must be at least 1 gradient step")
        if self.snapshots < 1:
            raise ConfigError(f"snapshots {self.snapshots}: must be at least 1")

    def resolve(self, steps: int) -> "TargetConfig":
        """Return the config with decay and lag filled in for a run of `steps` gradient steps.

        horizon = 1 / (1 - decay) = steps / 100, within [100, 10000]; lag = 0.6 horizon.
        """
        horizon = min(max(steps * HORIZON_PER_STEP, LEAST_HORIZON), PAPER_HORIZON)
        decay = 1.0 - 1.0 / horizon if self.decay is None else self.decay
        lag = max(1, round(PAPER_LAG_PER_HORIZON * horizon)) if self.lag is None else self.lag
        return TargetConfig(decay, lag, self.snapshots)


class TargetNetworks:
    """Target 1 and target 2 of a network in training.

    Args:
        network: the one that is trained; both targets start as copies of it.
        config: with decay and lag given (TargetConfig.resolve).

    Raises:
        ConfigError: decay or lag is None.
    """

    def __init__(self, network: QNetwork, config: TargetConfig) -> None:
        if config.decay is None or config.lag is None:
            raise ConfigError("decay and lag of the target networks are not resolved")
        self._decay = config.decay
        self._lag = config.lag
        self._every = max(1, config.lag // config.snapshots)
        self.first = _frozen_copy(network)
        self.second = _frozen_copy(network)
        self.step = 0
        # Past states of target 1 with their steps, oldest first; the oldest is what target 2 holds.
        self._past: deque[tuple[int, StateDict]] = deque([(0, _clone(self.first))])

    @torch.no_grad()
    def update(self, network: QNetwork) -> None:
        """Follow the network by one gradient step."""
        live = network.state_dict()
        for name, value in self.first.state_dict().items():
            if value.is_floating_point():
                value.lerp_(live[name], 1.0 - self._decay)
            else:
                value.copy_(live[name])
        self.step += 1
        if self.step % self._every == 0:
            self._past.append((self.step, _clone(self.first)))
        self._follow_lag()

    def _follow_lag(self) -> None:
        moved = False
        while len(self._past) > 1 and self.step - self._past[1][0] >= self._lag:
            self._past.popleft()
            moved = True
        if moved:
            self.second.load_state_dict(self._past[0][1])

    @property
    def lag(self) -> int:
        """Gradient steps by which target 2 is behind target 1."""
        return self.step - self._past[0][0]

    def state_dict(self) -> StateDict:
        """Return everything that a resumed run needs, as tensors."""
        state = {f"first.{name}": value for name, value in _clone(self.first).items()}
        for step, past in self._past:
            state |= {f"past.{step}.{name}": value for name, value in past.items()}
        return state | {"step": torch.tensor(self.step)}

    def load_state_dict(self, state: StateDict) -> None:
        """Take over what `state_dict` returned.

        Raises:
            CheckpointError: there is no state of target 2.
        """
        self.step = int(state["step"])
        self.first.load_state_dict(_below(state, "first."))
        steps = sorted({int(name.split(".")[1]) for name in state if name.startswith("past.")})
        if not steps:
            raise CheckpointError("target networks: the checkpoint holds no state of target 2")
        self._past = deque((step, _below(state, f"past.{step}.")) for step in steps)
        self.second.load_state_dict(self._past[0][1])


def _below(state: StateDict, prefix: str) -> StateDict:
    picked = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
    return {name: value.clone() for name, value in picked.items()}


def _clone(network: QNetwork) -> StateDict:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _frozen_copy(network: QNetwork) -> QNetwork:
    twin = copy.deepcopy(network).eval()
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    return twin
