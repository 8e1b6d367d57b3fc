"""What RViz and Foxglove show beside the robot, as geometry in the base frame (messages: markers_node.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtopt_policy.geometry import Pose

Array = NDArray[np.float64]
Kind = Literal["dots", "lines", "arrow", "text"]

LINE, AXIS = 0.002, 0.05  # width of lines, length of axes [m]
GREY = (160, 160, 160)


@dataclass(frozen=True, eq=False)
class Drawing:
    """One marker.

    Attributes:
        name: unique on its topic; a later drawing of the name replaces it.
        kind: what the points are: dots; ends of lines, in pairs; tail and head of an arrow; place of a text.
        points: in the base frame [m], shape (N, 3); none: the marker is taken away.
        colours: red, green, blue, opacity in [0, 1], one row for all points or one for each, shape (N, 4).
        size: diameter of dots and of an arrow's shaft, width of lines, height of letters [m].
        text: of the kind `text`.
    """

    name: str
    kind: Kind
    points: Array
    colours: Array
    size: float
    text: str = ""


def nothing(name: str, kind: Kind) -> Drawing:
    """Return the drawing that takes the marker `name` away."""
    return Drawing(name, kind, np.empty((0, 3)), np.empty((0, 4)), 0.0)


def draw_box(name: str, low: Sequence[float], high: Sequence[float]) -> Drawing:
    """Return the twelve edges of the box between two corners, base frame [m]."""
    corners = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, 8).T
    # Corners whose numbers differ in one bit share an edge.
    edges = [(i, i | bit) for bit in (1, 2, 4) for i in range(8) if not i & bit]
    return Drawing(name, "lines", corners[np.array(edges).ravel()], rgba([GREY], 0.6), LINE)


def draw_axes(name: str, pose: Pose) -> Drawing:
    """Return the axes of a pose: x red, y green, z blue, as RViz has them."""
    tips = pose.position + AXIS * pose.rotation().T
    points = np.stack([np.broadcast_to(pose.position, (3, 3)), tips], axis=1).reshape(6, 3)
    return Drawing(name, "lines", points, np.repeat(rgba(255 * np.eye(3)), 2, axis=0), 2.0 * LINE)


def rgba(colours: ArrayLike, opacity: float = 1.0) -> Array:
    """Return RGB of 0 to 255, shape (N, 3), as drawings have it."""
    rgb = np.asarray(colours, dtype=np.float64) / 255.0
    return np.column_stack([rgb, np.full(len(rgb), opacity)])
