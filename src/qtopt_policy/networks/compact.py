"""An action-aligned Q network for CPUs and small images.

A few convolutions give a feature map. For each candidate the hand after the move is projected through the
camera model into the image, and the map is sampled there bilinearly, so that the network need not learn
the map from actions to pixels. The samples around the present hand, a global feature and the state are
valued once per observation. A point out of view gives zeros and a zero in its place of the mask.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from qtopt_policy.config import from_mapping
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.base import Features, QNetwork, require_grasp, require_image
from qtopt_policy.networks.batch import MIN_DEPTH, Geometry, ObservationBatch
from qtopt_policy.networks.hand import POINTS, hand_points
from qtopt_policy.networks.risk import Output, RiskConfig, RiskName
from qtopt_policy.specs import ActionSpec, ObservationSpec

# Brings metres of a tabletop to the order of 1.
SCALES = {"m": 10.0}
POOLED = 4
QUANTILE_KEYS = ("quantiles", "risk", "risk_parameter")
# Logit of Q before training: most moves lead to nothing. From Q = 0.5 the targets would need thousands of
# steps to come down, since each of their labels is another's target times the discount.
FIRST_LOGIT = -2.0


@dataclass(frozen=True)
class CompactConfig:
    """Sizes of the compact network.

    Attributes:
        width: channels of the convolutions.
        channels: of the feature map that is sampled.
        hidden: units of the first layer.
        hidden2: units of the second layer.
        scalars: 1: the first layer sees the observation's numbers (gripper, height, aperture); 0: they are
            hidden from it, to measure what they are worth.
        quantiles, risk, risk_parameter: see RiskConfig.
    """

    width: int = 32
    channels: int = 24
    hidden: int = 128
    hidden2: int = 64
    scalars: int = 1
    quantiles: int = 0
    risk: RiskName = "neutral"
    risk_parameter: float = 0.0

    def __post_init__(self) -> None:
        if self.scalars not in (0, 1):
            raise ConfigError(f"scalars {self.scalars}: must be 0 or 1")


def _down(inputs: int, outputs: int) -> nn.Sequential:
    # A kernel of 4 with stride 2 and padding 1 keeps cells centred as in camera.resized: u / 2 - 1 / 4.
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU())


def _same(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())


class FeatureMap(nn.Module):
    """Three scales of convolutions, added up at half the image's size."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        width = config.width
        self.fine = nn.Sequential(_down(3, width // 2), _same(width // 2, width))
        self.middle = nn.Sequential(_down(width, width), _same(width, width))
        self.coarse = nn.Sequential(_down(width, width), _same(width, width))
        self.join = nn.Conv2d(width, config.channels, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map (B, channels, H/2, W/2) and the coarsest features (B, width, H/8, W/8)."""
        fine = self.fine(image)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        joined = fine + _twice(middle + _twice(coarse))
        return torch.relu(self.join(joined)), coarse


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Compact(QNetwork):
    """Q from a feature map sampled where the hand would be."""

    _action_scale: Tensor
    _vector_scale: Tensor

    def __init__(
        self, action_spec: ActionSpec, observation_spec: ObservationSpec, config: CompactConfig
    ) -> None:
        super().__init__(action_spec, observation_spec)
        require_grasp(action_spec, "compact")
        size = require_image(observation_spec, "compact")
        if size[0] % 8 or size[1] % 8:
            raise ConfigError(f"network compact takes images whose sides are multiples of 8, found {size}")
        self._config = config
        samples = POINTS * (config.channels + 1)
        state = POOLED * POOLED * config.width + observation_spec.vector_size
        self.maps = FeatureMap(config)
        self.present = nn.Linear(samples + state, config.hidden)
        self.candidate = nn.Linear(samples + action_spec.size, config.hidden, bias=False)
        self.output = Output(RiskConfig(config.quantiles, config.risk, config.risk_parameter))
        last = nn.Linear(config.hidden2, self.output.size)
        nn.init.constant_(last.bias, FIRST_LOGIT)
        self.value = nn.Sequential(nn.ReLU(), nn.Linear(config.hidden, config.hidden2), nn.ReLU(), last)
        scale = torch.from_numpy(0.5 * (action_spec.high - action_spec.low))
        units = [SCALES.get(v.unit, 1.0) for v in observation_spec.vectors for _ in range(v.size)]
        self.register_buffer("_action_scale", scale, persistent=False)
        self.register_buffer("_vector_scale", config.scalars * torch.tensor(units), persistent=False)

    @classmethod
    def build(
        cls, action_spec: ActionSpec, observation_spec: ObservationSpec, config: Mapping[str, object]
    ) -> "Compact":
        """Build the network; the keys of `config` are the fields of CompactConfig."""
        return cls(
            action_spec, observation_spec, from_mapping(dict(config), CompactConfig, "network compact")
        )

    def config(self) -> dict[str, object]:
        """Return the fields of CompactConfig, but those of quantiles and `scalars` only if they are used."""
        found, config = asdict(self._config), self._config
        silent = {*(() if config.quantiles else QUANTILE_KEYS), *(("scalars",) if config.scalars else ())}
        return {key: value for key, value in found.items() if key not in silent}

    def trunk(self, batch: ObservationBatch) -> Features:
        """Return the feature map and the first layer's share of everything but the action."""
        image = batch.image.float().div_(255.0).contiguous(memory_format=torch.channels_last)
        features, coarse = self.maps(image - 0.5)
        still = torch.zeros(len(batch), 1, 3, device=image.device)
        present = self.sample(features, batch, still, still[..., 0]).squeeze(1)
        pooled = F.adaptive_avg_pool2d(coarse, POOLED).flatten(1)
        state = torch.cat([present, pooled, batch.vectors * self._vector_scale], dim=-1)
        return Features(features, self.present(state))

    def head(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Return logits, shape (B, N)."""
        return self.output.logits(self._last_layer(features, batch, actions))

    def raw_quantiles(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Return quantiles in (0, 1), shape (B, N, quantiles)."""
        if not self._config.quantiles:
            return super().raw_quantiles(features, batch, actions)
        return self._last_layer(features, batch, actions).float().sigmoid()

    def _last_layer(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        translation = actions[..., :3] @ batch.geometry.hand_from_action.transpose(1, 2)
        samples = self.sample(features.map, batch, translation, actions[..., 3])
        moves = torch.cat([translation, actions[..., 3:4]], dim=-1) / self._action_scale
        candidate = self.candidate(torch.cat([samples, moves, actions[..., 4:]], dim=-1))
        raw: Tensor = self.value(candidate + features.summary.unsqueeze(1))
        return raw

    def sample(self, features: Tensor, batch: ObservationBatch, translation: Tensor, yaw: Tensor) -> Tensor:
        """Sample the feature map around hands that have moved.

        Returns:
            For each of (B, N) the samples at all points, zero out of view, then the mask of points in view;
            shape (B, N, POINTS * (channels + 1)).
        """
        height, width = batch.image.shape[-2:]
        pixels, visible = visible_pixels(batch.geometry, translation, yaw, height, width)
        # Pixel centres at whole numbers to grid_sample's -1 .. 1 between the outer edges of the image.
        u, v = pixels.unbind(-1)
        grid = torch.stack([(2.0 * u + 1.0) / width - 1.0, (2.0 * v + 1.0) / height - 1.0], dim=-1)
        grid = grid.clamp(-2.0, 2.0)
        sampled = F.grid_sample(features, grid, padding_mode="border", align_corners=False)
        mask = visible.to(sampled.dtype)
        shown = (sampled * mask.unsqueeze(1)).permute(0, 2, 3, 1).flatten(2)
        return torch.cat([shown, mask], dim=-1)


def visible_pixels(
    geometry: Geometry, translation: Tensor, yaw: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Return pixels (B, N, POINTS, 2) of the hand's points and whether they are in view (B, N, POINTS)."""
    pixels, depth = geometry.project(hand_points(geometry, translation, yaw))
    u, v = pixels.unbind(-1)
    inside = (u >= -0.5) & (u <= width - 0.5) & (v >= -0.5) & (v <= height - 0.5)
    return pixels, inside & (depth > MIN_DEPTH)
