"""Observations, cameras and batches for the tests of qtopt_policy."""

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation

# A camera beside the hand that looks along the tool's z axis, and one above the bin that looks down.
WRIST = Pose(np.array([0.06, 0.0, -0.12]), np.array([0.0, 0.0, 0.0, 1.0]))
ABOVE = pointing_down([0.5, 0.0, 0.9], 0.0)


def make_camera(size: tuple[int, int] = (64, 64), mount: Mount = "tool") -> CameraModel:
    height, width = size
    pose = WRIST if mount == "tool" else ABOVE
    return CameraModel(
        width, height, 0.9 * width, 0.9 * width, 0.5 * width - 0.5, 0.5 * height - 0.5, mount, pose
    )


def make_observation(
    seed: int = 0, size: tuple[int, int] = (64, 64), mount: Mount = "tool", tilt: float = 0.0
) -> Observation:
    """Return a picture of noise, seen from a random level (or tilted) tool pose above the bin."""
    rng = np.random.default_rng(seed)
    height = float(rng.uniform(0.05, 0.25))
    level = pointing_down([*rng.uniform([0.4, -0.1], [0.6, 0.1]), height], float(rng.uniform(-3.0, 3.0)))
    tilted = level @ Pose(np.zeros(3), np.array([tilt, -tilt, 0.0, 1.0]))
    return Observation(
        image=rng.integers(0, 256, (*size, 3), dtype=np.uint8),
        gripper_closed=bool(rng.integers(2)),
        height_to_bottom=height,
        aperture=float(rng.uniform(0.0, 0.08)),
        tool_pose=tilted,
        camera=make_camera(size, mount),
        stamp=float(seed),
    )


def random_actions(mdp: MdpConfig, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Return search vectors, shape (*shape, 8)."""
    rng, spec = np.random.default_rng(seed), mdp.action_spec()
    flat = [
        spec.encode(rng.uniform(spec.low, spec.high), int(rng.integers(4))) for _ in range(np.prod(shape))
    ]
    return np.stack(flat).reshape(*shape, spec.size)
