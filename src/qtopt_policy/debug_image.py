"""What the policy considered, drawn into the image that it saw: candidates, elites, the chosen move."""

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.grasp_action import CHOICES, ActionFrame, GraspAction
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Candidates, Decision

Image = NDArray[np.uint8]
Array = NDArray[np.float64]

SIZE = 256  # [px] of the longer side of the picture
WHITE, BLACK, ORANGE = (255, 255, 255), (0, 0, 0), (255, 140, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_decision(
    observation: Observation, decision: Decision, asked: GraspAction, frame: ActionFrame
) -> Image:
    """Return the observation's image, enlarged, with the decision drawn in.

    A dot marks where a candidate would bring the tool, its colour the candidate's Q (dark blue: the worst,
    yellow: the best of this decision); members of the last elite set have a white rim. The arrow leads from
    the tool point to the target of the action that was asked for (after clipping), the bar at its tip shows
    the opening of the fingers there.

    Args:
        observation: that was decided on.
        decision: the policy's answer.
        asked: its action after clipping.
        frame: of actions.

    Returns:
        RGB uint8, the longer side SIZE pixels.
    """
    rows, columns = observation.image.shape[:2]
    scale = SIZE / max(rows, columns)
    width, height = round(columns * scale), round(rows * scale)
    enlarged = cv2.resize(observation.image, (width, height), interpolation=cv2.INTER_NEAREST)
    picture = np.ascontiguousarray(enlarged, dtype=np.uint8)
    projector = _Projector(observation, width, height)
    if decision.candidates is not None and len(decision.candidates.q):
        _draw_candidates(picture, projector, decision.candidates, frame)
    _draw_move(picture, projector, asked, frame)
    _write(picture, [CHOICES[asked.choice], f"Q {decision.q:.3f}"])
    return picture


class _Projector:
    """Projects points of the base frame into the enlarged picture."""

    def __init__(self, observation: Observation, width: int, height: int) -> None:
        self.pose = observation.tool_pose
        self.aperture = observation.aperture
        self._camera = observation.camera.resized(width, height)

    def pixels(self, points: Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return pixels (N, 2) of points (N, 3) and whether each lies in the picture."""
        pixels, depth = self._camera.project(points, self.pose)
        size = (self._camera.width, self._camera.height)
        inside = (depth > 0.0) & (pixels > -1.0).all(axis=-1) & (pixels < size).all(axis=-1)
        clipped = np.clip(np.where(depth[:, None] > 0.0, pixels, 0.0), -1e4, 1e4)
        return np.rint(clipped).astype(np.int64), inside


def candidate_points(candidates: Candidates, tool_pose: Pose, frame: ActionFrame) -> Array:
    """Return where each candidate would bring the tool point, base frame, shape (N, 3).

    The translations of `GraspAction.target`, for all candidates at once.
    """
    offsets = candidates.actions[:, :3].astype(np.float64)
    if frame == "tool":
        offsets = offsets @ pointing_down(tool_pose.position, tool_pose.yaw()).rotation().T
    points: Array = tool_pose.position + offsets
    return points


def _draw_candidates(
    picture: Image, projector: _Projector, candidates: Candidates, frame: ActionFrame
) -> None:
    pixels, inside = projector.pixels(candidate_points(candidates, projector.pose, frame))
    colours = q_colours(candidates.q)
    for i in np.argsort(candidates.q, kind="stable"):  # the best on top
        if not inside[i]:
            continue
        centre = (int(pixels[i, 0]), int(pixels[i, 1]))
        if candidates.elite[i]:
            cv2.circle(picture, centre, 5, WHITE, -1, cv2.LINE_AA)
        cv2.circle(picture, centre, 3, tuple(int(c) for c in colours[i]), -1, cv2.LINE_AA)


def q_colours(q: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return RGB colours, shape (N, 3), from the lowest to the highest of the finite values of `q` (N,)."""
    finite = np.isfinite(q)
    low, high = (q[finite].min(), q[finite].max()) if finite.any() else (0.0, 1.0)
    span = max(float(high - low), 1e-9)
    share = np.where(finite, (q - low) / span, 0.0)
    levels = np.rint(255.0 * share).astype(np.uint8).reshape(-1, 1)
    coloured = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)
    return np.asarray(coloured[:, 0, ::-1], dtype=np.uint8)


def _draw_move(picture: Image, projector: _Projector, asked: GraspAction, frame: ActionFrame) -> None:
    target = asked.target(projector.pose, frame)
    across = target.rotation()[:, 1] * projector.aperture / 2.0  # fingers open along the tool's y
    points = np.stack(
        [projector.pose.position, target.position, target.position - across, target.position + across]
    )
    pixels, _ = projector.pixels(points)
    start, end, left, right = [(int(u), int(v)) for u, v in pixels]
    cv2.arrowedLine(picture, start, end, ORANGE, 2, cv2.LINE_AA, tipLength=0.25)
    cv2.line(picture, left, right, ORANGE, 2, cv2.LINE_AA)


def _write(picture: Image, lines: list[str]) -> None:
    for row, text in enumerate(lines):
        place = (5, 16 + 16 * row)
        cv2.putText(picture, text, place, _FONT, 0.45, BLACK, 3, cv2.LINE_AA)
        cv2.putText(picture, text, place, _FONT, 0.45, WHITE, 1, cv2.LINE_AA)
