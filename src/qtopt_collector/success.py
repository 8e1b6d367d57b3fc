"""Did the grasp succeed? From the gripper's own state, with the image test of QT-Opt as a second opinion.

Gripper: closed fingers that stay apart after the lift hold something; a driver that tells whether
they stalled or reached their goal, or their force, has a veto. A stall alone is no success: fingers that
press on each other stall too.
Images: "background subtraction test after dropping the picked object" (QT-Opt, 1806.10293, appendix D.4):
the scene differs before and after the drop only if something was dropped.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_policy.errors import ConfigError, ImageError, ShapeError
from qtopt_policy.robot import GripperConfig

Image = NDArray[np.uint8]

# [m] fingers that were told to close and are as far apart as when open have not moved: the command was lost.
OPEN_MARGIN = 0.001


@dataclass(frozen=True)
class GripperSample:
    """State of the resting gripper.

    Attributes:
        aperture: distance of the fingertips [m].
        effort: magnitude of the grip force [N] or None where the driver reports none.
        stalled: whether the driver says that the last command ended before its goal; None: it does not say.
    """

    aperture: float
    effort: float | None = None
    stalled: bool | None = None

    def __post_init__(self) -> None:
        for name, value in (("aperture", self.aperture), ("effort", self.effort)):
            if value is not None and not math.isfinite(value):
                raise ShapeError(f"gripper {name} is not finite: {value}")


@dataclass(frozen=True)
class Judgement:
    """A verdict, the one reason for it, and the numbers that it rests on."""

    success: bool
    reason: str
    numbers: dict[str, float]


def judge(
    config: GripperConfig,
    commanded_closed: bool,
    closed: GripperSample,
    lifted: GripperSample,
    min_effort: float | None = None,
) -> Judgement:
    """Judge a grasp from gripper state alone.

    Args:
        config: the gripper; `held_aperture` separates empty from holding fingers. Fingers that are open
            before and after the lift hold nothing: what is as wide as the opening cannot be told from a
            command that was lost.
        commanded_closed: last command to the gripper when the episode ended.
        closed: resting fingers at the end of the episode, before the lift.
        lifted: resting fingers after the lift.
        min_effort: least effort of fingers that hold, as DriverConfig.min_grip_effort; None ignores it.
    """
    numbers = {"aperture_closed": closed.aperture, "aperture_lifted": lifted.aperture}
    if lifted.effort is not None:
        numbers["effort_lifted"] = lifted.effort
    if lifted.stalled is not None:
        numbers["stalled"] = float(lifted.stalled)
    reason = _failure(config, commanded_closed, closed, lifted, min_effort)
    return Judgement(reason is None, reason or "held", numbers)


def _failure(
    config: GripperConfig,
    commanded_closed: bool,
    closed: GripperSample,
    lifted: GripperSample,
    min_effort: float | None,
) -> str | None:
    if not commanded_closed:
        return "gripper open"
    if min(closed.aperture, lifted.aperture) > config.aperture(config.open_position) - OPEN_MARGIN:
        return "fingers did not close"
    if lifted.aperture <= config.held_aperture:
        return "dropped" if closed.aperture > config.held_aperture else "closed on nothing"
    if lifted.stalled is False or closed.stalled is False:
        return "fingers reached their goal"
    if min_effort is not None and lifted.effort is not None and lifted.effort < min_effort:
        return "no grip force"
    return None


@dataclass(frozen=True)
class DropTestConfig:
    """Thresholds of the image test.

    Attributes:
        blur: size of the Gaussian kernel against sensor noise [px], odd.
        threshold: grey levels by which a pixel must differ in some channel.
        min_area: share of the image that the largest changed region must cover.
    """

    blur: int = 5
    threshold: float = 25.0
    min_area: float = 0.0015

    def __post_init__(self) -> None:
        if self.blur < 1 or self.blur % 2 == 0:
            raise ConfigError(f"blur {self.blur}: must be odd and positive")
        if not 0.0 < self.min_area < 1.0:
            raise ConfigError(f"min_area {self.min_area}: must be in (0, 1)")


@dataclass(frozen=True)
class DropTest:
    """Result of the image test: did the scene change, and the share of the largest changed region."""

    changed: bool
    area: float


def compare_drop(before: Image, after: Image, config: DropTestConfig | None = None) -> DropTest:
    """Compare the images from before and after the drop, taken from one arm pose with equal commands.

    A change of the light is divided out first: per channel, `after` is scaled so that the median of the
    pixel ratios is one. An object covers less than half of the image, so the median is background.

    Args:
        before: RGB uint8, shape (H, W, 3).
        after: the same.
        config: thresholds; the defaults if None.

    Raises:
        ImageError: shapes differ, or they are not colour images.
    """
    config = config or DropTestConfig()
    if before.shape != after.shape or before.ndim != 3 or before.size == 0 or before.dtype != np.uint8:
        raise ImageError(f"drop images {before.shape} {before.dtype} and {after.shape} {after.dtype}")
    smooth_before, smooth_after = (
        cv2.GaussianBlur(image, (config.blur, config.blur), 0).astype(np.float32) for image in (before, after)
    )
    gain = np.median((smooth_before + 1.0) / (smooth_after + 1.0), axis=(0, 1))
    difference = np.abs(smooth_before - np.clip(smooth_after * gain, 0.0, 255.0)).max(axis=2)
    changed = (difference > config.threshold).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(changed)
    regions = stats[1:, cv2.CC_STAT_AREA]  # row 0 is the unchanged background
    area = float(regions.max()) / changed.size if len(regions) else 0.0
    return DropTest(area >= config.min_area, area)
