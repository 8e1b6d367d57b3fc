"""Q networks by name."""

from collections.abc import Mapping

from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.compact import Compact
from qtopt_policy.networks.generic import ImageNetwork, VectorNetwork
from qtopt_policy.networks.grasping44 import Grasping44
from qtopt_policy.specs import ActionSpec, ObservationSpec

NETWORKS: dict[str, type[QNetwork]] = {
    "compact": Compact,
    "grasping44": Grasping44,
    "image": ImageNetwork,
    "vector": VectorNetwork,
}


def make_network(
    name: str,
    action_spec: ActionSpec,
    observation_spec: ObservationSpec,
    config: Mapping[str, object] | None = None,
) -> QNetwork:
    """Build a Q network with fresh weights; seed torch before for reproducible ones.

    Args:
        name: `compact` or `grasping44` for grasping, `image` or `vector` for any task.
        action_spec: of the search vectors; its bounds are the network's scale.
        observation_spec: image size and the scalars beside it.
        config: parameters of the network, e.g. the fields of CompactConfig.

    Raises:
        UnknownNameError: there is no such network.
        UnknownKeyError: `config` holds a key that the network does not take.
        ConfigError: the network cannot take these specs.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name].build(action_spec, observation_spec, config or {})


def network_name(network: QNetwork) -> str:
    """Return the name under which a network is registered.

    Raises:
        ConfigError: it is not.
    """
    for name, kind in NETWORKS.items():
        if type(network) is kind:
            return name
    raise ConfigError(f"{type(network).__name__} is not a registered network: {', '.join(NETWORKS)}")
