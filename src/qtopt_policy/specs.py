"""What a policy may do and what it sees, as data: any bounded continuous part beside one enumerated part.

"Besides the reward definition, nothing is specific to grasping" (QT-Opt, 1806.10293): networks, CEM and
checkpoints read these specs, and grasp_action.py is one instance of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtopt_policy.errors import ConfigError, ShapeError, UnknownNameError

Array32 = NDArray[np.float32]


@dataclass(frozen=True)
class ContinuousDim:
    """One bounded continuous component of an action."""

    name: str
    unit: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ConfigError(f"{self.name}: bounds [{self.low}, {self.high}] are not an interval")


@dataclass(frozen=True)
class ActionSpec:
    """A bounded continuous part and an enumerated part; either may be empty.

    A *search vector* has the shape (len(continuous) + len(choices),): the continuous values, then the
    choice as one-hot. It is what CEM samples and what networks take.

    Attributes:
        continuous: bounded components.
        choices: names of the enumerated part.
        still: choices whose continuous part is always zero (`terminate` does not move).
    """

    continuous: tuple[ContinuousDim, ...]
    choices: tuple[str, ...] = ()
    still: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [dim.name for dim in self.continuous] + list(self.choices)
        if len(set(names)) != len(names):
            raise ConfigError(f"names of an action are not unique: {names}")
        if not names:
            raise ConfigError("an action needs a continuous or an enumerated part")
        if len(self.choices) == 1:
            raise ConfigError("an enumerated part needs at least two choices")
        for name in self.still:
            if name not in self.choices:
                raise UnknownNameError("still choice", name, self.choices)
        if self.still and not ((self.low <= 0.0) & (self.high >= 0.0)).all():
            raise ConfigError(f"{self.still} stand still, but zero is outside the bounds")

    @property
    def size(self) -> int:
        """Length of a search vector."""
        return len(self.continuous) + len(self.choices)

    @property
    def low(self) -> Array32:
        """Lower bounds of the continuous part, shape (len(continuous),)."""
        return np.array([dim.low for dim in self.continuous], dtype=np.float32)

    @property
    def high(self) -> Array32:
        """Upper bounds of the continuous part, shape (len(continuous),)."""
        return np.array([dim.high for dim in self.continuous], dtype=np.float32)

    @property
    def is_still(self) -> NDArray[np.bool_]:
        """Whether the continuous part is always zero, for each choice, shape (len(choices),)."""
        return np.array([choice in self.still for choice in self.choices], dtype=np.bool_)

    def encode(self, values: ArrayLike, choice: int = 0) -> Array32:
        """Return the search vector of `values` (clipped to the bounds; zero if still) and a choice.

        Raises:
            ShapeError: `values` has the wrong length, is not finite, or `choice` is out of range.
        """
        array = np.asarray(values, dtype=np.float32)
        if array.shape != (len(self.continuous),) or not np.isfinite(array).all():
            raise ShapeError(
                f"continuous part {array.tolist()}, expected {len(self.continuous)} finite values"
            )
        one_hot = np.zeros(len(self.choices), dtype=np.float32)
        if self.choices:
            if not 0 <= choice < len(self.choices):
                raise ShapeError(f"choice {choice}, expected 0 to {len(self.choices) - 1}: {self.choices}")
            one_hot[choice] = 1.0
        return np.concatenate([self._canonical(array, choice), one_hot])

    def decode(self, vector: ArrayLike) -> tuple[Array32, int]:
        """Return the continuous part (clipped; zero if still) and the index of the choice (0 where none)."""
        array = np.asarray(vector, dtype=np.float32)
        if array.shape != (self.size,) or not np.isfinite(array).all():
            raise ShapeError(f"search vector {array.tolist()}, expected {self.size} finite values")
        count = len(self.continuous)
        choice = int(np.argmax(array[count:])) if self.choices else 0
        return self._canonical(array[:count], choice), choice

    def _canonical(self, values: Array32, choice: int) -> Array32:
        if self.choices and self.choices[choice] in self.still:
            return np.zeros_like(values)
        return np.clip(values, self.low, self.high)


@dataclass(frozen=True)
class VectorField:
    """One named vector of an observation with its unit."""

    name: str
    size: int
    unit: str


@dataclass(frozen=True)
class ObservationSpec:
    """An image and/or named vectors.

    Attributes:
        image: (height, width, channels) of the uint8 image, or None.
        vectors: named float32 vectors in a fixed order.
    """

    image: tuple[int, int, int] | None
    vectors: tuple[VectorField, ...] = ()

    def __post_init__(self) -> None:
        if self.image is None and not self.vectors:
            raise ConfigError("an observation needs an image or a vector")

    @property
    def vector_size(self) -> int:
        """Sum of the sizes of all vectors."""
        return sum(field.size for field in self.vectors)
