"""The cross-entropy method over any ActionSpec: argmax of Q over actions, for a batch of observations.

QT-Opt (1806.10293, section 4.2): 2 iterations of 64 samples with 6 elites, the continuous part Gaussian.
The enumerated part is not sampled but divided out, each choice with a Gaussian of its own:

1. Choices that stand still (`terminate`) have one point each and are valued once, at zero. The other
   samples of the first iteration are dealt out evenly over the choices that move, from
   N(centre, (initial_std * half range)^2), clipped to the bounds.
2. Later iterations refit. The elites are the best samples of the iteration before; each of them passes an
   equal share of the new samples to its own choice, drawn from the mean and standard deviation of that
   choice's elites. A standing elite's share goes to the best moving one: to value it again is a waste.

The standard deviation has a floor, so that a choice with a single elite is still searched around it. The
best sample ever seen is the result, not the last mean. Noise comes from one generator per observation, so
that the result does not depend on what else is in the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qtopt_policy.errors import ShapeError
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.sampling import Space, seeded_noise, space_of
from qtopt_policy.search_config import CemConfig
from qtopt_policy.specs import ActionSpec

# Maps search vectors of shape (B, N, ActionSpec.size) to values of shape (B, N).
Valuation = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class CemResult:
    """What a search found for B observations.

    Attributes:
        best: best search vector ever sampled, shape (B, size).
        value: its value, shape (B,).
        actions: all samples in order, shape (B, iterations * samples, size).
        values: of all samples, shape (B, iterations * samples).
        elite: members of the last round's elite, bool, shape (B, iterations * samples).
    """

    best: Tensor
    value: Tensor
    actions: Tensor
    values: Tensor
    elite: Tensor


def search(
    valuation: Valuation,
    spec: ActionSpec,
    seeds: Sequence[int] | Tensor,
    config: CemConfig | None = None,
    device: torch.device | None = None,
) -> CemResult:
    """Maximise a function of search vectors for each of B observations.

    Args:
        valuation: called once per round with shape (B, samples, spec.size).
        spec: bounds and choices.
        seeds: one per observation; equal seeds draw equal noise; or the noise (sampling.draw_noise).
        config: defaults to the paper's 2 x 64 samples with 6 elites.
        device: of the tensors passed to `valuation`.

    Raises:
        ConfigError: there are more choices than samples.
        ShapeError: `valuation` returned another shape, or values that are not finite.
    """
    config, device = config or CemConfig(), device or torch.device("cpu")
    space = space_of(spec, config.samples, device)
    noise = seeds if isinstance(seeds, Tensor) else seeded_noise(seeds, config.noise_shape(spec)).to(device)
    choice = space.dealt.expand(len(noise), -1)
    values = space.centre + config.initial_std * space.half * noise[:, 0]
    rounds = [_value(valuation, space.vectors(values, choice))]
    for k in range(1, config.iterations):
        values, choice = _refit(space, config, rounds[-1], values, choice, noise[:, k])
        rounds.append(_value(valuation, space.vectors(values, choice)))
    return _collect(rounds, config)


def _value(valuation: Valuation, vectors: Tensor) -> tuple[Tensor, Tensor]:
    values = valuation(vectors)
    if values.shape != vectors.shape[:2]:
        raise ShapeError(
            f"Q values have the shape {tuple(values.shape)}, expected {tuple(vectors.shape[:2])}"
        )
    return vectors, values


def _refit(
    space: Space,
    config: CemConfig,
    last: tuple[Tensor, Tensor],
    values: Tensor,
    choice: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return continuous values (B, N, D) and choices (B, N) of the next round."""
    index = last[1].topk(config.elites).indices  # (B, M), best first
    elite = torch.gather(choice, 1, index)
    points = torch.gather(values, 1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
    points = points.clamp(space.low, space.high)
    moving = ~space.still[elite]
    # The source of an elite's share is itself, or the best moving elite; the best of all if none moves.
    own = torch.arange(config.elites, device=index.device).expand_as(index)
    first_moving = moving.to(torch.int8).argmax(dim=1, keepdim=True)
    source = torch.where(moving, own, first_moving)
    share = torch.arange(config.samples, device=index.device) % config.elites
    source = source[:, share]  # (B, N)
    mean, std = _moments(points, elite, config, space)
    rows = source.unsqueeze(-1).expand(-1, -1, points.shape[-1])
    drawn = torch.gather(mean, 1, rows) + torch.gather(std, 1, rows) * noise
    return drawn, torch.gather(elite, 1, source)


def _moments(points: Tensor, elite: Tensor, config: CemConfig, space: Space) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the elites of the same choice, for each elite, (B, M, D)."""
    same = (elite.unsqueeze(1) == elite.unsqueeze(2)).to(points.dtype)  # (B, M, M)
    weight = same / same.sum(dim=2, keepdim=True)
    mean = weight @ points
    spread = (points.unsqueeze(1) - mean.unsqueeze(2)).square()  # (B, M, M, D)
    variance = (weight.unsqueeze(-1) * spread).sum(dim=2)
    return mean, torch.maximum(variance.sqrt(), config.min_std * space.half)


def _collect(rounds: list[tuple[Tensor, Tensor]], config: CemConfig) -> CemResult:
    actions = torch.cat([vectors for vectors, _ in rounds], dim=1)
    values = torch.cat([value for _, value in rounds], dim=1)
    finite = torch.isfinite(values)
    if not finite.all():
        count = int((~finite).sum())
        raise ShapeError(
            f"{count} of {values.numel()} Q values are not finite: check weights and observation"
        )
    value, index = values.max(dim=1)
    rows = torch.arange(len(values), device=values.device)
    elite = torch.zeros_like(values, dtype=torch.bool)
    last = rounds[-1][1].topk(config.elites).indices + (config.iterations - 1) * config.samples
    return CemResult(actions[rows, index], value, actions, values, elite.scatter(1, last, True))


@torch.no_grad()
def maximise(
    network: QNetwork,
    batch: ObservationBatch,
    seeds: Sequence[int] | Tensor,
    spec: ActionSpec | None = None,
    config: CemConfig | None = None,
) -> CemResult:
    """Maximise Q over actions for B observations; the trunk runs once. Values are logits.

    Args:
        network: in the mode in which it is to be used (eval).
        batch: B observations.
        seeds: one per observation; or the noise (sampling.draw_noise).
        spec: where to search; the network's own bounds by default.
        config: of the search.

    Raises:
        ShapeError: Q is not finite.
    """
    if len(seeds) != len(batch):
        raise ShapeError(f"{len(seeds)} seeds for {len(batch)} observations")
    features = network.trunk(batch)
    spec = spec or network.action_spec
    valuation = lambda actions: network.head(features, batch, actions)  # noqa: E731
    return search(valuation, spec, seeds, config, batch.image.device)


def limit_threads(count: int) -> None:
    """Let torch use `count` threads within an operation, in the whole process."""
    torch.set_num_threads(count)
