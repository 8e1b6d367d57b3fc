"""Which part of a robot's workspace its arm can reach, and a picture of it."""

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_bringup.kinematics import Kinematics
from qtopt_policy.geometry import pointing_down
from qtopt_policy.robot import RobotConfig

Image = NDArray[np.uint8]

COUNTS = (6, 6, 4)  # points along x, y and z
TURNS = (-math.pi / 2.0, 0.0, math.pi / 2.0)  # about the start pose's yaw: a parallel gripper needs no more
TILE, MARGIN = 260, 34  # [px]
GOOD, BAD, INK, PAPER = (40, 150, 70), (205, 50, 40), (40, 40, 40), (255, 255, 255)


@dataclass(frozen=True)
class ReachPoint:
    """A tool position in the base frame [m] and at how many of TURNS the tool can point down there."""

    position: tuple[float, float, float]
    turns: int

    @property
    def reached(self) -> bool:
        """Whether all of TURNS are possible."""
        return self.turns == len(TURNS)


@dataclass(frozen=True)
class ReachMap:
    """A grid over the workspace box, x fastest changing last."""

    points: tuple[ReachPoint, ...]

    @property
    def missed(self) -> tuple[ReachPoint, ...]:
        """The points that are not reached at every turn."""
        return tuple(point for point in self.points if not point.reached)


def workspace_reach(
    kinematics: Kinematics, robot: RobotConfig, counts: tuple[int, int, int] = COUNTS
) -> ReachMap:
    """Try inverse kinematics at a grid over the workspace, the tool pointing down, from the home posture."""
    limits, yaw = robot.limits, robot.start_pose.yaw()
    lower = np.array([*limits.workspace_min[:2], limits.min_height])
    axes = [np.linspace(lower[i], limits.workspace_max[i], counts[i]) for i in range(3)]
    points = []
    for x, y, z in itertools.product(*axes):
        position = np.array([x, y, z])
        solved = [
            kinematics.solve(pointing_down(position, yaw + turn), robot.home).converged for turn in TURNS
        ]
        points.append(ReachPoint((float(x), float(y), float(z)), sum(solved)))
    return ReachMap(tuple(points))


def draw_reach(reach: ReachMap) -> Image:
    """Draw one plan view per height: green reached, red with the number of turns that are possible.

    Returns:
        RGB uint8, shape (TILE + MARGIN, number of heights * TILE, 3).
    """
    heights = sorted({point.position[2] for point in reach.points})
    picture = np.full((TILE + MARGIN, TILE * len(heights), 3), PAPER, dtype=np.uint8)
    spans = [_span([point.position[axis] for point in reach.points]) for axis in range(2)]
    for number, height in enumerate(heights):
        left = number * TILE
        title = f"z = {height:.3f} m"
        cv2.putText(
            picture, title, (left + MARGIN - 8, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA
        )
        for point in reach.points:
            if point.position[2] == height:
                _draw_point(picture, point, left, spans)
    (low_x, high_x), (low_y, high_y) = spans
    text = f"upwards: x {low_x:.2f} to {high_x:.2f} m; to the left: y {low_y:.2f} to {high_y:.2f} m"
    cv2.putText(picture, text, (8, TILE + 22), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return picture


def _span(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _draw_point(picture: Image, point: ReachPoint, left: int, spans: list[tuple[float, float]]) -> None:
    """X goes up and y to the left, as seen from above behind the arm."""
    room = TILE - 2 * MARGIN
    shares = [(value - low) / (high - low) for value, (low, high) in zip(point.position, spans, strict=False)]
    centre = (left + MARGIN + round((1.0 - shares[1]) * room), MARGIN + round((1.0 - shares[0]) * room))
    cv2.circle(picture, centre, 9, GOOD if point.reached else BAD, -1, cv2.LINE_AA)
    if not point.reached:
        corner = (centre[0] - 4, centre[1] + 4)
        cv2.putText(picture, str(point.turns), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.4, PAPER, 1, cv2.LINE_AA)
