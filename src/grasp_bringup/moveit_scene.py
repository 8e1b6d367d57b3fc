"""What MoveIt must not run into: table, bin and camera stands as boxes in the base frame (no ROS)."""

from dataclasses import dataclass

import numpy as np

from qtopt_policy.errors import ConfigError, QtoptError
from qtopt_policy.extrinsics import camera_pose
from qtopt_policy.limits import Vector3
from qtopt_policy.robot import BinConfig, RobotConfig

TABLE = (1.2, 1.2, 0.05)  # size of the part of the table that is modelled [m]; worlds/bin.sdf has the same
TABLE_BEHIND = 0.1  # the table's centre lies so far behind the bin's, towards the arm [m]
TABLE_GAP = 0.001  # its surface lies so far below: the arm stands on it, and touching would be colliding [m]
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

    The bin and the table follow from `bin`, a post stands below each camera with mount `base`.

    Raises:
        ConfigError: a camera's pose is neither given nor in the URDF.
    """
    surface = robot.bin.centre[2] - FLOOR
    table = Box(
        "table",
        TABLE,
        (robot.bin.centre[0] - TABLE_BEHIND, robot.bin.centre[1], surface - TABLE_GAP - TABLE[2] / 2),
    )
    return (table, *_bin(robot.bin), *_stands(robot, urdf_xml, surface))


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
