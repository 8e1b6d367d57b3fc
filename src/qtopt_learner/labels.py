"""Bellman labels (QT-Opt, 1806.10293, section 4.1), made apart from the gradient steps and cached.

    V(s') = min_i Q_i(s', a*)   with   a* = argmax_a Q_1(s', a) by CEM, i = target 1, target 2
    label = r + gamma V(s'), r alone at the end of an episode

With n steps: label = sum_{k<n} gamma^k r_{t+k} + gamma^n V(s_{t+n}), or the rewards alone up to an end that
comes sooner. The search is the one that drives the robot. Labels go stale as the targets move on; their age
is known (Replay.value_step) and bounded by the relabelling ratio and the age limit.

The other kind of label is the baseline that QT-Opt is compared with, supervised success prediction:

    label = 1 if the episode ended in a grasp, else 0, at each of its steps

which is the value of whoever collected the data, and CEM on it improves on them by one step. In Levine et al.
(1603.02199) the move that is valued leads to the pose of the grasp, and thresholds decide when to close; here
it is the step that was made, in the same bounds, with closing and terminating among the choices, so that
network, data, actions and search are QT-Opt's and the labels are all that differs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qtopt_learner.replay import Index, Replay
from qtopt_learner.rows import observation_batch
from qtopt_policy.cem import maximise
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.sampling import draw_noise
from qtopt_policy.search_config import CemConfig

Floats = NDArray[np.float32]
Through = Literal["all", "chosen"]


@dataclass(frozen=True)
class LabelConfig:
    """How labels are made and how long they are used.

    Attributes:
        kind: `bellman`, or `outcome`: supervised success prediction, which needs no search.
        fresh: label every batch with the targets of the moment before it is trained on; False takes labels
            from the cache, which updaters too can fill, and which `ratio` and `age_limit` are for. Values
            travel back through an episode at the pace of the targets, not at that of the sweeps over all
            rows; each step costs more.
        ratio: labels made per transition trained on.
        block: labels made at a time.
        age_limit: gradient steps after which a label is not used any more; None uses all.
        cem: the search for V; smaller than the robot's, since it dominates a training step.
        clipped: minimum over both targets (the paper's); False uses target 1 alone.
        n_step: rewards summed before the bootstrap; above 1 is biased towards the policy of the data.
        through: which later steps the sum goes through: `all`, or those that a learned policy `chosen`, so
            that it ends before a scripted or random step, whose reward says nothing about the best action.
        monte_carlo_bound: raise labels to the discounted return that the episode reached. Optimistic
            where luck played a part.
    """

    kind: Literal["bellman", "outcome"] = "bellman"
    fresh: bool = True
    ratio: float = 0.5
    block: int = 192
    age_limit: int | None = None
    cem: CemConfig = field(default_factory=lambda: CemConfig(iterations=2, samples=16, elites=4))
    clipped: bool = True
    n_step: int = 1
    through: Through = "all"
    monte_carlo_bound: bool = False

    def __post_init__(self) -> None:
        if self.ratio < 0.0 or self.block < 1 or self.n_step < 1:
            raise ConfigError(f"labels: ratio {self.ratio}, block {self.block}, n_step {self.n_step}")
        if self.through == "chosen" and self.n_step == 1:
            raise ConfigError("labels: through chosen with n_step 1: one step has no later ones")
        if self.age_limit is not None and self.age_limit < 1:
            raise ConfigError(f"age_limit {self.age_limit}: must be at least 1 gradient step")

    @property
    def cached(self) -> bool:
        """Whether labels are made ahead and kept, to be made again from time to time."""
        return self.kind == "bellman" and not self.fresh


class Targets(Protocol):
    """The two networks that judge states: TargetNetworks, or a copy of them in another process."""

    @property
    def first(self) -> QNetwork:
        """Target 1, which also picks the action."""
        ...

    @property
    def second(self) -> QNetwork:
        """Target 2."""
        ...


@torch.no_grad()
def state_values(
    targets: Targets, batch: ObservationBatch, seeds: Sequence[int] | Tensor, config: LabelConfig
) -> Tensor:
    """Return V of B states, in (0, 1), shape (B,); `seeds` as in cem.maximise."""
    found = maximise(targets.first, batch, seeds, config=config.cem)
    if not config.clipped:
        return found.value.sigmoid()
    second: Tensor = targets.second(batch, found.best.unsqueeze(1)).squeeze(1)
    return torch.minimum(found.value, second).sigmoid()


def search_noise(
    targets: Targets, count: int, seed: int, config: LabelConfig, device: torch.device
) -> Tensor:
    """Return the noise of the search for the values of `count` states."""
    return draw_noise(count, config.cem.noise_shape(targets.first.action_spec), seed, device)


@dataclass(frozen=True, eq=False)
class Horizon:
    """Where transitions bootstrap, by n-step rewards.

    Attributes:
        reward: discounted sum of the rewards up to there, shape (B,).
        row: absolute number of the row whose state's value follows, shape (B,).
        factor: discount of that value; 0 where the episode ends before, shape (B,).
    """

    reward: Floats
    row: Index
    factor: Floats


def horizon(replay: Replay, rows: Index, n_step: int, discount: float, through: Through = "all") -> Horizon:
    """Look n steps ahead, or up to the last row of the episode where that is nearer.

    Args:
        replay: holds the rows.
        rows: transitions (Replay.is_transition) by absolute number.
        n_step: see LabelConfig.
        discount: gamma.
        through: see LabelConfig.
    """
    remaining, complete = replay.get("remaining", rows), replay.get("complete", rows)
    most = np.full(len(rows), n_step) if through == "all" else _chosen_ahead(replay, rows, remaining, n_step)
    terminal = complete & (remaining < most)
    # A terminal end adds the last row's reward too; an aborted one bootstraps from the last row's state.
    count = np.where(terminal, remaining + 1, np.minimum(most, remaining))
    reward = np.zeros(len(rows), dtype=np.float64)
    for k in range(min(n_step, int(count.max(initial=0)))):
        counts = k < count
        reward[counts] += discount**k * replay.get("reward", rows[counts] + k)
    factor = np.where(terminal, 0.0, discount ** count.astype(np.float64))
    row = rows + np.where(terminal, 0, count)
    return Horizon(reward.astype(np.float32), row, factor.astype(np.float32))


def _chosen_ahead(replay: Replay, rows: Index, remaining: Index, n_step: int) -> Index:
    """Return how many steps a sum may have that begins at each row: up to the next that nobody chose."""
    most = np.full(len(rows), n_step)
    for k in range(n_step - 1, 0, -1):
        there = np.flatnonzero(remaining >= k)
        most[there[~replay.get("chosen", rows[there] + k)]] = k
    return most


# Returns what is predicted of B states, shape (B, ...), drawing the chance of its search from one seed.
Judge = Callable[[ObservationBatch, int], Tensor]


def judge_open_ends(
    judge: Judge, replay: Replay, ahead: Horizon, rng: np.random.Generator, size: tuple[int, ...] = ()
) -> Floats:
    """Return what `judge` predicts where values follow, zeros where nothing does, shape (B, *size)."""
    values = np.zeros((len(ahead.row), *size), dtype=np.float32)
    opens = ahead.factor > 0.0
    if opens.any():
        batch = observation_batch(replay.gather(ahead.row[opens], ("image", "vectors", "geometry")))
        values[opens] = judge(batch, int(rng.integers(0, 2**62))).cpu().numpy()
    return values


def outcomes(replay: Replay, rows: Index) -> Floats:
    """Return the reward at the end of the episodes of rows, which must be complete, shape (B,)."""
    ends: Floats = replay.get("reward", rows + replay.get("remaining", rows))
    return ends


class Labeller:
    """Makes the labels of transitions and trains on them: the Bellman updater.

    Args:
        targets: the networks that judge the next states.
        config: see LabelConfig.
        discount: gamma.
        device: where the networks are.
    """

    def __init__(self, targets: Targets, config: LabelConfig, discount: float, device: torch.device) -> None:
        self._targets = targets
        self._config = config
        self._discount = discount
        self._device = device

    def label(self, replay: Replay, rows: Index, step: int, rng: np.random.Generator) -> None:
        """Make and cache the labels of transitions; `step` is their date. Only open ends need a search."""
        if self._config.kind == "outcome":
            replay.set_values(rows, outcomes(replay, rows), step)
            return
        ahead = horizon(replay, rows, self._config.n_step, self._discount, self._config.through)
        replay.set_values(rows, judge_open_ends(self._judge, replay, ahead, rng), step)

    def _judge(self, batch: ObservationBatch, seed: int) -> Tensor:
        noise = search_noise(self._targets, len(batch), seed, self._config, self._device)
        return state_values(self._targets, batch.to(self._device), noise, self._config)

    def targets_of(self, replay: Replay, rows: Index) -> Floats:
        """Return what Q should be for labelled transitions, before clipping to [0, 1], shape (B,)."""
        if self._config.kind == "outcome":
            return outcomes(replay, rows)
        ahead = horizon(replay, rows, self._config.n_step, self._discount, self._config.through)
        labels: Floats = ahead.reward + ahead.factor * replay.get("value", rows)
        if self._config.monte_carlo_bound:
            labels = np.fmax(labels, replay.get("mc_return", rows))
        return labels
