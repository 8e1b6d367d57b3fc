"""Where the objects of a scene are dropped: spread over the bin, and over a second layer where it is full."""

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.sim.objects import Shape
from grasp_bringup.sim.surface import shape_points
from qtopt_policy.geometry import Pose, quaternion_about_z
from qtopt_policy.robot import BinConfig

Array = NDArray[np.float64]

TRIES = 60
SPACING = 0.01  # [m] between the surface points that stand for an object
CELL = 0.005  # [m] of the occupancy grid
_STRIDE = 1 << 16  # packs two small integers into one
LAYER_HEIGHT = 0.06  # [m] between the two layers; the second one still ends below a gripper at home
LAYERS = 2


class Floor:
    """Which cells of the bin's floor are taken, with a margin of `gap` around every object."""

    def __init__(self, bin_config: BinConfig, wall_gap: float, gap: float) -> None:
        self._half = np.array(bin_config.size[:2]) / 2.0
        self.room = self._half - wall_gap
        self._margin = int(np.ceil((gap + SPACING / 2) / CELL))
        self._taken = np.zeros(tuple(np.ceil(2 * self._half / CELL).astype(int) + 1), dtype=bool)

    def are_free(self, points: Array) -> NDArray[np.bool_]:
        """Return for each row of `points`, shape (T, N, 2), whether no cell under it is taken, shape (T,)."""
        i, j = self._cells(points)
        free: NDArray[np.bool_] = np.logical_not(self._taken[i, j].any(axis=-1))
        return free

    def take(self, points: Array) -> None:
        """Mark the cells around `points`, shape (N, 2)."""
        i, j = self._cells(points)
        offsets = np.arange(-self._margin, self._margin + 1)
        limit_i, limit_j = self._taken.shape
        rows = np.clip(i[:, None] + offsets, 0, limit_i - 1)
        columns = np.clip(j[:, None] + offsets, 0, limit_j - 1)
        self._taken[rows[:, :, None], columns[:, None, :]] = True

    def _cells(self, points: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        cells = np.rint((points + self._half) / CELL).astype(np.int64)
        last_i, last_j = (count - 1 for count in self._taken.shape)
        return np.clip(cells[..., 0], 0, last_i), np.clip(cells[..., 1], 0, last_j)


def place(
    shapes: list[Shape],
    bin_config: BinConfig,
    wall_gap: float,
    gap: float,
    drop_height: tuple[float, float],
    rng: np.random.Generator,
) -> list[Pose | None]:
    """Return the pose in the base frame at which each shape is dropped; those without room are left out.

    A shape that finds no free place on the floor is dropped from LAYER_HEIGHT above it.
    """
    layers = [Floor(bin_config, wall_gap, gap) for _ in range(LAYERS)]
    poses: list[Pose | None] = []
    for shape in shapes:
        found = _find_place(_footprint(shape), layers, rng)
        above = shape.height / 2 + float(rng.uniform(*drop_height))
        if found is None:
            poses.append(None)
            continue
        x, y, yaw, layer = found
        position = np.array(bin_config.centre) + np.array([x, y, above + layer * LAYER_HEIGHT])
        poses.append(Pose(position, quaternion_about_z(yaw)))
    return poses


def _find_place(
    outline: Array, layers: list[Floor], rng: np.random.Generator
) -> tuple[float, float, float, int] | None:
    """Return x, y, heading and layer of the first free place, which is taken; None if there is none."""
    for layer, floor in enumerate(layers):
        xy, there, yaw, free = _free_place(outline, floor, rng)
        if free:
            floor.take(there)
            return float(xy[0]), float(xy[1]), yaw, layer
    return None


def _footprint(shape: Shape) -> Array:
    """Return the points of a grid of SPACING under a shape, shape (N, 2)."""
    cells = np.rint(shape_points(shape, SPACING)[0][:, :2] / SPACING).astype(np.int64)
    unique = np.unique(cells[:, 0] * _STRIDE + cells[:, 1] + _STRIDE // 2)
    return np.stack([unique // _STRIDE, unique % _STRIDE - _STRIDE // 2], axis=1) * SPACING


def _turned(outline: Array, yaw: Array) -> Array:
    """Turn points (N, 2) by headings (T,); shape (T, N, 2)."""
    c, s = np.cos(yaw), np.sin(yaw)
    rotations = np.stack([np.stack([c, s], axis=-1), np.stack([-s, c], axis=-1)], axis=-2)
    turned: Array = outline @ rotations
    return turned


def _free_place(outline: Array, floor: Floor, rng: np.random.Generator) -> tuple[Array, Array, float, bool]:
    """Return position, outline there and heading within the walls, and whether nothing else lies there."""
    yaw = rng.uniform(-np.pi, np.pi, size=TRIES)
    turned = _turned(outline, yaw)
    low, high = -floor.room - turned.min(axis=1), floor.room - turned.max(axis=1)
    xy = rng.uniform(low, high)
    free = floor.are_free(turned + xy[:, None, :])
    chosen = int(np.argmax(free))  # the first free one, or 0
    return xy[chosen], turned[chosen] + xy[chosen], float(yaw[chosen]), bool(free[chosen])
