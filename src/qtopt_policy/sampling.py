"""Points of an ActionSpec as tensors: bounds and choices, noise of a search, uniform search vectors.

Noise comes from one generator per observation, so that what is found for one does not depend on what else is
in the batch; or, for labels of large batches, from one for all of them.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from qtopt_policy.errors import ConfigError
from qtopt_policy.specs import ActionSpec


class Space:
    """The tensors of an ActionSpec. A spec without choices has one, which is not part of its vectors.

    Attributes:
        low, high, centre, half: bounds, middle and half range of the continuous part, shape (D,).
        named: number of the spec's choices.
        still: whether each choice stands still, bool, shape (choices,).
        dealt: choice of each sample of the first round, shape (samples,).
    """

    def __init__(self, spec: ActionSpec, samples: int, device: torch.device) -> None:
        low, high = torch.from_numpy(spec.low), torch.from_numpy(spec.high)
        self.named = len(spec.choices)
        empty = not spec.continuous
        still = torch.tensor([bool(s) or empty for s in (spec.is_still if self.named else [False])])
        if samples < len(still):
            raise ConfigError(f"samples {samples}: fewer than the {len(still)} choices")
        self.low, self.high = low.to(device), high.to(device)
        self.centre, self.half = ((low + high) / 2).to(device), ((high - low) / 2).to(device)
        self.still, self.dealt = still.to(device), deal(still, samples).to(device)

    def vectors(self, values: Tensor, choice: Tensor) -> Tensor:
        """Return search vectors of continuous values (..., D) and choices (...): clipped, zero if still."""
        moving = ~self.still[choice].unsqueeze(-1)
        clipped = values.clamp(self.low, self.high) * moving
        if not self.named:
            return clipped
        one_hot = torch.nn.functional.one_hot(choice, self.named).to(values.dtype)
        return torch.cat([clipped, one_hot], dim=-1)


@lru_cache(maxsize=32)
def space_of(spec: ActionSpec, samples: int, device: torch.device) -> Space:
    """Return the tensors of a spec: made once, since every copy to a GPU makes the CPU wait for it."""
    return Space(spec, samples, device)


def draw_noise(count: int, shape: tuple[int, ...], seed: int, device: torch.device) -> Tensor:
    """Draw standard normal noise for B observations at once, on the device that searches, (B, *shape).

    For labels of large batches, where a generator per observation would cost more than the search. What is
    found for an observation then depends on its place in the batch.
    """
    generator = torch.Generator(device).manual_seed(seed)
    return torch.randn((count, *shape), generator=generator, device=device)


def draw_vectors(count: int, spec: ActionSpec, samples: int, seed: int, device: torch.device) -> Tensor:
    """Draw search vectors uniformly within the bounds, on the device: choices dealt as in a first round.

    Returns:
        Shape (B, samples, spec.size).

    Raises:
        ConfigError: there are more choices than samples.
    """
    space = space_of(spec, samples, device)
    generator = torch.Generator(device).manual_seed(seed)
    shape = (count, samples, len(spec.continuous))
    share = torch.rand(shape, generator=generator, device=device)
    return space.vectors(torch.lerp(space.low, space.high, share), space.dealt.expand(count, -1))


def seeded_noise(seeds: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Draw standard normal noise for B observations, each by a seed of its own, shape (B, *shape)."""
    generator = torch.Generator()
    return torch.stack([torch.randn(shape, generator=generator.manual_seed(seed)) for seed in seeds])


def deal(still: Tensor, samples: int) -> Tensor:
    """Return the choice of each sample of the first round, shape (samples,)."""
    choices = torch.arange(len(still))
    standing, moving = choices[still], choices[~still]
    if len(moving) == 0:
        return choices.repeat(samples // len(choices) + 1)[:samples]
    rest = samples - len(standing)
    return torch.cat([standing, moving.repeat(rest // len(moving) + 1)[:rest]])
