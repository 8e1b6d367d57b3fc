"""How far Q is from its label.

Cross entropy is the paper's: returns are bounded to [0, 1] and it is "more stable than the standard squared
difference" (1806.10293, section 4.1). Huber on Q = sigmoid(logit) is there to compare.
"""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qtopt_policy.errors import UnknownNameError

LossName = Literal["cross_entropy", "huber"]
Loss = Callable[[Tensor, Tensor], Tensor]

# Errors of Q above this count linearly, not squared.
HUBER_DELTA = 0.1


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -y log Q - (1 - y) log (1 - Q) per entry, with Q = sigmoid(logits) and labels y in [0, 1]."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def huber(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the Huber loss of Q - y per entry, divided by HUBER_DELTA: slope 1 far out."""
    return F.huber_loss(logits.sigmoid(), labels, reduction="none", delta=HUBER_DELTA) / HUBER_DELTA


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "huber": huber}


def make_loss(name: str) -> Loss:
    """Return a loss by name: logits and labels of equal shape to losses of that shape.

    Raises:
        UnknownNameError: there is no such loss.
    """
    if name not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)
    return LOSSES[name]
