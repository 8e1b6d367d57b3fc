"""One picture of the film strip: the network's image with the chosen move drawn over it, as inline SVG.

The image stays as the network saw it (its own pixels, PNG) and the browser enlarges it; what is drawn over
it are vectors in the image's pixel coordinates, so both stay sharp at any size.
"""

import base64
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_collector.episode import Episode
from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ImageError
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import CHOICES, ActionFrame, GraspAction

Pixel = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Move:
    """A move of the gripper as seen in the image: tool point and two fingertips, before and after.

    Attributes:
        start, end: pixels of the finger, the tool point and the other finger, shape (3, 2).
        visible: whether all six points lie in front of the camera.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    visible: bool


def project_move(
    camera: CameraModel, tool_pose: Pose, action: GraspAction, aperture: float, frame: ActionFrame
) -> Move:
    """Project the gripper before and after `action` into the image taken at `tool_pose`."""
    fingers = np.array([[0.0, -aperture / 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, aperture / 2.0, 0.0]])
    target = action.target(tool_pose, frame)
    points = np.stack([tool_pose.transform(fingers), target.transform(fingers)])
    pixels, depth = camera.project(points, tool_pose)
    return Move(pixels[0], pixels[1], bool((depth > 0.0).all()))


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return an RGB image, shape (H, W, 3), as a PNG data URI.

    Raises:
        ImageError: OpenCV cannot encode it.
    """
    done, buffer = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ImageError(f"image of shape {image.shape} cannot be encoded as PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.tobytes()).decode()


def film_frame(episode: Episode, index: int, frame: ActionFrame) -> str:
    """Return step `index` as a `<figure>`: image, move, and a caption with the action's numbers."""
    steps = episode.steps
    action = GraspAction.from_array(steps.asked[index])
    tool_pose = Pose.from_array(steps.tool_pose[index])
    move = project_move(episode.camera, tool_pose, action, float(steps.aperture[index]), frame)
    height, width = steps.image[index].shape[:2]
    picture = _image(steps.image[index], width, height) + (_drawn(move) if move.visible else "")
    choice = CHOICES[action.choice]
    return (
        f'<figure class="step {choice}"><svg viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(_title(episode, index, action))}</title>{picture}</svg>"
        f"<figcaption>{_caption(episode, index, choice)}</figcaption></figure>"
    )


def _image(image: NDArray[np.uint8], width: int, height: int) -> str:
    return f'<image href="{data_uri(image)}" width="{width}" height="{height}"/>'


def _drawn(move: Move) -> str:
    """Draw the gripper now (pale), the way of the tool point, and the gripper wanted (coloured)."""
    # Pixel centres lie at whole numbers in the camera model, half a pixel further in SVG.
    start, end = move.start + 0.5, move.end + 0.5
    return (
        f'<g class="now">{_gripper(start)}</g>'
        f'<g class="wish">{_line(start[1], end[1], "way")}{_gripper(end)}</g>'
    )


def _gripper(points: NDArray[np.float64]) -> str:
    tips = "".join(f'<circle cx="{p[0]:.2f}" cy="{p[1]:.2f}" r="1.1"/>' for p in (points[0], points[2]))
    return _line(points[0], points[2], "palm") + tips


def _line(start: NDArray[np.float64], end: NDArray[np.float64], name: str) -> str:
    return (
        f'<line class="{name}" x1="{start[0]:.2f}" y1="{start[1]:.2f}" x2="{end[0]:.2f}" y2="{end[1]:.2f}"/>'
    )


def _caption(episode: Episode, index: int, choice: str) -> str:
    steps = episode.steps
    q = steps.q[index]
    value = f"<span>Q {q:.2f}</span>" if np.isfinite(q) else ""
    altered = "<span title='the arm did something else than asked'>altered</span>"
    return f"<b>{index + 1}</b><em>{choice}</em>{value}{altered if steps.altered[index] else ''}"


def _title(episode: Episode, index: int, action: GraspAction) -> str:
    steps = episode.steps
    x, y, z = action.translation * 1000.0
    lines = [
        f"step {index + 1}: {CHOICES[action.choice]}",
        f"move {x:+.0f} {y:+.0f} {z:+.0f} mm, yaw {np.degrees(action.yaw):+.0f} deg",
        f"height {steps.height_to_bottom[index] * 1000:.0f} mm",
        f"aperture {steps.aperture[index] * 1000:.0f} mm",
        f"{steps.end_cause[index]} after {steps.duration[index]:.2f} s",
    ]
    if steps.altered[index]:
        did = GraspAction.from_array(steps.executed[index])
        x, y, z = did.translation * 1000.0
        why = "contact" if steps.contact[index] else "a limit"
        lines.append(f"altered by {why}: moved {x:+.0f} {y:+.0f} {z:+.0f} mm")
    return "\n".join(lines)
