"""What MoveIt must not run into: table, bin and camera stands as boxes in the base frame (no ROS)."""

from dataclasses import dataclass

import numpy as np

from grasp_bringup.urdf_tree import UrdfTree
from qtopt_policy.errors import ConfigError, QtoptError
from qtopt_policy.extrinsics import camera_pose, static_transform
from qtopt_policy.geometry import Array
from qtopt_policy.limits import Vector3
from qtopt_policy.robot import BinConfig, RobotConfig, TableConfig

# Where the robot's file has no `table`:
TABLE = (1.2, 1.2, 0.05)  # size of the part of the table that is modelled [m]; worlds/bin.sdf has the same
TABLE_BEHIND = 0.1  # the table's centre lies so far behind the bin's, towards the arm [m]
TABLE_GAP = 0.001  # its surface lies so far below: the arm stands on it, and touching would be colliding [m]
FOOT = 0.1  # radius around the axis of the arm's first link that a table above its foot must leave free [m]
WALL = 0.01  # thickness of the bin's walls [m]
FLOOR = 0.005  # thickness of its floor [m]
STAND = 0.03  # edge of the post below a camera [m]
STAND_GAP = 0.05  # from the post's end to the camera's optical frame [m]


@dataclass(frozen=True)
class Box:
    """An upright box: its name, its edges [m] and its centre in the base frame [m]."""

    name: str
    size: Vector3
    centre: Vector3


def scene_boxes(robot: RobotConfig, urdf_xml: str) -> tuple[Box, ...]:
    """Return the collision scene of a robot's cell.

    The bin follows from `bin`, the table from `table` or, where that is absent, from `bin` too; a post stands
    below each camera with mount `base`.

    Raises:
        ConfigError: the table would cut the arm, or a camera's pose is neither given nor in the URDF.
    """
    table = robot.table or _below(robot.bin)
    _check(table, robot, _foot(robot, urdf_xml))
    x, y, surface = table.centre
    box = Box("table", table.size, (x, y, surface - TABLE_GAP - table.size[2] / 2))
    return (box, *_bin(robot.bin), *_stands(robot, urdf_xml, surface))


def _below(config: BinConfig) -> TableConfig:
    x, y, floor = config.centre
    return TableConfig((x - TABLE_BEHIND, y, floor - FLOOR), TABLE)


def _foot(robot: RobotConfig, urdf_xml: str) -> Array:
    """Return where the link that carries the arm's first joint begins, in the base frame [m], shape (3,)."""
    tree = UrdfTree(urdf_xml)
    carriers = [tree.require_joint(name).parent for name in robot.arm_joints]
    first = min(carriers, key=lambda link: len(tree.joints_above(link)))
    return static_transform(urdf_xml, robot.base_frame, first).position


def _check(table: TableConfig, robot: RobotConfig, foot: Array) -> None:
    beside = np.abs(foot[:2] - table.centre[:2]) - np.array(table.size[:2]) / 2
    if table.centre[2] - TABLE_GAP <= foot[2] or beside.max() >= FOOT:
        return
    key = "table" if robot.table is not None else "table (absent: one below the bin is taken)"
    (x, y, z), (width, depth, _) = np.round(table.centre, 4).tolist(), table.size
    raise ConfigError(
        f"robot {robot.name}: {key}: {width} m by {depth} m around x {x} y {y}, surface at z {z} m, would "
        f"cut the arm, whose foot is at {foot.round(4).tolist()} m in {robot.base_frame}: give the robot's "
        f"file a `table` (centre of its surface, size) that lies below the foot, or ends {FOOT} m or more "
        f"beside it"
    )


def _bin(config: BinConfig) -> tuple[Box, ...]:
    x, y, floor = config.centre
    width, depth, height = config.size
    walls = height + FLOOR
    middle = floor - FLOOR + walls / 2
    long = depth + 2 * WALL
    return (
        Box("bin_floor", (width, depth, FLOOR), (x, y, floor - FLOOR / 2)),
        Box("bin_wall_front", (WALL, long, walls), (x - (width + WALL) / 2, y, middle)),
        Box("bin_wall_back", (WALL, long, walls), (x + (width + WALL) / 2, y, middle)),
        Box("bin_wall_right", (width, WALL, walls), (x, y - (depth + WALL) / 2, middle)),
        Box("bin_wall_left", (width, WALL, walls), (x, y + (depth + WALL) / 2, middle)),
    )


def _stands(robot: RobotConfig, urdf_xml: str, surface: float) -> tuple[Box, ...]:
    boxes = []
    for name, camera in robot.cameras.items():
        if camera.mount != "base":
            continue
        try:
            at = camera_pose(urdf_xml, robot, camera).position
        except QtoptError as error:
            raise ConfigError(f"robot {robot.name}: camera {name}: {error}") from error
        height = float(at[2]) - STAND_GAP - surface
        if height > 0.0:
            x, y, _ = (float(value) for value in np.round(at, 6))
            boxes.append(Box(f"{name}_stand", (STAND, STAND, height), (x, y, surface + height / 2)))
    return tuple(boxes)
