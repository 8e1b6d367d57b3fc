"""The network of QT-Opt (1806.10293, appendix E), exact: 1,242,817 parameters.

Source: Grasping44E2EOpenCloseTerminateGripperStatusHeightToBottom in google-research/tensor2robot,
research/qtopt/networks.py, with num_convs (6, 6, 3), hid_layers 2. Where TensorFlow and PyTorch differ:
SAME pooling pads only where needed (ceil_mode, or padding 1 for 79 -> 27), a decay of 0.9997 is a momentum
of 0.0003, epsilon is 0.001, and the two stand-alone batch norms have an offset but no scale.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qtopt_policy.config import from_mapping
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.base import (
    Features,
    NoConfig,
    QNetwork,
    require_grasp,
    require_image,
    vector_slice,
)
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.specs import ActionSpec, ObservationSpec

IMAGE_SIZE = (472, 472)
WIDTH = 64
# Blocks of the action and the state: each has its own linear layer, and the layers' outputs are added.
BLOCKS = (
    ("world_vector", 3),
    ("vertical_rotation", 2),
    ("close_gripper", 1),
    ("open_gripper", 1),
    ("terminate_episode", 1),
    ("gripper_closed", 1),
    ("height_to_bottom", 1),
)
EMBEDDING = 256


class OffsetNorm(nn.Module):
    """Batch norm with an offset and no scale (slim.batch_norm with scale=False), then ReLU."""

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm
        self.offset = nn.Parameter(torch.zeros(norm.num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over all axes but 1."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return torch.relu(self.norm(x) + self.offset.view(shape))


def _norm2d(affine: bool = True) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(WIDTH, eps=1e-3, momentum=3e-4, affine=affine)


def _norm1d(width: int, affine: bool = True) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(width, eps=1e-3, momentum=3e-4, affine=affine)


def _conv(kernel: int, padding: int) -> nn.Sequential:
    conv = nn.Conv2d(WIDTH, WIDTH, kernel, padding=padding, bias=False)
    return nn.Sequential(conv, _norm2d(), nn.ReLU())


def _fully_connected(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, WIDTH, bias=False), _norm1d(WIDTH), nn.ReLU())


class Grasping44(QNetwork):
    """Image and two scalars in, Q out; needs no calibration."""

    def __init__(self, action_spec: ActionSpec, observation_spec: ObservationSpec) -> None:
        super().__init__(action_spec, observation_spec)
        require_grasp(action_spec, "grasping44")
        size = require_image(observation_spec, "grasping44")
        if size != IMAGE_SIZE:
            raise ConfigError(f"network grasping44 takes images of 472 x 472 pixels, found {size}")
        self._scalars = [vector_slice(observation_spec, name, "grasping44") for name, _ in BLOCKS[5:]]
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, 6, stride=2, padding=2), OffsetNorm(_norm2d(False)))
        self.pool1 = nn.MaxPool2d(3, 3, ceil_mode=True)
        self.convs1 = nn.Sequential(*(_conv(5, 2) for _ in range(6)))
        self.pool2 = nn.MaxPool2d(3, 3, padding=1)
        self.blocks = nn.ModuleDict({name: nn.Linear(size, EMBEDDING) for name, size in BLOCKS})
        self.embedding = nn.Sequential(OffsetNorm(_norm1d(EMBEDDING, False)), _fully_connected(EMBEDDING))
        self.convs2 = nn.Sequential(*(_conv(3, 1) for _ in range(6)))
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.convs3 = nn.Sequential(*(_conv(3, 0) for _ in range(3)))
        self.hidden = nn.Sequential(_fully_connected(8 * 8 * WIDTH), _fully_connected(WIDTH))
        self.output = nn.Linear(WIDTH, 1)
        self.apply(_initialise)

    @classmethod
    def build(
        cls, action_spec: ActionSpec, observation_spec: ObservationSpec, config: Mapping[str, object]
    ) -> "Grasping44":
        """Build the network; it takes no parameters."""
        from_mapping(dict(config), NoConfig, "network grasping44")
        return cls(action_spec, observation_spec)

    def config(self) -> dict[str, object]:
        """Return the empty mapping."""
        return {}

    def trunk(self, batch: ObservationBatch) -> Features:
        """Return the map after the second pooling, shape (B, 64, 27, 27)."""
        image = batch.image.float().div_(255.0).contiguous(memory_format=torch.channels_last)
        features = self.pool2(self.convs1(self.pool1(self.stem(image))))
        return Features(features, features.new_empty((len(batch), 0)))

    def inputs(self, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Return the action as the paper's network takes it, beside the state, shape (B, N, 10).

        dx dy dz, sin and cos of the yaw, close, open, terminate, gripper_closed, height_to_bottom.
        """
        yaw = actions[..., 3:4]
        scalars = torch.cat([batch.vectors[:, part] for part in self._scalars], dim=-1)
        state = scalars.unsqueeze(1).expand(-1, actions.shape[1], -1)
        return torch.cat([actions[..., :3], yaw.sin(), yaw.cos(), actions[..., 5:8], state], dim=-1)

    def head(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Return logits, shape (B, N): the image's map is repeated per candidate, not the image."""
        count, candidates = actions.shape[:2]
        blocks = torch.split(self.inputs(batch, actions).flatten(0, 1), [size for _, size in BLOCKS], dim=-1)
        total = sum(layer(block) for layer, block in zip(self.blocks.values(), blocks, strict=True))
        embedding = self.embedding(total).view(count, candidates, WIDTH, 1, 1)
        joined = (features.map.unsqueeze(1) + embedding).flatten(0, 1)
        joined = joined.contiguous(memory_format=torch.channels_last)
        maps = self.convs3(self.pool3(self.convs2(joined)))
        logits: Tensor = self.output(self.hidden(maps.flatten(1)))
        return logits.view(count, candidates)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
