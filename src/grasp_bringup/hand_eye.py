"""The camera's pose on the robot from views of a ChArUco board: hand-eye calibration (no ROS).

For view i, with T_i the tool in the base frame, B the board and X the camera:

    camera on the tool:      T_i X C_i = B      B fixed in the base frame
    camera beside the robot: T_i^-1 X C_i = B   B fixed in the tool frame

where C_i is the board in the camera (solvePnP) and X the camera in its mount frame, the unknown. OpenCV's
calibrateHandEye gives a start (the best of its methods); Levenberg-Marquardt on X and B then minimises the
distance of all board corners from where they were seen, in pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_policy.camera import Mount
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose

F64 = NDArray[np.float64]

MIN_VIEWS = 8
MIN_TURN = math.radians(15.0)  # of the tool about a second axis: else X is not determined
METHODS = (
    cv2.CALIB_HAND_EYE_TSAI,
    cv2.CALIB_HAND_EYE_PARK,
    cv2.CALIB_HAND_EYE_HORAUD,
    cv2.CALIB_HAND_EYE_DANIILIDIS,
)
ITERATIONS = 50


@dataclass(frozen=True, eq=False)
class View:
    """One picture of the board.

    Attributes:
        name: of the picture.
        tool: pose of the tool in the base frame.
        points: board corners in the board's frame [m], shape (n, 3).
        pixels: where they were seen [px], shape (n, 2).
        board: pose of the board in the camera, from this picture alone.
    """

    name: str
    tool: Pose
    points: F64
    pixels: F64
    board: Pose


@dataclass(frozen=True, eq=False)
class HandEye:
    """The result.

    Attributes:
        camera: pose of the camera's optical frame in its mount frame.
        board: pose of the board in the other one: base for a camera on the tool, tool for one beside it.
        errors: root mean square distance of each view's corners [px].
    """

    camera: Pose
    board: Pose
    errors: tuple[float, ...]

    @property
    def error(self) -> float:
        """Root mean square of the views' errors [px]."""
        return float(np.sqrt(np.mean(np.square(self.errors))))


def solve(views: Sequence[View], matrix: F64, mount: Mount) -> HandEye:
    """Find the camera's pose in its mount frame.

    Args:
        views: at least MIN_VIEWS, with the tool turned about two axes.
        matrix: camera matrix of the rectified pictures, shape (3, 3).
        mount: `tool` (the board lies still) or `base` (the tool holds the board).

    Raises:
        ConfigError: too few views, or too little turning between them.
    """
    require_turning(views)
    starts = [_start(views, mount, method) for method in METHODS]
    pairs = [(camera, _board(views, mount, camera)) for camera in starts]
    best = min(pairs, key=lambda pair: float(np.sum(_residual(views, matrix, mount, list(pair)) ** 2)))
    camera, board = _refine(views, matrix, mount, best)
    return HandEye(camera, board, _errors(views, matrix, mount, camera, board))


def evaluate(views: Sequence[View], matrix: F64, mount: Mount, camera: Pose) -> HandEye:
    """Return how well a given camera pose fits, with the board where it then fits best."""
    start = camera, _board(views, mount, camera)
    _, board = _refine(views, matrix, mount, start, fixed_camera=True)
    return HandEye(camera, board, _errors(views, matrix, mount, camera, board))


def hand(view: View, mount: Mount) -> Pose:
    """Return the mount frame of the camera in the frame in which the board is fixed."""
    return view.tool if mount == "tool" else view.tool.inverse()


def require_turning(views: Sequence[View]) -> None:
    """Raise ConfigError unless the views determine the camera's pose."""
    if len(views) < MIN_VIEWS:
        raise ConfigError(f"{len(views)} usable views, at least {MIN_VIEWS} are needed")
    first = views[0].tool.rotation()
    turns = np.array([_rotation_vector(first.T @ view.tool.rotation()) for view in views[1:]])
    # Turning about one axis alone has one singular value; the second tells of another axis.
    spread = np.linalg.svd(turns, compute_uv=False)[1] / math.sqrt(len(turns))
    if spread < MIN_TURN / 2.0:
        raise ConfigError(
            f"the tool turns by {math.degrees(spread):.1f} degrees (root mean square) about a second axis; "
            f"turn it by {math.degrees(MIN_TURN):.0f} degrees and more about two different axes"
        )


