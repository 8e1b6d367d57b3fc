"""Objects on the bin floor out of one picture, without learning: where they are and how they lie.

The bin's floor is rectified through the camera model into a map seen from straight above. The most common
colour is the floor's; what differs from it, and is not hidden by the hand itself, is objects.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_policy.observation import Observation
from qtopt_policy.robot import BinConfig, GripperConfig

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SegmentConfig:
    """How objects are told from the floor. SI units.

    Attributes:
        cell: side of a cell of the floor map [m].
        plane: height above the floor onto which the picture is projected, about half an object [m].
        wall_margin: strip along the walls that is not looked at [m].
        contrast: colour distance (CIE Lab) from the floor above which a cell is an object.
        min_area: smallest object [m^2].
        palm: half sides along the tool's x and y of what hides the view behind the fingers [m].
        finger: half side of a finger along x, and its thickness along y [m].
    """

    cell: float = 0.0025
    plane: float = 0.012
    wall_margin: float = 0.01
    contrast: float = 18.0
    min_area: float = 1.5e-4
    palm: tuple[float, float] = (0.035, 0.08)
    finger: tuple[float, float] = (0.014, 0.016)


@dataclass(frozen=True, eq=False)
class Blob:
    """One object, or several that touch.

    Attributes:
        centre: x, y in the base frame [m], shape (2,).
        heading: direction of the longer side in the base frame [rad], modulo pi.
        length: longer side of the smallest rectangle around it [m].
        width: shorter side [m].
    """

    centre: NDArray[np.float64]
    heading: float
    length: float
    width: float


@dataclass(frozen=True, eq=False)
class FloorMap:
    """The bin's floor seen from above; row i, column j lies at `origin + cell (j, i)` in the base frame.

    Attributes:
        colour: RGB, uint8, shape (rows, columns, 3).
        visible: cells in view and not hidden by the hand, bool, shape (rows, columns).
        origin: x, y of cell (0, 0) in the base frame [m], shape (2,).
        cell: [m].
    """

    colour: NDArray[np.uint8]
    visible: Mask
    origin: NDArray[np.float64]
    cell: float


def find_blobs(
    observation: Observation, area: BinConfig, gripper: GripperConfig, config: SegmentConfig
) -> list[Blob]:
    """Return the objects that the picture shows within the bin, largest first."""
    floor = rectify(observation, area, gripper, config)
    mask = object_mask(floor, config.contrast)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA] * config.cell**2
    order = [i for i in np.argsort(-areas) if i > 0 and areas[i] >= config.min_area]
    return [_blob(labels == i, floor) for i in order if i < count]


def rectify(
    observation: Observation, area: BinConfig, gripper: GripperConfig, config: SegmentConfig
) -> FloorMap:
    """Return the bin's floor as seen from straight above."""
    half = 0.5 * np.array(area.size[:2]) - config.wall_margin
    columns, rows = (np.floor(2.0 * half / config.cell).astype(int) + 1).tolist()
    origin = np.array(area.centre[:2]) - half
    x, y = np.meshgrid(
        origin[0] + config.cell * np.arange(columns), origin[1] + config.cell * np.arange(rows)
    )
    points = np.stack([x, y, np.full_like(x, area.centre[2] + config.plane)], axis=-1)
    pixels, depth = observation.camera.project(points, observation.tool_pose)
    u, v = pixels[..., 0].astype(np.float32), pixels[..., 1].astype(np.float32)
    colour = cv2.remap(observation.image, u, v, cv2.INTER_LINEAR)
    open_view = (~hand_mask(observation, gripper, config)).astype(np.uint8)
    shown = cv2.remap(open_view, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0)
    visible = (depth > 0.0) & (shown > 0)
    return FloorMap(np.asarray(colour, dtype=np.uint8), visible, origin, config.cell)


def hand_mask(observation: Observation, gripper: GripperConfig, config: SegmentConfig) -> Mask:
    """Return the pixels that the hand covers, by its measures projected into the picture."""
    camera = observation.camera
    mask = np.zeros((camera.height, camera.width), dtype=np.uint8)
    for low, high in _hand_boxes(observation.aperture, gripper.finger_length, config):
        axes = [np.linspace(a, b, 6) for a, b in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
        pixels, depth = camera.project(observation.tool_pose.transform(grid), observation.tool_pose)
        seen = pixels[depth > 0.01]
        if len(seen) >= 3:
            limits = 4.0 * max(camera.width, camera.height)
            hull = cv2.convexHull(np.clip(np.rint(seen), -limits, limits).astype(np.int32))
            cv2.fillConvexPoly(mask, hull, 1)
    return np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)), dtype=np.bool_)


def _hand_boxes(
    aperture: float, finger_length: float, config: SegmentConfig
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return opposite corners, in the tool frame, of both fingers and of the palm behind them."""
    (palm_x, palm_y), (finger_x, thick) = config.palm, config.finger
    inner, tip = 0.5 * aperture, 0.015
    finger = [
        (np.array([-finger_x, inner, -finger_length]), np.array([finger_x, inner + thick, tip])),
        (np.array([-finger_x, -inner - thick, -finger_length]), np.array([finger_x, -inner, tip])),
    ]
    back = (np.array([-palm_x, -palm_y, -2.0 * finger_length]), np.array([palm_x, palm_y, -finger_length]))
    return [*finger, back]


def object_mask(floor: FloorMap, contrast: float) -> Mask:
    """Return the cells whose colour is not the floor's."""
    lab = np.asarray(
        cv2.cvtColor(floor.colour.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab), dtype=np.float32
    )
    if not floor.visible.any():
        return np.zeros_like(floor.visible)
    distance = np.linalg.norm(lab - _most_common(lab[floor.visible]), axis=-1)
    mask = ((distance > contrast) & floor.visible).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), dtype=np.bool_)


def _most_common(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of the colours in the fullest cell of a coarse histogram, shape (3,)."""
    bins = np.floor(lab / 10.0).astype(int)
    _, index, counts = np.unique(bins, axis=0, return_inverse=True, return_counts=True)
    fullest: NDArray[np.float32] = np.median(lab[index.ravel() == counts.argmax()], axis=0)
    return fullest


def _blob(mask: Mask, floor: FloorMap) -> Blob:
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, rows], axis=-1).astype(np.float32)
    (column, row), (side, other), angle = cv2.minAreaRect(points)
    along = np.deg2rad(angle) + (0.0 if side >= other else 0.5 * np.pi)
    sides = (np.array([side, other]) + 1.0) * floor.cell
    centre = floor.origin + floor.cell * np.array([column, row])
    return Blob(centre, float(along), float(sides.max()), float(sides.min()))
