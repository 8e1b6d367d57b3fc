"""Bring a camera's images to the steps' times, and tell how far they were off."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import BagError
from qtopt_policy.preprocess import Crop


@dataclass(frozen=True)
class Alignment:
    """How well one episode's images fit its steps.

    Attributes:
        topics: that the images came from.
        max_skew: longest time between a step's stamp and its image [s].
        max_joint_skew: longest time between a step's stamp and the nearest joint state [s].
        dropped_frames: frames that the stream's own rate says are missing within the episode.
        unmatched: steps without an image within the allowed skew.
    """

    topics: tuple[str, ...]
    max_skew: float
    max_joint_skew: float
    dropped_frames: int
    unmatched: int


def nearest(stamps: Sequence[int], wanted: int) -> int | None:
    """Return the member of sorted `stamps` nearest to `wanted` (the earlier of two); None where empty."""
    place = bisect_left(stamps, wanted)
    around = stamps[max(0, place - 1) : place + 1]
    return min(around, key=lambda stamp: abs(stamp - wanted), default=None)


def skews(stamps: Sequence[int], wanted: Sequence[int]) -> NDArray[np.float64]:
    """Return the time from each of `wanted` to the nearest of sorted `stamps` [s]; inf where empty."""
    found = (nearest(stamps, time) for time in wanted)
    return np.array(
        [
            np.inf if stamp is None else abs(stamp - time) * 1e-9
            for stamp, time in zip(found, wanted, strict=True)
        ]
    )


def count_dropped(stamps: Sequence[int]) -> int:
    """Return how many frames are missing in a stream of constant rate; its median period is that rate."""
    if len(stamps) < 3:
        return 0
    gaps = np.diff(np.asarray(stamps, dtype=np.float64))
    return int(np.maximum(np.rint(gaps / np.median(gaps)) - 1.0, 0.0).sum())


def find_crop(raw: CameraModel, network: CameraModel) -> Crop:
    """Return the crop (left, top, width, height) [px] of `raw` that, resized, gives `network`.

    The inverse of CameraModel.cropped and resized: width = width' fx / fx',
    left = cx - ((cx' + 0.5) fx / fx' - 0.5).

    Raises:
        BagError: no crop within the raw image gives that camera.
    """
    sx, sy = raw.fx / network.fx, raw.fy / network.fy
    left = raw.cx - ((network.cx + 0.5) * sx - 0.5)
    top = raw.cy - ((network.cy + 0.5) * sy - 0.5)
    crop = (round(left), round(top), round(network.width * sx), round(network.height * sy))
    exact = np.allclose(crop, (left, top, network.width * sx, network.height * sy), atol=0.05)
    inside = crop[0] >= 0 and crop[1] >= 0
    inside = inside and crop[0] + crop[2] <= raw.width and crop[1] + crop[3] <= raw.height
    if not (exact and inside):
        raise BagError(
            f"camera {raw.width} x {raw.height} (fx {raw.fx:.2f}, cx {raw.cx:.2f}) has no crop that gives "
            f"the network's {network.width} x {network.height} (fx {network.fx:.2f}, cx {network.cx:.2f})"
        )
    return crop
