"""The points of the hand at which the compact network looks into the image."""

from functools import lru_cache

import torch
from torch import Tensor

from qtopt_policy.networks.batch import Geometry

# Across the opened fingers, in half openings along the tool's y: both fingertips, and between them.
ACROSS = (-1.0, -0.5, 0.0, 0.5, 1.0)
# Along the tool's x, to both sides of the fingers [m].
ALONG = (-0.02, 0.02)
PER_LAYER = len(ACROSS) + len(ALONG)
POINTS = 2 * PER_LAYER


def hand_points(geometry: Geometry, translation: Tensor, yaw: Tensor) -> Tensor:
    """Return the points around hands that have moved, in the hand frame before the move.

    Two layers: at the fingertips, and straight below them on the bin floor, where the objects lie.
    Yaw turns about the base frame's +z, which is -z of the hand frame.

    Args:
        geometry: of B observations.
        translation: in the hand frame [m], shape (B, N, 3).
        yaw: [rad], shape (B, N).

    Returns:
        Points, shape (B, N, POINTS, 3).
    """
    half = 0.5 * geometry.opening[:, None]
    across = half * _constant(ACROSS, half.device, half.dtype)  # (B, 5)
    along = _constant(ALONG, half.device, half.dtype).expand(len(half), -1)  # (B, 2)
    x = torch.cat([torch.zeros_like(across), along], dim=-1)[:, None]  # (B, 1, PER_LAYER)
    y = torch.cat([across, torch.zeros_like(along)], dim=-1)[:, None]
    cos, sin = yaw.cos()[..., None], yaw.sin()[..., None]  # (B, N, 1)
    turned = torch.stack([cos * x + sin * y, cos * y - sin * x], dim=-1)  # (B, N, PER_LAYER, 2)
    level = translation[..., None, :2] + turned
    depth = torch.stack([translation[..., 2], geometry.height[:, None].expand_as(yaw)], dim=-1)
    shape = (*level.shape[:2], 2, PER_LAYER)
    layers = [level[:, :, None].expand(*shape, 2), depth[..., None, None].expand(*shape, 1)]
    return torch.cat(layers, dim=-1).flatten(2, 3)


@lru_cache(maxsize=32)
def _constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a tensor of constants: made once, since every copy to a GPU makes the CPU wait for it."""
    return torch.tensor(values, device=device, dtype=dtype)
