"""Weights of a network for an environment, with what is needed to use them, in one safetensors file."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from qtopt_policy.config import from_mapping, to_mapping
from qtopt_policy.errors import CheckpointError, ConfigError
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.registry import make_network, network_name
from qtopt_policy.specs import ActionSpec, ObservationSpec

KEY = "qtopt_env"


def save_weights(path: Path, network: QNetwork, env: str, steps: int) -> None:
    """Write weights; the file holds the old ones or the new ones, whenever the process dies."""
    info = {
        "env": env,
        "steps": steps,
        "network": network_name(network),
        "network_config": network.config(),
        "action_spec": to_mapping(network.action_spec),
        "observation_spec": to_mapping(network.observation_spec),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, temporary, metadata={KEY: json.dumps(info)})
    temporary.rename(path)


def load_weights(path: Path) -> tuple[QNetwork, dict[str, Any]]:
    """Return the network, in eval mode, and what is said of it.

    Raises:
        CheckpointError: the file is missing, torn, or holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            info: dict[str, Any] = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        specs = (
            from_mapping(info["action_spec"], ActionSpec, str(path)),
            from_mapping(info["observation_spec"], ObservationSpec, str(path)),
        )
        network = make_network(info["network"], *specs, info["network_config"])
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError, ConfigError) as error:
        raise CheckpointError(f"{path}: cannot be read as weights for an environment: {error!r}") from error
    return network.eval(), info
