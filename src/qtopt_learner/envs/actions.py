"""Actions of a Gymnasium environment as one bounded continuous part and one enumerated part.

A Box gives the continuous part, a Discrete the choices; in a Dict or Tuple all Boxes are joined, and the
choices are all combinations of the Discretes.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from qtopt_policy.errors import ConfigError
from qtopt_policy.specs import ActionSpec, ContinuousDim

# Combinations of choices at most: CEM deals its samples out over them.
MOST = 32


@dataclass(frozen=True)
class _Box:
    """Continuous components [first, first + size) of the action as a Box."""

    space: spaces.Box
    first: int
    size: int

    def build(self, values: NDArray[np.float32], choices: tuple[int, ...]) -> Any:
        part = values[self.first : self.first + self.size].reshape(self.space.shape)
        return np.clip(part.astype(self.space.dtype), self.space.low, self.space.high)


@dataclass(frozen=True)
class _Discrete:
    """Number `index` of the combined choices as a Discrete."""

    space: spaces.Discrete
    index: int

    def build(self, values: NDArray[np.float32], choices: tuple[int, ...]) -> Any:
        return int(self.space.start) + choices[self.index]


@dataclass(frozen=True)
class _Group:
    """A Dict (with keys) or a Tuple (without) of parts."""

    keys: tuple[str, ...] | None
    parts: tuple[Any, ...]

    def build(self, values: NDArray[np.float32], choices: tuple[int, ...]) -> Any:
        built = [part.build(values, choices) for part in self.parts]
        return tuple(built) if self.keys is None else dict(zip(self.keys, built, strict=True))


class ActionMap:
    """From search vectors to actions of one space.

    Args:
        space: Box, Discrete, or a Dict or Tuple of them.

    Attributes:
        spec: of the search vectors.

    Raises:
        ConfigError: the space is another one, unbounded, or has more than MOST combinations of choices.
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        self._dims: list[ContinuousDim] = []
        self._named: list[tuple[str, int]] = []
        self._root = self._read(space, "action")
        sizes = [size for _, size in self._named]
        if int(np.prod(sizes, dtype=np.int64)) > MOST:
            raise ConfigError(f"action with {int(np.prod(sizes))} combinations of choices, at most {MOST}")
        self._combinations = list(product(*(range(size) for size in sizes)))
        names = tuple(self._name(choices) for choices in self._combinations)
        self.spec = ActionSpec(tuple(self._dims), names if len(names) > 1 else ())

    def _name(self, choices: tuple[int, ...]) -> str:
        return " ".join(f"{name}={k}" for (name, _), k in zip(self._named, choices, strict=True))

    def _read(self, space: spaces.Space[Any], name: str) -> Any:
        if isinstance(space, spaces.Dict):
            keys = tuple(space.spaces)
            return _Group(keys, tuple(self._read(space.spaces[key], f"{name}/{key}") for key in keys))
        if isinstance(space, spaces.Tuple):
            return _Group(None, tuple(self._read(s, f"{name}/{i}") for i, s in enumerate(space.spaces)))
        if isinstance(space, spaces.Discrete):
            self._named.append((name, int(space.n)))
            return _Discrete(space, len(self._named) - 1)
        if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
            raise ConfigError(
                f"{name}: {space} is not supported; valid: Box of floats, Discrete, Dict or Tuple of them"
            )
        return self._read_box(space, name)

    def _read_box(self, space: spaces.Box, name: str) -> _Box:
        if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
            raise ConfigError(
                f"{name}: {space} is not bounded; gymnasium.wrappers.RescaleAction or ClipAction can bound it"
            )
        first = len(self._dims)
        bounds = zip(space.low.ravel().tolist(), space.high.ravel().tolist(), strict=True)
        self._dims += [ContinuousDim(f"{name}[{i}]", "1", low, high) for i, (low, high) in enumerate(bounds)]
        return _Box(space, first, len(self._dims) - first)

    def decode(self, vector: NDArray[np.float32]) -> Any:
        """Return the environment's action of a search vector, shape (spec.size,)."""
        values, choice = self.spec.decode(vector)
        return self._root.build(values, self._combinations[choice])

    def sample(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a search vector drawn uniformly."""
        values = rng.uniform(self.spec.low, self.spec.high)
        return self.spec.encode(values, int(rng.integers(len(self._combinations))))

    def disturb(
        self, vector: NDArray[np.float32], noise: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return a search vector with Gaussian noise on its continuous part, in shares of half the bounds."""
        values, choice = self.spec.decode(vector)
        half = (self.spec.high - self.spec.low) / 2
        return self.spec.encode(values + noise * half * rng.normal(size=len(values)), choice)
