"""What the replay keeps of a step: one row of fixed size, and how rows become a batch for the networks.

A row holds the state, the action taken in search form, its reward, and how the episode goes on:
`remaining` rows of the same episode follow; `complete` says whether the last of them is terminal. So row i

- bootstraps from row i + 1 if remaining > 0,
- is terminal if remaining == 0 and complete,
- is no transition at all if remaining == 0 and not complete (the last step of an aborted episode).

`chosen` says whether a learned policy chose the row's action: it told its Q. Scripted and random steps have
none; noise on a chosen move does not count.
`value` is the cached label of the row's transition: V of the state that it bootstraps from, 0 where nothing
follows; `value_step` is the gradient step at which it was made, UNLABELLED if never.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qtopt_policy.errors import ShapeError
from qtopt_policy.networks.batch import Geometry, ObservationBatch
from qtopt_policy.specs import ActionSpec, ObservationSpec

Rows = dict[str, NDArray[Any]]
UNLABELLED = -1

# Geometry as one vector per row: field, shape.
GEOMETRY: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("camera_from_hand", (3, 4)),
    ("intrinsics", (4,)),
    ("hand_from_action", (3, 3)),
    ("opening", ()),
    ("height", ()),
)
GEOMETRY_SIZE = sum(int(np.prod(shape)) for _, shape in GEOMETRY)


@dataclass(frozen=True)
class Layout:
    """Columns of a replay.

    Attributes:
        image: (height, width, channels) of the uint8 image; (0, 0, 0) where there is none.
        vectors: length of all vectors of the observation together.
        action: length of a search vector.
    """

    image: tuple[int, int, int]
    vectors: int
    action: int

    @classmethod
    def of(cls, action_spec: ActionSpec, observation_spec: ObservationSpec) -> "Layout":
        """Return the layout of a task."""
        return cls(observation_spec.image or (0, 0, 0), observation_spec.vector_size, action_spec.size)

    def columns(self) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """Return type and shape of each column's entries."""
        f32 = np.dtype(np.float32)
        return {
            "image": (np.dtype(np.uint8), self.image),
            "vectors": (f32, (self.vectors,)),
            "geometry": (f32, (GEOMETRY_SIZE,)),
            "action": (f32, (self.action,)),
            "reward": (f32, ()),
            "mc_return": (f32, ()),
            "remaining": (np.dtype(np.int32), ()),
            "complete": (np.dtype(np.bool_), ()),
            "chosen": (np.dtype(np.bool_), ()),
            "value": (f32, ()),
            "value_step": (np.dtype(np.int32), ()),
        }

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return sum(dtype.itemsize * int(np.prod(shape)) for dtype, shape in self.columns().values())

    def check(self, rows: Rows) -> int:
        """Return how many rows there are.

        Raises:
            ShapeError: a column is missing or does not have its type and shape.
        """
        count = len(rows["reward"])
        for name, (dtype, shape) in self.columns().items():
            if name not in rows:
                raise ShapeError(f"replay rows lack the column '{name}'")
            if rows[name].shape != (count, *shape) or rows[name].dtype != dtype:
                found = f"{rows[name].shape} {rows[name].dtype}"
                raise ShapeError(f"replay column '{name}': {found}, expected {(count, *shape)} {dtype}")
        return count


def outcome_columns(
    rewards: NDArray[np.float32], complete: bool, discount: float, chosen: NDArray[np.bool_] | None = None
) -> Rows:
    """Return the columns of an episode that follow from its rewards, shape (T,); None counts all as chosen.

    mc_return_t = sum_k discount^k r_(t+k); NaN where the episode is not complete, its end being unknown.
    """
    count = len(rewards)
    returns = np.full(count, np.nan, dtype=np.float32)
    total = 0.0
    for t in range(count - 1, -1, -1) if complete else ():
        total = float(rewards[t]) + discount * total
        returns[t] = total
    return {
        "reward": rewards.astype(np.float32),
        "mc_return": returns,
        "remaining": np.arange(count - 1, -1, -1, dtype=np.int32),
        "complete": np.full(count, complete),
        "chosen": np.full(count, True) if chosen is None else chosen,
        "value": np.zeros(count, dtype=np.float32),
        "value_step": np.full(count, UNLABELLED, dtype=np.int32),
    }


def pack_geometry(geometry: Geometry) -> NDArray[np.float32]:
    """Return the geometry of B observations as one array, shape (B, GEOMETRY_SIZE)."""
    parts = [getattr(geometry, name).reshape(len(geometry.opening), -1) for name, _ in GEOMETRY]
    packed: NDArray[np.float32] = torch.cat(parts, dim=1).numpy()
    return packed


def unpack_geometry(packed: Tensor) -> Geometry:
    """Return what `pack_geometry` packed."""
    sizes = [int(np.prod(shape)) for _, shape in GEOMETRY]
    parts = torch.split(packed, sizes, dim=1)
    return Geometry(*(part.reshape(-1, *shape) for part, (_, shape) in zip(parts, GEOMETRY, strict=True)))


def observation_batch(rows: Mapping[str, NDArray[Any]]) -> ObservationBatch:
    """Return the observations of rows as the networks take them."""
    image = torch.from_numpy(np.ascontiguousarray(rows["image"])).permute(0, 3, 1, 2)
    geometry = unpack_geometry(torch.from_numpy(np.ascontiguousarray(rows["geometry"])))
    return ObservationBatch(image, torch.from_numpy(np.ascontiguousarray(rows["vectors"])), geometry)
