"""A distribution of returns instead of its mean, and the measures of risk that search on it (Q2-Opt).

Q2-Opt (1910.02787) lets the network give N quantiles of the return at the midpoints (2 i - 1) / 2 N, and CEM
maximise a measure psi of them. The measures are distorted expectations, E[Z_beta(tau)] with tau uniform in
(0, 1), with the distortions beta of Dabney et al. (1806.06923, section 3):

    neutral     beta = tau
    cvar(eta)   beta = eta tau                                              mean of the worst share eta
    wang(eta)   beta = Phi(Phi^-1(tau) + eta)                               averse below 0
    cpw(eta)    beta = tau^eta / (tau^eta + (1 - tau)^eta)^(1 / eta)        as people do, eta = 0.71
    pow(eta)    beta = tau^(1 / (1 + |eta|)) from 0 on, else 1 - (1 - tau)^(1 / (1 + |eta|))   averse below 0
    norm(eta)   beta = mean of eta uniform draws                            away from both ends

Each amounts to fixed weights of the sorted quantiles: the share of tau that beta sends into each of N bins.
"""

from dataclasses import dataclass
from math import comb, factorial
from typing import Literal

import torch
from torch import Tensor, nn

from qtopt_policy.errors import ConfigError

RiskName = Literal["neutral", "cvar", "wang", "cpw", "pow", "norm"]
# Values of tau by which the weights are measured.
GRID = 200_001
# Of `norm`: its alternating sum loses all digits beyond.
MOST_DRAWS = 12


@dataclass(frozen=True)
class RiskConfig:
    """How a network's last layer is read.

    Attributes:
        quantiles: of the return; 0 gives Q itself.
        risk: measure that is searched.
        parameter: eta of the measure; `neutral` has none.
    """

    quantiles: int = 0
    risk: RiskName = "neutral"
    parameter: float = 0.0

    def __post_init__(self) -> None:
        if self.quantiles < 0:
            raise ConfigError(f"quantiles {self.quantiles}: must not be negative")
        if self.risk != "neutral" and not self.quantiles:
            raise ConfigError(f"risk {self.risk}: needs a network with quantiles")
        if self.risk == "cvar" and not 0.0 < self.parameter <= 1.0:
            raise ConfigError(f"risk cvar({self.parameter}): must be in (0, 1]")
        if self.risk == "cpw" and not 0.3 <= self.parameter <= 1.0:
            raise ConfigError(f"risk cpw({self.parameter}): must be in [0.3, 1], where beta rises")
        if self.risk == "norm" and self.parameter not in range(1, MOST_DRAWS + 1):
            raise ConfigError(f"risk norm({self.parameter}): must be a number of draws, 1 to {MOST_DRAWS}")


def distort(tau: Tensor, config: RiskConfig) -> Tensor:
    """Return beta of tau in (0, 1), elementwise; for `norm` see `weights`.

    Raises:
        ConfigError: the measure is `norm`, whose beta is random.
    """
    eta = config.parameter
    if config.risk == "neutral":
        return tau
    if config.risk == "cvar":
        return eta * tau
    if config.risk == "wang":
        normal = torch.distributions.Normal(0.0, 1.0)
        shifted: Tensor = normal.cdf(normal.icdf(tau) + eta)  # type: ignore[no-untyped-call]
        return shifted
    if config.risk == "cpw":
        raised = tau**eta
        return raised / (raised + (1.0 - tau) ** eta) ** (1.0 / eta)
    if config.risk == "pow":
        power = 1.0 / (1.0 + abs(eta))
        return tau**power if eta >= 0.0 else 1.0 - (1.0 - tau) ** power
    raise ConfigError("risk norm: its distortion is random")


def weights(config: RiskConfig) -> Tensor:
    """Return the weights of the sorted quantiles, which add up to 1, shape (quantiles,)."""
    count = config.quantiles
    if config.risk == "neutral":
        return torch.full((count,), 1.0 / count)
    if config.risk == "norm":
        edges = torch.arange(count + 1, dtype=torch.float64) / count
        return irwin_hall(edges, int(config.parameter)).diff().float()
    tau = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
    bins = (distort(tau, config) * count).long().clamp_(0, count - 1)
    return (torch.bincount(bins, minlength=count) / GRID).float()


def irwin_hall(x: Tensor, draws: int) -> Tensor:
    """Return the probability that the mean of `draws` uniform draws is at most x, elementwise."""
    total = torch.zeros_like(x)
    for k in range(draws + 1):
        total += (-1) ** k * comb(draws, k) * (draws * x - k).clamp(min=0.0) ** draws
    return total / factorial(draws)


class Output(nn.Module):
    """Reads the last layer of a network: one logit of Q, or quantiles of the return.

    Args:
        config: see there.

    Attributes:
        size: numbers that the last layer gives.
    """

    _weights: Tensor

    def __init__(self, config: RiskConfig) -> None:
        super().__init__()
        self.config = config
        self.size = max(1, config.quantiles)
        found = weights(config) if config.quantiles else torch.ones(1)
        self.register_buffer("_weights", found, persistent=False)

    def logits(self, raw: Tensor) -> Tensor:
        """Return what is searched, as a logit.

        Args:
            raw: of the last layer, shape (..., size).

        Returns:
            Shape (...).
        """
        if not self.config.quantiles:
            return raw.squeeze(-1)
        measured = raw.float().sigmoid().sort(dim=-1).values @ self._weights
        return torch.logit(measured, eps=1e-6)
