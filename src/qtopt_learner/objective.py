"""What a gradient step makes small: from a batch and its labels to losses, for Q and for quantiles."""

from collections.abc import Callable

import torch
from torch import Tensor

from qtopt_learner.conservative import pessimism, with_rivals
from qtopt_learner.losses import make_loss, quantile_huber
from qtopt_learner.quantile_labels import action_quantiles
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import ObservationBatch

# Returns the loss of each transition and Q (without gradients), both of shape (B,). The seed is for rivals.
Objective = Callable[[ObservationBatch, Tensor, Tensor, int], tuple[Tensor, Tensor]]


def make_objective(network: QNetwork, config: TrainConfig) -> Objective:
    """Return the objective of a run.

    It takes a batch of B observations, search vectors (B, size), labels in [0, 1]: (B,), or for the loss
    `quantile` (B, quantiles), and a seed for the rivals of conservative.py. `amp` computes the network in
    bfloat16 where that is safe; `compile` has it compiled at its first call.

    Raises:
        UnknownNameError: there is no such loss.
    """
    quantiles = config.loss == "quantile"

    def of_network(batch: ObservationBatch, actions: Tensor) -> Tensor:
        if quantiles:
            return action_quantiles(network, batch, actions)
        logits: Tensor = network(batch, actions)
        return logits

    compute = torch.compile(of_network) if config.compile else of_network
    device = torch.device(config.device).type

    def outputs(batch: ObservationBatch, actions: Tensor) -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=config.amp):
            return compute(batch, actions).float()

    if quantiles:
        kappa = config.quantile.kappa

        def of_quantiles(
            batch: ObservationBatch, actions: Tensor, labels: Tensor, _seed: int
        ) -> tuple[Tensor, Tensor]:
            found = outputs(batch, actions)
            return quantile_huber(found, labels, kappa), found.detach().mean(dim=1)

        return of_quantiles
    loss, spec, conservative = make_loss(config.loss), network.action_spec, config.conservative

    def of_logits(
        batch: ObservationBatch, actions: Tensor, labels: Tensor, seed: int
    ) -> tuple[Tensor, Tensor]:
        logits = outputs(batch, with_rivals(actions, spec, conservative, seed))
        own = logits[:, 0]
        losses = loss(own, labels)
        if conservative.weight:
            losses = losses + pessimism(logits, conservative)
        return losses, own.detach().sigmoid()

    return of_logits