def _start(views: Sequence[View], mount: Mount, method: int) -> Pose:
    hands = [hand(view, mount) for view in views]
    rotation, translation = cv2.calibrateHandEye(
        [pose.rotation() for pose in hands],
        [pose.position for pose in hands],
        [view.board.rotation() for view in views],
        [view.board.position for view in views],
        method=method,
    )
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, np.ravel(translation)
    return Pose.from_matrix(matrix) if np.isfinite(matrix).all() else Pose.identity()


def _board(views: Sequence[View], mount: Mount, camera: Pose) -> Pose:
    """Return the mean of where the single views place the board."""
    poses = [hand(view, mount) @ camera @ view.board for view in views]
    quaternions = np.array([pose.quaternion for pose in poses])
    _, vectors = np.linalg.eigh(quaternions.T @ quaternions)
    return Pose(np.mean([pose.position for pose in poses], axis=0), vectors[:, -1])


def _refine(
    views: Sequence[View], matrix: F64, mount: Mount, start: tuple[Pose, Pose], fixed_camera: bool = False
) -> tuple[Pose, Pose]:
    """Minimise the reprojection error over camera and board, or over the board alone."""
    poses = list(start)
    free = [1] if fixed_camera else [0, 1]
    damping = 1e-3
    residual = _residual(views, matrix, mount, poses)
    for _ in range(ITERATIONS):
        jacobian = _jacobian(views, matrix, mount, poses, free, residual)
        normal = jacobian.T @ jacobian
        damped = normal + damping * np.diag(np.diag(normal))
        step = np.asarray(np.linalg.solve(damped, -jacobian.T @ residual), dtype=np.float64)
        moved = _moved(poses, free, step)
        better = _residual(views, matrix, mount, moved)
        if better @ better < residual @ residual:
            done = residual @ residual - better @ better < 1e-7 * (residual @ residual)
            poses, residual, damping = moved, better, damping / 5.0
            if done:
                break
        else:
            damping *= 10.0
            if damping > 1e8:
                break
    return poses[0], poses[1]


def _jacobian(
    views: Sequence[View], matrix: F64, mount: Mount, poses: list[Pose], free: list[int], residual: F64
) -> F64:
    columns = []
    for i in range(6 * len(free)):
        step = np.zeros(6 * len(free))
        step[i] = 1e-6
        columns.append((_residual(views, matrix, mount, _moved(poses, free, step)) - residual) / 1e-6)
    return np.stack(columns, axis=1)


def _moved(poses: list[Pose], free: list[int], step: F64) -> list[Pose]:
    """Return the poses moved by `step`: translation [m] and rotation vector [rad] of each free one."""
    moved = list(poses)
    for number, index in enumerate(free):
        change = np.eye(4)
        change[:3, :3] = cv2.Rodrigues(step[6 * number + 3 : 6 * number + 6])[0]
        change[:3, 3] = step[6 * number : 6 * number + 3]
        moved[index] = poses[index] @ Pose.from_matrix(change)
    return moved


def _residual(views: Sequence[View], matrix: F64, mount: Mount, poses: list[Pose]) -> F64:
    """Return projected less seen pixels of all corners of all views, flat."""
    parts = []
    for view in views:
        seen = (hand(view, mount) @ poses[0]).inverse() @ poses[1]
        points = seen.transform(view.points)
        projected = points @ matrix.T
        parts.append(projected[:, :2] / np.maximum(projected[:, 2:], 1e-6) - view.pixels)
    return np.asarray(np.concatenate(parts), dtype=np.float64).ravel()


def _errors(views: Sequence[View], matrix: F64, mount: Mount, camera: Pose, board: Pose) -> tuple[float, ...]:
    per_view = (_residual([view], matrix, mount, [camera, board]).reshape(-1, 2) for view in views)
    return tuple(float(np.sqrt((rest**2).sum(axis=1).mean())) for rest in per_view)


def _rotation_vector(rotation: F64) -> F64:
    return np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64).ravel()
