"""Observations of a Gymnasium environment as what networks take: one image and/or named vectors.

Numbers are brought to the order of 1: those with finite bounds linearly to [-1, 1], others by
sign(x) log(1 + |x|), which needs no statistics. Discrete observations become one-hot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from qtopt_policy.errors import ConfigError
from qtopt_policy.specs import ObservationSpec, VectorField

Image = NDArray[np.uint8]
Vector = NDArray[np.float32]
# Bounds wider than this say nothing about what occurs.
WIDEST = 1e4


@dataclass(frozen=True, eq=False)
class _Part:
    """One space inside the observation, reached by keys from outside in."""

    path: tuple[str, ...]
    space: spaces.Space[Any]

    @property
    def name(self) -> str:
        return "/".join(self.path) or "observation"

    def of(self, observation: Any) -> Any:
        for key in self.path:
            observation = observation[key]
        return observation

    @property
    def is_image(self) -> bool:
        space = self.space
        return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def _parts(space: spaces.Space[Any], path: tuple[str, ...] = ()) -> list[_Part]:
    if isinstance(space, spaces.Dict):
        return [part for key, inner in space.spaces.items() for part in _parts(inner, (*path, key))]
    part = _Part(path, space)
    if not isinstance(space, spaces.Box | spaces.Discrete):
        raise ConfigError(f"{part.name}: {space} is not supported; valid: Box, Discrete, or a Dict of them")
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating) and len(space.shape) == 3:
        raise ConfigError(
            f"{part.name}: {space} is not supported; an image must be uint8, which "
            "gymnasium.wrappers.TransformObservation can make it; if it is none, FlattenObservation"
        )
    return [part]


class ObservationMap:
    """From observations of one space to image and vectors.

    Args:
        space: Box, Discrete, or a Dict of them; uint8 with 2 or 3 axes (height, width, channels) is an image.

    Attributes:
        spec: what networks are built for.

    Raises:
        ConfigError: the space is another one, has two images, one of floats, or one with the channels first.
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        parts = _parts(space)
        images = [part for part in parts if part.is_image]
        if len(images) > 1:
            raise ConfigError(f"observation with {len(images)} images: {', '.join(p.name for p in images)}")
        self._image = images[0] if images else None
        self._vectors = [part for part in parts if not part.is_image]
        fields = tuple(VectorField(p.name, _size(p.space), "1") for p in self._vectors)
        self.spec = ObservationSpec(self._image_size(), fields)

    def _image_size(self) -> tuple[int, int, int] | None:
        if self._image is None:
            return None
        shape = self._image.space.shape
        assert shape is not None
        height, width, channels = (*shape, 1)[:3]
        if channels > min(height, width):
            raise ConfigError(
                f"{self._image.name}: image of {shape}, expected (height, width, channels); "
                "gymnasium.wrappers.TransformObservation can move the axes"
            )
        return height, width, channels

    def encode(self, observation: Any) -> tuple[Image, Vector]:
        """Return the image, (H, W, C) or (0, 0, 0), and all vectors one after another."""
        image: Image = np.zeros((0, 0, 0), dtype=np.uint8)
        if self._image is not None:
            image = np.asarray(self._image.of(observation), dtype=np.uint8).reshape(self.spec.image or ())
        parts = [_numbers(part.space, part.of(observation)) for part in self._vectors]
        return image, np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def _size(space: spaces.Space[Any]) -> int:
    return int(space.n) if isinstance(space, spaces.Discrete) else int(np.prod(space.shape or (1,)))


def _numbers(space: spaces.Space[Any], value: Any) -> Vector:
    if isinstance(space, spaces.Discrete):
        one_hot: Vector = np.eye(int(space.n), dtype=np.float32)[int(value) - int(space.start)]
        return one_hot
    assert isinstance(space, spaces.Box)
    x = np.asarray(value, dtype=np.float64).ravel()
    lowest, highest = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    bounded = (lowest > -WIDEST) & (highest < WIDEST) & (highest > lowest)
    low, high = np.where(bounded, lowest, -1.0), np.where(bounded, highest, 1.0)
    scaled = np.where(bounded, 2.0 * (x - low) / (high - low) - 1.0, np.sign(x) * np.log1p(np.abs(x)))
    return scaled.astype(np.float32)


def stack(observations: list[tuple[Image, Vector]]) -> Mapping[str, NDArray[Any]]:
    """Return images (T, H, W, C) and vectors (T, D) of encoded observations as replay columns."""
    return {
        "image": np.stack([image for image, _ in observations]),
        "vectors": np.stack([vector for _, vector in observations]),
    }
