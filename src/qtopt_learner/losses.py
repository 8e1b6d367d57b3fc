"""How far Q is from its label.

Cross entropy is the paper's: returns are bounded to [0, 1] and it is "more stable than the standard squared
difference" (1806.10293, section 4.1). Huber on Q = sigmoid(logit) is there to compare. The quantile
Huber loss is that of Q2-Opt (1910.02787), after Dabney et al. (1710.10044): with u_ij = label_j - quantile_i,

    mean over j, sum over i of |tau_i - [u_ij < 0]| huber(u_ij),   tau_i = (2 i - 1) / 2 N
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qtopt_policy.errors import UnknownNameError

LossName = Literal["cross_entropy", "huber", "quantile"]
Loss = Callable[[Tensor, Tensor], Tensor]

# Errors of Q above this count linearly, not squared.
HUBER_DELTA = 0.1


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -y log Q - (1 - y) log (1 - Q) per entry, with Q = sigmoid(logits) and labels y in [0, 1]."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def huber(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the Huber loss of Q - y per entry, divided by HUBER_DELTA: slope 1 far out."""
    return F.huber_loss(logits.sigmoid(), labels, reduction="none", delta=HUBER_DELTA) / HUBER_DELTA


def quantile_huber(quantiles: Tensor, labels: Tensor, kappa: float) -> Tensor:
    """Return the quantile Huber loss, divided by kappa: slope |tau - [u < 0]| far out.

    Args:
        quantiles: of the network, in the order of its outputs, shape (B, N).
        labels: samples or quantiles of what it should give, shape (B, M).
        kappa: errors above it count linearly.

    Returns:
        Shape (B,).
    """
    count = quantiles.shape[1]
    tau = (torch.arange(count, device=quantiles.device, dtype=quantiles.dtype) + 0.5) / count
    error = labels.unsqueeze(1) - quantiles.unsqueeze(2)  # (B, N, M)
    huber_loss = F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=kappa) / kappa
    weight = (tau.view(1, -1, 1) - (error.detach() < 0.0).to(tau.dtype)).abs()
    return (weight * huber_loss).mean(dim=2).sum(dim=1)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "huber": huber}


def make_loss(name: str) -> Loss:
    """Return a loss of Q by name: logits and labels of equal shape to losses of that shape.

    `quantile` is none of them: it compares distributions (quantile_huber).

    Raises:
        UnknownNameError: there is no such loss.
    """
    if name not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)
    return LOSSES[name]
