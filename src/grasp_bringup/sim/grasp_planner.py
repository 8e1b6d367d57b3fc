"""Grasps straight from above, scored on the true surfaces of all objects: what the oracle aims at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.sim.scene import Scene
from grasp_bringup.sim.surface import shape_points
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.limits import Limits
from qtopt_policy.robot import BinConfig

Array = NDArray[np.float64]

SPACING = 0.007  # [m] between surface points
HEADINGS = 12  # tried over half a turn
GRID = 0.008  # [m] between the grasp centres tried on one object
PAD_HALF_WIDTH = 0.010  # [m] along the tool's x
PAD_UP = 0.013  # [m] from the tool point to the upper edge of the pads
TIP_DOWN = 0.010  # [m] from the tool point to the fingertips
FINGERS = (0.040, 0.053)  # [m] inner and outer face of an open finger, from the middle
MAX_WIDTH = 0.072  # [m] that is closed on
ENOUGH = 0.02  # [m] of clearance: more is no better
CONTACT_DEPTH = 0.004  # [m] behind the outermost point in which surface counts as touched


@dataclass(frozen=True, eq=False)
class Grasp:
    """A grasp: tool pose, index of the object, width there [m], score (above 0: nothing is in the way)."""

    pose: Pose
    index: int
    width: float
    score: float


@dataclass(frozen=True, eq=False)
class Cloud:
    """Surface of all objects in the base frame: points, normals (N, 3), and whose they are (N,)."""

    points: Array
    normals: Array
    owner: NDArray[np.int64]


def build_cloud(scene: Scene, poses: tuple[Pose, ...]) -> Cloud:
    """Place the scene's shapes at their present poses."""
    points, normals, owner = [], [], []
    for index, (item, pose) in enumerate(zip(scene.objects, poses, strict=True)):
        local, outward = shape_points(item.shape, SPACING)
        points.append(pose.transform(local))
        normals.append(outward @ pose.rotation().T)
        owner.append(np.full(len(local), index))
    return Cloud(np.concatenate(points), np.concatenate(normals), np.concatenate(owner))


def plan_grasps(cloud: Cloud, bin_config: BinConfig, limits: Limits) -> list[Grasp]:
    """Return the best grasp of every object that has one, best first."""
    found: list[Grasp] = []
    for index in np.unique(cloud.owner):
        candidates = [_best_at(cloud, int(index), yaw, bin_config, limits) for yaw in _headings()]
        grasps = [grasp for grasp in candidates if grasp is not None]
        if grasps:
            found.append(max(grasps, key=lambda grasp: grasp.score))
    return sorted(found, key=lambda grasp: -grasp.score)


