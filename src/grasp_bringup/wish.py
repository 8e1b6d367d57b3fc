"""A wish for a tool pose as it arrives, and whether it may be looked at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.geometry import Pose
from qtopt_policy.limits import TILT_TOLERANCE, Limits, tilt
from qtopt_policy.topics import Owner

NANOSECOND = 1e-9
# The guard puts targets on the walls of the workspace; an executor refuses what lies beyond them [m].
WALL_TOLERANCE = 0.001


@dataclass(frozen=True, eq=False)
class Wish:
    """One message on policy/target_pose or collector/target_pose, unchecked.

    Attributes:
        source: whose topic it came on.
        frame: frame_id of its header.
        stamp: of its header [ns].
        values: x y z qx qy qz qw, shape (7,).
    """

    source: Owner
    frame: str
    stamp: int
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """A check or limit that fired: its name, as the counters have it, and the values that were found."""

    name: str
    detail: str


def malformed(wish: Wish, base_frame: str) -> Finding | None:
    """Return why a wish is not a tool pose in the base frame, or None if it is one."""
    if wish.frame != base_frame:
        return Finding("frame", f"frame_id '{wish.frame}', expected '{base_frame}'")
    if not np.isfinite(wish.values).all():
        return Finding("not_finite", f"pose {wish.values.tolist()}")
    if float(np.linalg.norm(wish.values[3:])) < 1e-6:
        return Finding("zero_quaternion", f"orientation {wish.values[3:].tolist()}")
    return None


def outside(wish: Wish, limits: Limits) -> Finding | None:
    """Return a finding if a wish lies outside the workspace: no guard has passed it."""
    low = np.array([*limits.workspace_min[:2], limits.min_height]) - WALL_TOLERANCE
    high = np.array(limits.workspace_max) + WALL_TOLERANCE
    position = wish.values[:3]
    if ((position < low) | (position > high)).any():
        return Finding("workspace", f"target at {np.round(position, 4).tolist()}, outside the workspace")
    return None


def untimely(wish: Wish, now: int, max_age: float, max_lead: float) -> Finding | None:
    """Return why a wish's stamp does not fit to `now` [ns], or None if it does."""
    age = (now - wish.stamp) * NANOSECOND
    if age > max_age:
        return Finding("stale", f"stamp {age:.3f} s old, at most {max_age} s")
    if -age > max_lead:
        return Finding("future", f"stamp {-age:.3f} s ahead, at most {max_lead} s")
    return None


def too_far(measured: Pose, target: Pose, limits: Limits) -> Finding | None:
    """Return a finding if `target` is more than one step away from the measured pose."""
    distance, angle = measured.distance(target), measured.angle(target)
    if distance > limits.max_step_length or angle > limits.max_step_yaw:
        allowed = f"one step is {limits.max_step_length} m and {limits.max_step_yaw} rad"
        return Finding("far_after_resume", f"{distance:.3f} m and {angle:.3f} rad away, {allowed}")
    return None


def tilted(measured: Pose, target: Pose, limits: Limits) -> Finding | None:
    """Return a finding if `target`, which is clipped, does not point down, or is not turned by yaw alone."""
    off = tilt(target)
    if off > TILT_TOLERANCE:
        return Finding("tilt", f"{off:.3f} rad from pointing straight down, at most {TILT_TOLERANCE} rad")
    turned = measured.angle(target)
    if turned > limits.max_step_yaw + TILT_TOLERANCE:
        return Finding("tilt", f"{turned:.3f} rad from the measured pose, not about the vertical alone")
    return None


def pose_text(pose: Pose) -> str:
    """Return position [m] and yaw [rad] for people."""
    return f"{np.round(pose.position, 4).tolist()} yaw {pose.yaw():.3f}"
