"""The points of the hand at which the compact network looks into the image."""

import torch
from torch import Tensor

from qtopt_policy.networks.batch import Geometry

# Points across the opened fingers, along the tool's y: both fingertips, and evenly between them.
ACROSS = 5
# Along the tool's x, so far to both sides of the fingers [m].
ALONG = 0.02
PER_LAYER = ACROSS + 2
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
    # Made on the device: a copy of constants to a GPU would make the CPU wait for it.
    across = half * torch.linspace(-1.0, 1.0, ACROSS, device=half.device)  # (B, ACROSS)
    along = torch.linspace(-ALONG, ALONG, 2, device=half.device).expand(len(half), -1)  # (B, 2)
    x = torch.cat([torch.zeros_like(across), along], dim=-1)[:, None]  # (B, 1, PER_LAYER)
    y = torch.cat([across, torch.zeros_like(along)], dim=-1)[:, None]
    cos, sin = yaw.cos()[..., None], yaw.sin()[..., None]  # (B, N, 1)
    turned = torch.stack([cos * x + sin * y, cos * y - sin * x], dim=-1)  # (B, N, PER_LAYER, 2)
    level = translation[..., None, :2] + turned
    depth = torch.stack([translation[..., 2], geometry.height[:, None].expand_as(yaw)], dim=-1)
    shape = (*level.shape[:2], 2, PER_LAYER)
    layers = [level[:, :, None].expand(*shape, 2), depth[..., None, None].expand(*shape, 1)]
    return torch.cat(layers, dim=-1).flatten(2, 3)
