"""A ChArUco board: drawing it, and finding it in pictures."""

import contextlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_bringup.hand_eye import View
from qtopt_policy.errors import ConfigError, MissingDependencyError, UnknownNameError
from qtopt_policy.geometry import Pose

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

MIN_CORNERS = 6
DICTIONARIES = tuple(sorted(name for name in dir(cv2.aruco) if name.startswith("DICT_")))


@dataclass(frozen=True)
class Board:
    """A board as printed.

    Attributes:
        columns, rows: squares along its x and y.
        square: edge of a square [m].
        marker: edge of a marker [m].
        dictionary: of its markers, as OpenCV names it.
    """

    columns: int = 7
    rows: int = 5
    square: float = 0.035
    marker: float = 0.026
    dictionary: str = "DICT_5X5_100"

    def __post_init__(self) -> None:
        if self.dictionary not in DICTIONARIES:
            raise UnknownNameError("dictionary", self.dictionary, DICTIONARIES)
        if self.columns < 3 or self.rows < 3:
            raise ConfigError(f"board of {self.columns} x {self.rows} squares: at least 3 x 3")
        if not 0.0 < self.marker < self.square:
            raise ConfigError(f"marker {self.marker} m must be smaller than square {self.square} m")

    def build(self) -> "cv2.aruco.CharucoBoard":
        """Return OpenCV's board; MissingDependencyError where OpenCV is older than its ChArUco detector."""
        if not hasattr(cv2.aruco, "CharucoDetector"):
            raise MissingDependencyError(
                f"OpenCV {cv2.__version__} has no cv2.aruco.CharucoDetector: pip install "
                "'opencv-python-headless>=4.8,<5' into the environment of qtopt"
            )
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, dictionary)

    def draw(self, pixels_per_square: int) -> Image:
        """Return the board as a grey picture without margin, shape (rows, columns) * pixels_per_square."""
        built, size = self.build(), (self.columns * pixels_per_square, self.rows * pixels_per_square)
        # OpenCV 4.14 rounds itself out of the picture at some sizes (60, 130 and 200 pixels of this board).
        for larger in range(pixels_per_square, pixels_per_square + 8):
            with contextlib.suppress(cv2.error):
                picture = built.generateImage((self.columns * larger, self.rows * larger), marginSize=0)
                return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        raise ConfigError(f"{self}: OpenCV cannot draw it with {pixels_per_square} pixels per square")


def find_board(board: Board, grey: Image, matrix: F64) -> tuple[F64, F64, Pose] | None:
    """Find the board in a rectified picture.

    Args:
        board: as printed.
        grey: picture, uint8, shape (H, W).
        matrix: camera matrix, shape (3, 3).

    Returns:
        Corners in the board's frame [m], shape (n, 3), where they are seen [px], shape (n, 2), and the pose
        of the board in the camera; None where fewer than MIN_CORNERS are seen.
    """
    built = board.build()
    corners, ids, _, _ = cv2.aruco.CharucoDetector(built).detectBoard(grey)
    if ids is None or len(ids) < MIN_CORNERS:
        return None
    points = np.asarray(built.getChessboardCorners(), dtype=np.float64)[np.ravel(ids)]
    pixels = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    found, turn, shift = cv2.solvePnP(points, pixels, matrix, None, flags=cv2.SOLVEPNP_IPPE)
    if not found:
        return None
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = cv2.Rodrigues(turn)[0], np.ravel(shift)
    return points, pixels, Pose.from_matrix(place)


def view_of(board: Board, name: str, grey: Image, matrix: F64, tool: Pose) -> View | None:
    """Return a view of the board, None where it is not found."""
    found = find_board(board, grey, matrix)
    return None if found is None else View(name, tool, *found)
