"""Labels that are distributions (Q2-Opt, 1910.02787): r + gamma Z(s', a*), quantile by quantile.

a* maximises the measure of risk under target 1. Of the two targets' distributions at a* the one with the
lower mean is taken: the minimum of QT-Opt, carried over to distributions (a choice of ours; Q2-Opt's paper
words its target with one network). Distributions are made for each batch and not cached; the replay
remembers their means, for the metrics.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from qtopt_learner.labels import Floats, LabelConfig, Targets, horizon, judge_open_ends, search_noise
from qtopt_learner.replay import Index, Replay
from qtopt_policy.cem import maximise
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import ObservationBatch


def action_quantiles(network: QNetwork, batch: ObservationBatch, actions: Tensor) -> Tensor:
    """Return the quantiles of one action each, shape (B, quantiles), of search vectors (B, size)."""
    return network.raw_quantiles(network.trunk(batch), batch, actions.unsqueeze(1)).squeeze(1)


@torch.no_grad()
def state_quantiles(
    targets: Targets, batch: ObservationBatch, seeds: Sequence[int] | Tensor, config: LabelConfig
) -> Tensor:
    """Return the quantiles of the return of B states, in (0, 1), shape (B, quantiles)."""
    best = maximise(targets.first, batch, seeds, config=config.cem).best
    first = action_quantiles(targets.first, batch, best)
    if not config.clipped:
        return first
    second = action_quantiles(targets.second, batch, best)
    lower = (second.mean(dim=1) < first.mean(dim=1)).unsqueeze(1)
    return torch.where(lower, second, first)


class QuantileLabeller:
    """Makes the labels of transitions as distributions.

    Args:
        targets: the networks that judge the next states.
        config: see LabelConfig; the bound by Monte-Carlo returns does not apply.
        discount: gamma.
        device: where the networks are.
        count: quantiles.
    """

    def __init__(
        self, targets: Targets, config: LabelConfig, discount: float, device: torch.device, count: int
    ) -> None:
        self._targets = targets
        self._config = config
        self._discount = discount
        self._device = device
        self._count = count

    def label(self, replay: Replay, rows: Index, step: int, rng: np.random.Generator) -> Floats:
        """Return what the quantiles of transitions should be, before clipping, shape (B, quantiles)."""
        ahead = horizon(replay, rows, self._config.n_step, self._discount, self._config.through)
        values = judge_open_ends(self._judge, replay, ahead, rng, (self._count,))
        replay.set_values(rows, values.mean(axis=1), step)
        labels: Floats = ahead.reward[:, None] + ahead.factor[:, None] * values
        return labels

    def _judge(self, batch: ObservationBatch, seed: int) -> Tensor:
        noise = search_noise(self._targets, len(batch), seed, self._config, self._device)
        return state_quantiles(self._targets, batch.to(self._device), noise, self._config)
