"""The split that every Q network has: the trunk once per observation, the head once per candidate."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.specs import ActionSpec, ObservationSpec


@dataclass(frozen=True, eq=False)
class Features:
    """What the trunk makes of B observations.

    Attributes:
        map: feature map, shape (B, C, rows, columns).
        summary: one vector per observation, shape (B, F); F may be 0.
    """

    map: Tensor
    summary: Tensor


@dataclass(frozen=True)
class NoConfig:
    """The parameters of a network that has none."""


class QNetwork(nn.Module, ABC):
    """Q(observation, action) in (0, 1); returned as logits, Q = sigmoid(logit).

    Attributes:
        action_spec: of the search vectors that it takes; bounds as trained.
        observation_spec: of the observations that it takes.
    """

    def __init__(self, action_spec: ActionSpec, observation_spec: ObservationSpec) -> None:
        super().__init__()
        self.action_spec = action_spec
        self.observation_spec = observation_spec

    @classmethod
    @abstractmethod
    def build(
        cls, action_spec: ActionSpec, observation_spec: ObservationSpec, config: Mapping[str, object]
    ) -> "QNetwork":
        """Build the network with the parameters of `config`; unknown keys are refused by name."""

    @abstractmethod
    def config(self) -> dict[str, object]:
        """Return the mapping from which `build` makes the same network, in JSON types."""

    @abstractmethod
    def trunk(self, batch: ObservationBatch) -> Features:
        """Look at B observations; nothing here depends on the action."""

    @abstractmethod
    def head(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Value N candidates per observation.

        Args:
            features: of `trunk` for the same batch.
            batch: B observations.
            actions: search vectors, shape (B, N, action_spec.size).

        Returns:
            Logits, shape (B, N).
        """

    def raw_quantiles(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Return N actions' quantiles of the return in (0, 1), not sorted, shape (B, N, quantiles).

        Raises:
            ConfigError: the network gives Q only.
        """
        raise ConfigError(f"{type(self).__name__} gives Q, not quantiles: set its parameter 'quantiles'")

    def forward(self, batch: ObservationBatch, actions: Tensor) -> Tensor:
        """Return the logits of N actions per observation, shape (B, N)."""
        return self.head(self.trunk(batch), batch, actions)


def vector_slice(spec: ObservationSpec, name: str, network: str) -> slice:
    """Return where the vector `name` lies in ObservationBatch.vectors.

    Raises:
        ConfigError: the observation lacks it.
    """
    start = 0
    for field in spec.vectors:
        if field.name == name:
            return slice(start, start + field.size)
        start += field.size
    names = ", ".join(field.name for field in spec.vectors) or "none"
    raise ConfigError(f"network {network} needs the observation '{name}'; this one has: {names}")


def require_image(spec: ObservationSpec, network: str) -> tuple[int, int]:
    """Return height and width of the image.

    Raises:
        ConfigError: the observation has no RGB image.
    """
    if spec.image is None or spec.image[2] != 3:
        raise ConfigError(f"network {network} needs an RGB image; the observation has {spec.image}")
    return spec.image[:2]


def require_grasp(spec: ActionSpec, network: str) -> None:
    """Check that actions are grasp actions in search form (grasp_action.py).

    Raises:
        ConfigError: they are not.
    """
    found = (*(dim.name for dim in spec.continuous), *spec.choices)
    expected = ("dx", "dy", "dz", "yaw", "move", "close", "open", "terminate")
    if found != expected:
        raise ConfigError(f"network {network} takes the action {expected}, found {found}")
