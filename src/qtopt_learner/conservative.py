"""Pessimism about moves that nobody made, for training without episodes of one's own.

Nothing in logged data contradicts a Q that is too high for a move that is not in it, and the maximum over
moves finds such a Q: the policy dithers after what does not exist. QT-Opt mends that with its own episodes
(1806.10293, section 6.1). Where there are none, conservative Q-learning (2006.04779, equation 4, in logits q)
adds to the loss of each transition

    weight (log (1/(1 + N) sum_j exp q(s, a_j)) - q(s, a_0))

with a_0 the move that was made and a_1..a_N rivals: drawn uniformly, each still choice once. It pulls down
what is high without a reason in the data.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qtopt_policy.errors import ConfigError
from qtopt_policy.sampling import draw_vectors
from qtopt_policy.specs import ActionSpec


@dataclass(frozen=True)
class ConservativeConfig:
    """How pessimistic training is.

    Attributes:
        weight: of the pessimism beside the loss; 0 is QT-Opt.
        rivals: moves that each transition's own is compared with.
    """

    weight: float = 0.0
    rivals: int = 16

    def __post_init__(self) -> None:
        if not self.weight >= 0.0 or self.rivals < 1:
            raise ConfigError(f"conservative weight {self.weight}, rivals {self.rivals}: need >= 0 and >= 1")


def with_rivals(actions: Tensor, spec: ActionSpec, config: ConservativeConfig, seed: int) -> Tensor:
    """Return the moves of B transitions (B, size) with rivals after each, shape (B, 1 + rivals, size)."""
    own = actions.unsqueeze(1)
    if config.weight == 0.0:
        return own
    return torch.cat([own, draw_vectors(len(actions), spec, config.rivals, seed, actions.device)], dim=1)


def pessimism(logits: Tensor, config: ConservativeConfig) -> Tensor:
    """Return what is added to the losses of B transitions, from logits of `with_rivals`, shape (B,)."""
    mean = torch.logsumexp(logits, dim=1) - math.log(logits.shape[1])
    return config.weight * (mean - logits[:, 0])
