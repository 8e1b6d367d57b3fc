"""Q networks for any task: `vector` for states of numbers, `image` for an image with or without numbers.

They know nothing of hands and cameras, unlike `compact`. The action joins the state in the first layer of the
head, so that a candidate costs little; layer norms keep Q from running away (no statistics of the batch, so
targets need none of their own).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from qtopt_policy.config import from_mapping
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.base import Features, QNetwork
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.networks.risk import Output, RiskConfig, RiskName
from qtopt_policy.specs import ActionSpec, ObservationSpec

# Convolutions halve the image until its shorter side is at most this [px].
COARSEST = 8
FIRST_LOGIT = -2.0  # as in compact.py: most actions lead to little


@dataclass(frozen=True)
class GenericConfig:
    """Sizes of the generic networks.

    Attributes:
        hidden: units of each layer.
        width: channels of the convolutions (`image` only).
        quantiles, risk, risk_parameter: see RiskConfig.
    """

    hidden: int = 128
    width: int = 16
    quantiles: int = 0
    risk: RiskName = "neutral"
    risk_parameter: float = 0.0

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.width < 1:
            raise ConfigError(f"hidden {self.hidden}, width {self.width}: must be at least 1")


class ActionHead(nn.Module):
    """Values actions from a summary of the state."""

    _centre: Tensor
    _reach: Tensor

    def __init__(self, action_spec: ActionSpec, config: GenericConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.output = Output(RiskConfig(config.quantiles, config.risk, config.risk_parameter))
        self.action = nn.Linear(action_spec.size, hidden, bias=False)
        last = nn.Linear(hidden, self.output.size)
        nn.init.constant_(last.bias, FIRST_LOGIT)
        self.value = nn.Sequential(
            nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(), last
        )
        low, high, named = action_spec.low, action_spec.high, len(action_spec.choices)
        centre = torch.cat([torch.from_numpy((low + high) / 2), torch.zeros(named)])
        half = torch.cat([torch.from_numpy((high - low) / 2), torch.ones(named)])
        self.register_buffer("_centre", centre, persistent=False)
        self.register_buffer("_reach", half, persistent=False)

    def forward(self, summary: Tensor, actions: Tensor) -> Tensor:
        """Return the numbers of the last layer, shape (B, N, size), of summaries (B, hidden)."""
        candidate = self.action((actions - self._centre) / self._reach)
        raw: Tensor = self.value(summary.unsqueeze(1) + candidate)
        return raw


class GenericNetwork(QNetwork):
    """What both networks share: everything but the trunk."""

    NAME: str

    def __init__(
        self, action_spec: ActionSpec, observation_spec: ObservationSpec, config: GenericConfig
    ) -> None:
        super().__init__(action_spec, observation_spec)
        self._config = config
        self.actions = ActionHead(action_spec, config)

    @classmethod
    def build(
        cls, action_spec: ActionSpec, observation_spec: ObservationSpec, config: Mapping[str, object]
    ) -> "GenericNetwork":
        """Build the network; the keys of `config` are the fields of GenericConfig."""
        return cls(
            action_spec, observation_spec, from_mapping(dict(config), GenericConfig, f"network {cls.NAME}")
        )

    def config(self) -> dict[str, object]:
        """Return the fields of GenericConfig."""
        return asdict(self._config)

    def head(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Return logits, shape (B, N)."""
        return self.actions.output.logits(self.actions(features.summary, actions))

    def raw_quantiles(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Return quantiles in (0, 1), shape (B, N, quantiles)."""
        if not self._config.quantiles:
            return super().raw_quantiles(features, batch, actions)
        raw: Tensor = self.actions(features.summary, actions)
        return raw.float().sigmoid()


class VectorNetwork(GenericNetwork):
    """Q of a state of numbers, which should be of the order of 1."""

    NAME = "vector"

    def __init__(
        self, action_spec: ActionSpec, observation_spec: ObservationSpec, config: GenericConfig
    ) -> None:
        if observation_spec.image is not None:
            raise ConfigError(f"network vector takes no image; the observation has {observation_spec.image}")
        super().__init__(action_spec, observation_spec, config)
        hidden = config.hidden
        first = nn.Linear(observation_spec.vector_size, hidden)
        self.state = nn.Sequential(first, nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, hidden))

    def trunk(self, batch: ObservationBatch) -> Features:
        """Return the summary of the state."""
        return Features(batch.vectors.new_empty((len(batch), 0)), self.state(batch.vectors))


class ImageNetwork(GenericNetwork):
    """Q of an image with any number of channels, and of numbers beside it."""

    NAME = "image"

    def __init__(
        self, action_spec: ActionSpec, observation_spec: ObservationSpec, config: GenericConfig
    ) -> None:
        if observation_spec.image is None:
            raise ConfigError("network image needs an image; the observation has none")
        super().__init__(action_spec, observation_spec, config)
        height, width, channels = observation_spec.image
        layers: list[nn.Module] = []
        while min(height, width) > COARSEST:
            layers += [nn.Conv2d(channels, config.width, 4, stride=2, padding=1), nn.ReLU()]
            height, width, channels = height // 2, width // 2, config.width
        layers += [nn.Conv2d(channels, config.width, 3, padding=1), nn.ReLU(), nn.Flatten()]
        self.maps = nn.Sequential(*layers)
        inputs = config.width * height * width + observation_spec.vector_size
        hidden = config.hidden
        self.state = nn.Sequential(
            nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, hidden)
        )

    def trunk(self, batch: ObservationBatch) -> Features:
        """Return the summary of image and numbers."""
        image = batch.image.float().div_(255.0).contiguous(memory_format=torch.channels_last)
        seen = self.maps(image - 0.5)
        return Features(seen.new_empty((len(batch), 0)), self.state(torch.cat([seen, batch.vectors], dim=-1)))
