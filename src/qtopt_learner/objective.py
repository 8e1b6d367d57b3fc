"""What a gradient step makes small: from a batch and its labels to losses, for Q and for quantiles."""

from collections.abc import Callable

import torch
from torch import Tensor

from qtopt_learner.losses import make_loss, quantile_huber
from qtopt_learner.quantile_labels import action_quantiles
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import ObservationBatch

# Returns the loss of each transition and Q (without gradients), both of shape (B,).
Objective = Callable[[ObservationBatch, Tensor, Tensor], tuple[Tensor, Tensor]]


def make_objective(network: QNetwork, config: TrainConfig) -> Objective:
    """Return the objective of a run.

    It takes a batch of B observations, search vectors (B, size) and labels in [0, 1]: (B,), or for the loss
    `quantile` (B, quantiles). `amp` computes the network in bfloat16 where that is safe; `compile` has it
    compiled at its first call.

    Raises:
        UnknownNameError: there is no such loss.
    """
    quantiles = config.loss == "quantile"

    def of_network(batch: ObservationBatch, actions: Tensor) -> Tensor:
        if quantiles:
            return action_quantiles(network, batch, actions)
        logits: Tensor = network(batch, actions.unsqueeze(1))
        return logits.squeeze(1)

    compute = torch.compile(of_network) if config.compile else of_network
    device = torch.device(config.device).type

    def outputs(batch: ObservationBatch, actions: Tensor) -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=config.amp):
            return compute(batch, actions).float()

    if quantiles:
        kappa = config.quantile.kappa

        def of_quantiles(batch: ObservationBatch, actions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            found = outputs(batch, actions)
            return quantile_huber(found, labels, kappa), found.detach().mean(dim=1)

        return of_quantiles
    loss = make_loss(config.loss)

    def of_logits(batch: ObservationBatch, actions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = outputs(batch, actions)
        return loss(logits, labels), logits.detach().sigmoid()

    return of_logits
