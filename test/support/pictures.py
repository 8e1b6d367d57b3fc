"""Pictures of coloured boxes on a bin floor, drawn through the camera model without a simulator."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.observation import Observation
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve

Colour = tuple[int, int, int]
FLOOR: Colour = (120, 125, 130)


@dataclass(frozen=True)
class Box:
    """A flat box on the floor: centre [m], direction of its longer side [rad], sides [m], colour."""

    x: float
    y: float
    heading: float
    length: float = 0.06
    width: float = 0.025
    colour: Colour = (200, 40, 40)


def sim_robot() -> RobotConfig:
    """Return the simulated cell's robot."""
    return load_robot(resolve(Path("config/robots/sim.yaml")))


def bin_camera(mount: Mount) -> CameraModel:
    """Return a camera like the cell's: at the wrist, looking past the fingers, or above the bin's side."""
    if mount == "base":
        return CameraModel(
            64, 64, 92.0, 92.0, 31.5, 31.5, "base", look_at([0.5, -0.45, 0.62], [0.5, 0.0, 0.0])
        )
    # In the tool frame z points down to the bin: beside the hand, looking at the tool point.
    return CameraModel(64, 64, 38.0, 38.0, 31.5, 31.5, "tool", look_at([0.08, 0.0, -0.11], [0.0, 0.0, 0.0]))


def look_at(eye: list[float], target: list[float]) -> Pose:
    """Return the optical frame at `eye` whose z axis points to `target`; x across the frame's x-z plane."""
    z = np.subtract(target, eye)
    z = z / np.linalg.norm(z)
    side = np.array([0.0, 1.0, 0.0]) if abs(z[1]) < 0.5 else np.array([1.0, 0.0, 0.0])
    y = np.cross(z, side)
    y = y / np.linalg.norm(y)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([np.cross(y, z), y, z], axis=-1)
    matrix[:3, 3] = eye
    return Pose.from_matrix(matrix)


def observe_boxes(
    boxes: list[Box], mount: Mount = "tool", tool: Pose | None = None, plane: float = 0.017
) -> Observation:
    """Draw boxes on the plane at height `plane` of the base frame, seen from `tool`."""
    tool = tool or pointing_down([0.5, 0.0, 0.18], 0.0)
    camera = bin_camera(mount)
    # Drawn four times as large and averaged, as an area filter sees it.
    big = camera.resized(256, 256)
    canvas = np.full((256, 256, 3), FLOOR, dtype=np.uint8)
    for box in boxes:
        pixels, _ = big.project(corners(box, plane), tool)
        cv2.fillConvexPoly(canvas, np.rint(pixels).astype(np.int32), box.colour)
    image = np.asarray(cv2.resize(canvas, (64, 64), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    height = float(tool.position[2]) - sim_robot().bin.centre[2]
    return Observation(image, False, height, 0.08, tool, camera, 0.0)


def corners(box: Box, plane: float) -> NDArray[np.float64]:
    """Return the box's corners in the base frame, shape (4, 3)."""
    along = 0.5 * box.length * np.array([np.cos(box.heading), np.sin(box.heading)])
    across = 0.5 * box.width * np.array([-np.sin(box.heading), np.cos(box.heading)])
    centre = np.array([box.x, box.y])
    flat = [
        centre + along + across,
        centre + along - across,
        centre - along - across,
        centre - along + across,
    ]
    return np.array([[*point, plane] for point in flat])
