"""From observations to tensors: the one place, for the robot's single decision and for training batches.

The *hand frame* is the frame in which networks place candidates: its origin is the tool point, its z axis
points straight down and its x axis has the tool's heading, as the targets of grasp_action.py. Whatever the
camera's mount and the action frame, `Geometry` maps the action into the hand frame and the hand frame into
the image, so that networks need to know neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.grasp_action import ActionFrame
from qtopt_policy.observation import Observation


@dataclass(frozen=True, eq=False)
class Geometry:
    """Camera and hand of B observations, float32.

    Attributes:
        camera_from_hand: first three rows of the homogeneous matrix, shape (B, 3, 4).
        intrinsics: fx, fy, cx, cy after crop and resize [px], shape (B, 4).
        hand_from_action: rotation of an action's translation into the hand frame, shape (B, 3, 3).
        opening: distance of the opened fingertips [m], shape (B,).
        height: height of the tool point above the bin floor [m], shape (B,).
    """

    camera_from_hand: Tensor
    intrinsics: Tensor
    hand_from_action: Tensor
    opening: Tensor
    height: Tensor

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Project points of the hand frame, shape (B, ..., 3), into the image.

        u = fx x / z + cx, v = fy y / z + cy, as CameraModel.project.

        Returns:
            Pixels (B, ..., 2) and depths [m] (B, ...). Where the depth is below MIN_DEPTH the pixel means
            nothing, but is finite and has finite gradients.
        """
        count = points.dim() - 2
        shape = (-1,) + (1,) * count
        rotation, offset = self.camera_from_hand[..., :3], self.camera_from_hand[..., 3]
        flat = points.flatten(1, -2) if count > 1 else points
        local = (flat @ rotation.transpose(1, 2)).view(points.shape) + offset.view(*shape, 3)
        depth = local[..., 2]
        safe = depth.clamp(min=MIN_DEPTH)
        fx, fy, cx, cy = (self.intrinsics[:, i].view(shape) for i in range(4))
        u = fx * local[..., 0] / safe + cx
        v = fy * local[..., 1] / safe + cy
        return torch.stack([u, v], dim=-1), depth


# Closer to the camera than this, or behind it, a point is not in view [m].
MIN_DEPTH = 0.01


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on `device`; on the way to a GPU through pinned memory, so that the CPU goes on."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@dataclass(frozen=True, eq=False)
class ObservationBatch:
    """B observations as tensors.

    Attributes:
        image: RGB uint8, shape (B, 3, height, width), channels last in memory.
        vectors: scalars in the order of ObservationSpec.vectors, float32, shape (B, vector_size).
        geometry: camera and hand.
    """

    image: Tensor
    vectors: Tensor
    geometry: Geometry

    def __len__(self) -> int:
        return self.image.shape[0]

    def __getitem__(self, index: Tensor | slice) -> "ObservationBatch":
        """Return the rows of an index tensor, a mask or a slice."""
        geometry = Geometry(*(getattr(self.geometry, f.name)[index] for f in fields(Geometry)))
        return ObservationBatch(self.image[index], self.vectors[index], geometry)

    def to(self, device: torch.device) -> "ObservationBatch":
        """Return the batch on `device`."""
        geometry = Geometry(*(send(getattr(self.geometry, f.name), device) for f in fields(Geometry)))
        return ObservationBatch(send(self.image, device), send(self.vectors, device), geometry)

    @classmethod
    def concatenate(cls, batches: "Sequence[ObservationBatch]") -> "ObservationBatch":
        """Join batches of equal image size along B."""
        columns = ([getattr(b.geometry, f.name) for b in batches] for f in fields(Geometry))
        return cls(
            torch.cat([b.image for b in batches]),
            torch.cat([b.vectors for b in batches]),
            Geometry(*(torch.cat(column) for column in columns)),
        )


def from_observations(
    observations: Sequence[Observation], action_frame: ActionFrame, opening: float
) -> ObservationBatch:
    """Build the batch of observations of one gripper.

    Args:
        observations: at least one, with images of equal size.
        action_frame: of the actions that will be valued.
        opening: distance of the opened fingertips [m].

    Raises:
        ShapeError: there are none, or their images differ in size.
    """
    sizes = {observation.image.shape for observation in observations}
    if len(sizes) != 1:
        raise ShapeError(f"a batch needs images of one size, found {sorted(sizes) or 'no observation'}")
    image = torch.from_numpy(np.stack([observation.image for observation in observations]))
    return ObservationBatch(
        image.permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([observation.scalars() for observation in observations])),
        _stack([_row(observation, action_frame, opening) for observation in observations]),
    )


def _row(observation: Observation, frame: ActionFrame, opening: float) -> tuple[NDArray[np.float64], ...]:
    camera, tool = observation.camera, observation.tool_pose
    hand = pointing_down(tool.position, tool.yaw())
    return (
        camera_from_hand(camera, tool),
        np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
        np.eye(3) if frame == "tool" else hand.rotation().T,
        np.array(opening),
        np.array(observation.height_to_bottom),
    )


def camera_from_hand(camera: CameraModel, tool_pose: Pose) -> NDArray[np.float64]:
    """Return the map from the hand frame into the optical frame, shape (3, 4)."""
    hand = pointing_down(tool_pose.position, tool_pose.yaw())
    return (camera.pose_in_base(tool_pose).inverse() @ hand).as_matrix()[:3]


def _stack(rows: Sequence[tuple[NDArray[np.float64], ...]]) -> Geometry:
    columns = zip(*rows, strict=True)
    return Geometry(*(torch.from_numpy(np.stack(column).astype(np.float32)) for column in columns))