def _headings() -> Array:
    return np.asarray(np.arange(HEADINGS) * (np.pi / HEADINGS), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Turned:
    """Surface near one object in the axes of a tool heading: x along the pads, y the opening, z down."""

    tool: Array
    points: Array
    normal_y: Array
    own: NDArray[np.bool_]
    middle: Array


def _turn(cloud: Cloud, index: int, yaw: float) -> _Turned:
    tool = pointing_down(np.zeros(3), yaw).rotation()
    own = cloud.owner == index
    centre = cloud.points[own].mean(axis=0)
    reach = float(np.abs(cloud.points[own] - centre).max()) + FINGERS[1] + ENOUGH
    near = (np.abs(cloud.points[:, :2] - centre[:2]) < reach).all(axis=1)
    local = cloud.points[near] @ tool
    return _Turned(tool, local, cloud.normals[near] @ tool[:, 1], own[near], centre @ tool)


def _best_at(cloud: Cloud, index: int, yaw: float, bin_config: BinConfig, limits: Limits) -> Grasp | None:
    """Return the best grasp of one object with one heading of the tool's x axis."""
    turned = _turn(cloud, index, yaw)
    best: Grasp | None = None
    for x, y in _centres(turned.points[turned.own]):
        found = _evaluate(x, y, turned, limits)
        if found is None:
            continue
        position, width, score = found
        score -= _outside(position, yaw, bin_config, limits)
        if best is None or score > best.score:
            best = Grasp(pointing_down(position, yaw), index, width, score)
    return best


def _centres(mine: Array) -> list[tuple[float, float]]:
    """Return slices along x, and along y the middles of the stretches that the surface covers there."""
    centres = []
    for x in np.arange(mine[:, 0].min() + 0.004, mine[:, 0].max(), GRID):
        strip = np.sort(mine[np.abs(mine[:, 0] - x) < PAD_HALF_WIDTH, 1])
        if len(strip) == 0:
            continue
        gaps = np.flatnonzero(np.diff(strip) > 0.011)
        lows, highs = strip[np.r_[0, gaps + 1]], strip[np.r_[gaps, len(strip) - 1]]
        centres += [(float(x), float((a + b) / 2)) for a, b in zip(lows, highs, strict=True)]
        if len(gaps):
            centres.append((float(x), float((strip[0] + strip[-1]) / 2)))
    return centres


def _evaluate(x: float, y: float, turned: _Turned, limits: Limits) -> tuple[Array, float, float] | None:
    """Score one grasp centre; return tool position, width and score, or None where nothing fits."""
    dx, dy = np.abs(turned.points[:, 0] - x), turned.points[:, 1] - y
    inside = turned.own & (dx < PAD_HALF_WIDTH) & (np.abs(dy) < FINGERS[0] - 0.004)
    if np.count_nonzero(inside) < 4:
        return None
    heights = -turned.points[:, 2]
    top, bottom = heights[inside].max(), heights[inside].min()
    height = max(limits.min_height, min((top + bottom) / 2, top - 0.012), top - 0.045)
    z = heights - height
    grasped = inside & (z > -TIP_DOWN) & (z < PAD_UP)
    if np.count_nonzero(grasped) < 4:
        return None
    low, high = dy[grasped].min(), dy[grasped].max()
    if high - low > MAX_WIDTH:
        return None
    y, dy = y + (low + high) / 2, dy - (low + high) / 2
    square = _squareness(dy[grasped], turned.normal_y[grasped], (high - low) / 2)
    lever = float(np.hypot(x - turned.middle[0], y - turned.middle[1]))
    score = square - 3.0 * max(0.0, 0.8 - square) - lever / 0.04 - 0.5
    score += _room(dx, dy, z, turned.own, top - height)
    return turned.tool @ np.array([x, y, -height]), float(high - low), score


def _room(dx: Array, dy: Array, z: Array, own: NDArray[np.bool_], top: float) -> float:
    """Return 0 to 1 by the clearance of the open fingers, less penalties for what is in the way."""
    above = z > -TIP_DOWN - 0.003
    hit_x = np.maximum(dx - PAD_HALF_WIDTH, 0.0)
    hit_y = np.maximum(np.maximum(FINGERS[0] - np.abs(dy), np.abs(dy) - FINGERS[1]), 0.0)
    clearance = float(np.sqrt((hit_x**2 + hit_y**2)[above].min()))
    between = ~own & above & (dx < PAD_HALF_WIDTH + 0.002) & (np.abs(dy) < FINGERS[0])
    covering = ~own & (dx < 0.03) & (np.abs(dy) < 0.03) & (z > top - 0.005)
    penalty = 2.0 * (clearance < 0.002) + 1.0 * bool(between.any()) + 1.0 * bool(covering.any())
    return min(clearance, ENOUGH) / ENOUGH - penalty


def _squareness(dy: Array, normal_y: Array, half: float) -> float:
    """Return how squarely the pads meet the surface: 1 if both contact normals lie along the opening."""
    left, right = dy < -half + CONTACT_DEPTH, dy > half - CONTACT_DEPTH
    # Faces seen edge-on (top, bottom) do not carry a contact.
    left &= np.abs(normal_y) > 0.1
    right &= np.abs(normal_y) > 0.1
    if not (left.any() and right.any()):
        return 0.0
    return float(min(-normal_y[left].mean(), normal_y[right].mean()))


def _outside(position: Array, yaw: float, bin_config: BinConfig, limits: Limits) -> float:
    """Return a penalty for fingers in the walls or a tool point outside the workspace."""
    corners = np.array([[sx * 0.011, sy * FINGERS[1]] for sx in (-1, 1) for sy in (-1, 1)])
    c, s = np.cos(yaw), np.sin(yaw)
    turned = corners @ np.array([[c, s], [s, -c]]) + position[:2]
    room = np.array(bin_config.size[:2]) / 2 - 0.002
    walls = np.abs(turned - np.array(bin_config.centre[:2])) > room
    low, high = np.array(limits.workspace_min), np.array(limits.workspace_max)
    box = (position[:2] < low[:2]) | (position[:2] > high[:2])
    return 2.0 * float(walls.any()) + 2.0 * float(box.any())
