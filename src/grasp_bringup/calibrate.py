"""`qtopt calibrate`: check and solve where a camera sits on the robot (docs/calibration.md).

A recording is a folder with pictures, `camera_info.yaml` (what `ros2 topic echo --once <camera_info>` prints)
and `poses.csv` or `poses.json`: for each picture the pose of the tool in the base frame when it was taken.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from grasp_bringup.charuco import Board, view_of
from grasp_bringup.hand_eye import HandEye, View, evaluate, solve
from qtopt_policy.camera import Mount
from qtopt_policy.errors import ConfigError, QtoptError, UnknownNameError
from qtopt_policy.extrinsics import camera_pose
from qtopt_policy.geometry import Pose, readonly
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand

F64 = NDArray[np.float64]

COLUMNS = ("image", "x", "y", "z", "qx", "qy", "qz", "qw")
POSITION_TOLERANCE = 0.005  # [m]: what the envelope of a checkpoint leaves for calibration, halved
ANGLE_TOLERANCE = 0.025  # [rad]: the same
MAX_ERROR = 1.5  # [px]: beyond it, board, poses or intrinsics are wrong


@dataclass(frozen=True, eq=False)
class Recording:
    """Pictures (names and tool poses) of one camera, its size [px] and camera matrix, shape (3, 3)."""

    folder: Path
    poses: dict[str, Pose]
    size: tuple[int, int]
    matrix: F64


def read_recording(folder: Path) -> Recording:
    """Read a recording's poses and intrinsics.

    Raises:
        ConfigError: a file is missing, malformed, or the camera is not rectified; the message names it.
    """
    info = folder / "camera_info.yaml"
    try:
        data = next(iter(yaml.safe_load_all(info.read_text())))  # ros2 topic echo ends with ---
        size = int(data["width"]), int(data["height"])
        matrix = readonly(np.asarray(data["k"], dtype=np.float64), (9,), "k").reshape(3, 3)
        distorted = any(float(value) != 0.0 for value in data.get("d", ()))
    except (OSError, yaml.YAMLError, StopIteration, KeyError, TypeError, ValueError, QtoptError) as error:
        raise ConfigError(f"{info}: expected width, height and k of a camera_info: {error!r}") from error
    if distorted:
        raise ConfigError(
            f"{info}: d {data['d']}: record rectified pictures (image_proc) with their camera_info"
        )
    return Recording(folder, _read_poses(folder), size, matrix)


def _read_poses(folder: Path) -> dict[str, Pose]:
    table, listing = folder / "poses.csv", folder / "poses.json"
    path = table if table.is_file() else listing
    try:
        rows = _csv_rows(table) if path == table else json.loads(listing.read_text())
        poses = {str(row["image"]): Pose.from_array(row["pose"]) for row in rows}
    except (OSError, KeyError, TypeError, ValueError, QtoptError) as error:
        expected = (
            f"columns {','.join(COLUMNS)}" if path == table else '[{"image": ..., "pose": [7 numbers]}]'
        )
        raise ConfigError(f"{path}: expected {expected}: {error!r}") from error
    if not poses:
        raise ConfigError(f"{path}: holds no pose")
    return poses


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    return [{"image": row["image"], "pose": [float(row[name]) for name in COLUMNS[1:]]} for row in rows]


def read_views(recording: Recording, board: Board) -> tuple[list[View], dict[str, str]]:
    """Return the views in which the board is found, and why each other picture is left out.

    Raises:
        ConfigError: a picture cannot be read, or is not of camera_info's size.
    """
    views, left_out = [], {}
    for name, tool in recording.poses.items():
        path = recording.folder / name
        try:
            grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:  # a header that claims more pixels than OpenCV takes
            raise ConfigError(f"{path}: cannot be read as a picture: {error}") from error
        if grey is None:
            raise ConfigError(f"{path}: cannot be read as a picture")
        if grey.shape[::-1] != recording.size:
            raise ConfigError(
                f"{path}: {grey.shape[1]} x {grey.shape[0]} pixels, camera_info.yaml says "
                f"{recording.size[0]} x {recording.size[1]}"
            )
        view = view_of(board, name, np.asarray(grey, dtype=np.uint8), recording.matrix, tool)
        if view is None:
            left_out[name] = "board not found"
        else:
            views.append(view)
    return views, left_out


def draw_board(board: Board, path: Path) -> None:
    """Write the board with a white margin of half a square; ConfigError if that fails."""
    picture = cv2.copyMakeBorder(board.draw(200), 100, 100, 100, 100, cv2.BORDER_CONSTANT, value=255)
    if not cv2.imwrite(str(path), picture):
        raise ConfigError(f"{path}: cannot be written")


def pose_line(name: str, mount: Mount, frame: str, pose: Pose) -> str:
    """Return the YAML to put into the robot file."""
    numbers = ", ".join(f"{value:.6f}" for value in pose.as_array())
    return f"cameras:\n  {name}:\n    mount: {mount}\n    frame: {frame}\n    pose: [{numbers}]"


@dataclass(frozen=True)
class CalibrateOptions:
    """What to calibrate.

    Attributes:
        folder: of the recording.
        robot: robot file, whose pose of the camera is checked.
        camera: name in it.
        board: as printed.
    """

    folder: Path
    robot: Path
    camera: str = "wrist"
    board: Board = Board()  # noqa: RUF009 (frozen)


def run(options: CalibrateOptions, console: Console | None = None) -> int:
    """Solve, compare with the robot file and print; return 0 if its pose is within tolerance, else 1.

    Raises:
        QtoptError: a file cannot be used, or the views do not determine the pose.
    """
    console = console or Console(highlight=False)
    robot = load_robot(resolve(options.robot))
    if options.camera not in robot.cameras:
        raise UnknownNameError("camera", options.camera, robot.cameras)
    config = robot.cameras[options.camera]
    recording = read_recording(options.folder)
    views, left_out = read_views(recording, options.board)
    result = solve(views, recording.matrix, config.mount)
    _show(console, views, left_out, result)
    good = result.error <= MAX_ERROR
    if not good:
        console.print(
            f"{result.error:.2f} px is too much (at most {MAX_ERROR}): measure the printed squares, record "
            "at rest, and check base_frame, tool_frame and camera_info",
            style="bold red",
        )
    console.print("\nTo put into the robot file:\n")
    console.print(pose_line(options.camera, config.mount, config.frame, result.camera), markup=False)
    console.print()
    return int(not (_compare(console, robot, options.camera, recording, views, result) and good))


def _show(console: Console, views: list[View], left_out: dict[str, str], result: HandEye) -> None:
    table = Table("picture", "corners", r"error \[px]")
    for view, error in zip(views, result.errors, strict=True):
        table.add_row(view.name, str(len(view.pixels)), f"{error:.2f}")
    for name, reason in left_out.items():
        table.add_row(name, "-", reason)
    console.print(table)
    console.print(f"reprojection error {result.error:.3f} px over {len(views)} pictures")


def _compare(
    console: Console, robot: RobotConfig, name: str, recording: Recording, views: list[View], result: HandEye
) -> bool:
    """Print how far the robot file's pose is from the solution; return whether it is within tolerance."""
    try:
        present = camera_pose(expand(robot.urdf, robot.xacro_args), robot, robot.cameras[name])
    except QtoptError as error:
        console.print(f"the robot file has no pose yet: {error}", style="yellow", markup=False)
        return False
    off, turn = present.distance(result.camera), present.angle(result.camera)
    misfit = evaluate(views, recording.matrix, robot.cameras[name].mount, present).error
    within = off <= POSITION_TOLERANCE and turn <= ANGLE_TOLERANCE
    verdict = "within tolerance" if within else "put the new pose into the robot file"
    console.print(
        f"the present pose is {1000.0 * off:.1f} mm and {math.degrees(turn):.2f} degrees away, with a "
        f"reprojection error of {misfit:.2f} px: {verdict}",
        style="green" if within else "bold red",
    )
    return within
