"""Image augmentation of training batches; everything is off by default.

Photometric changes as in QT-Opt's public preprocessors (tensor2robot, image_transformations.py: brightness
+-0.125, saturation and contrast 0.5 to 1.5, hue +-0.2, noise), each drawn per image. A shift moves the image
and the camera model with it: cx' = cx + shift, so that what is projected stays where it is seen.

A mirrored scene is as real as the scene: left and right of the hand change places in the picture, in the
camera's place and in the move. With F = diag(-1, 1, 1) in the optical frame and M = diag(1, -1, 1),

    u' = width - 1 - u,  camera_from_hand' = F camera_from_hand M,  translation' = M translation,  yaw' = -yaw

A parallel gripper turned by half a turn about its own axis is the same gripper. With H = diag(-1, -1, 1)
in the hand frame, image and yaw as they are,

    camera_from_hand' = camera_from_hand H,  hand_from_action' = H hand_from_action

Only networks that look through the camera model may be told of the two: one that does not has learned on
which side of the robot its camera stands.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.batch import ObservationBatch, send

# Luma and chroma of NTSC; a rotation of the chroma plane changes the hue, a scale the saturation.
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges of the changes; 0 switches one off.

    Attributes:
        brightness: added to intensities in [0, 1], drawn from +-brightness.
        contrast: factor about the image's mean, drawn from 1 +-contrast.
        saturation: factor of the chroma, drawn from 1 +-saturation.
        hue: rotation of the chroma in full turns, drawn from +-hue.
        noise: standard deviation of Gaussian noise on intensities in [0, 1].
        shift: in whole pixels along both axes, drawn from -shift..shift; edges are repeated.
        mirror: show every second transition mirrored; for grasp actions only.
        half_turn: name the fingers of every second transition the other way round; for grasp actions only.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    noise: float = 0.0
    shift: int = 0
    mirror: bool = False
    half_turn: bool = False

    def __post_init__(self) -> None:
        for name in ("brightness", "hue", "noise", "shift"):
            if getattr(self, name) < 0:
                raise ConfigError(f"augmentation {name} {getattr(self, name)}: must not be negative")
        for name in ("contrast", "saturation"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"augmentation {name} {getattr(self, name)}: must be in [0, 1]")

    @property
    def photometric(self) -> bool:
        """Whether intensities change at all."""
        return any((self.brightness, self.contrast, self.saturation, self.hue, self.noise))


def augment(
    batch: ObservationBatch, actions: Tensor, config: AugmentConfig, generator: torch.Generator
) -> tuple[ObservationBatch, Tensor]:
    """Return a batch with changed images (uint8 again), its geometry and actions changed with them.

    Args:
        batch: B observations.
        actions: search vectors, shape (B, ActionSpec.size).
        config: what to change.
        generator: the only source of chance.
    """
    if config.mirror:
        batch, actions = mirror(batch, actions, send(_half(len(batch), generator), actions.device))
    if config.half_turn:
        batch = half_turn(batch, send(_half(len(batch), generator), actions.device))
    if config.shift:
        batch = _shift(batch, config.shift, generator)
    if config.photometric:
        image = _photometric(batch.image.float() / 255.0, config, generator)
        batch = replace(batch, image=(image * 255.0).round().clamp_(0.0, 255.0).to(torch.uint8))
    return batch, actions


def mirror(batch: ObservationBatch, actions: Tensor, which: Tensor) -> tuple[ObservationBatch, Tensor]:
    """Return observations and grasp actions with those of `which`, bool, shape (B,), mirrored."""
    geometry, width = batch.geometry, batch.image.shape[-1]
    # Multiplies y, and nothing where an entry stays as it is.
    sign = torch.where(which, -1.0, 1.0).to(actions.dtype)
    flip = torch.ones(len(batch), 3, device=actions.device, dtype=actions.dtype)
    flip[:, 1] = sign
    camera = geometry.camera_from_hand.clone()
    camera[:, :, :3] *= flip.unsqueeze(1)
    camera[:, 0] *= sign.unsqueeze(1)
    intrinsics = geometry.intrinsics.clone()
    intrinsics[:, 2] = torch.where(which, width - 1 - intrinsics[:, 2], intrinsics[:, 2])
    # In whichever frame the action is: M R M maps M a to M R a, the mirrored move of the hand.
    rotation = geometry.hand_from_action * flip.unsqueeze(1) * flip.unsqueeze(2)
    turned = replace(geometry, camera_from_hand=camera, intrinsics=intrinsics, hand_from_action=rotation)
    image = torch.where(which.view(-1, 1, 1, 1), batch.image.flip(-1), batch.image)
    moved = torch.cat([actions[:, :3] * flip, actions[:, 3:4] * sign.unsqueeze(1), actions[:, 4:]], dim=1)
    return ObservationBatch(image, batch.vectors, turned), moved


def half_turn(batch: ObservationBatch, which: Tensor) -> ObservationBatch:
    """Return observations with the hand frames of `which`, bool, shape (B,), turned by half a turn."""
    flip = torch.ones(len(batch), 3, device=which.device)
    flip[:, :2] = torch.where(which, -1.0, 1.0).unsqueeze(1)
    geometry = batch.geometry
    camera = geometry.camera_from_hand.clone()
    camera[:, :, :3] *= flip.unsqueeze(1)
    rotation = geometry.hand_from_action * flip.unsqueeze(2)
    return replace(batch, geometry=replace(geometry, camera_from_hand=camera, hand_from_action=rotation))


def _half(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, device=generator.device) < 0.5


def _draw(count: int, reach: float, generator: torch.Generator, device: torch.device) -> Tensor:
    uniform = torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)
    return send((2.0 * uniform - 1.0) * reach, device)


def _photometric(image: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    count, device = len(image), image.device
    if config.brightness:
        image = image + _draw(count, config.brightness, generator, device)
    if config.saturation or config.hue:
        scale = 1.0 + _draw(count, config.saturation, generator, device).flatten()
        angle = 2.0 * math.pi * _draw(count, config.hue, generator, device).flatten()
        image = torch.einsum("bij,bjhw->bihw", chroma_matrix(scale, angle), image)
    if config.contrast:
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        image = mean + (image - mean) * (1.0 + _draw(count, config.contrast, generator, device))
    if config.noise:
        noise = torch.randn(image.shape, generator=generator, device=generator.device)
        image = image + config.noise * send(noise, device)
    return image


def chroma_matrix(scale: Tensor, angle: Tensor) -> Tensor:
    """Return the RGB matrices, shape (B, 3, 3), that scale saturation and turn the hue; greys stay."""
    yiq = torch.tensor(YIQ, device=scale.device)
    turn = torch.zeros(len(scale), 3, 3, device=scale.device)
    turn[:, 0, 0] = 1.0
    turn[:, 1, 1] = turn[:, 2, 2] = scale * angle.cos()
    turn[:, 2, 1] = scale * angle.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    matrix: Tensor = torch.linalg.inv(yiq) @ turn @ yiq
    return matrix


def _shift(batch: ObservationBatch, reach: int, generator: torch.Generator) -> ObservationBatch:
    count, _, height, width = batch.image.shape
    device = batch.image.device
    moves = torch.randint(-reach, reach + 1, (count, 2), generator=generator, device=generator.device)
    moves = send(moves, device)
    # Pixel (v, u) of the new image shows (v - dv, u - du) of the old one, the nearest edge beyond it.
    rows = (torch.arange(height, device=device) - moves[:, 1:]).clamp_(0, height - 1)
    columns = (torch.arange(width, device=device) - moves[:, :1]).clamp_(0, width - 1)
    index = torch.arange(count, device=device)[:, None, None]
    pixels = batch.image.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    intrinsics = batch.geometry.intrinsics + F.pad(moves.float(), (2, 0))
    geometry = replace(batch.geometry, intrinsics=intrinsics)
    return ObservationBatch(pixels.permute(0, 3, 1, 2), batch.vectors, geometry)
