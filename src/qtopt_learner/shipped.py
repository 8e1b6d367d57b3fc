"""The policies that ship with the package (models/), by the camera that they look through."""

from pathlib import Path

from qtopt_collector.switching import WEIGHTED
from qtopt_policy.share import share_directory

MODELS = {"wrist": "compact_wrist"}
WEIGHTS = "policy.safetensors"


def shipped_policy(camera: str) -> Path | None:
    """Return the weights that ship for a camera of the simulated cell, None where there are none."""
    name = MODELS.get(camera)
    path = None if name is None else share_directory() / "models" / name / WEIGHTS
    return path if path is not None and path.is_file() else None


def weights_for(policy: str, given: Path | None, camera: str) -> Path | None:
    """Return the weights given; else, for policies and plans that need some, those that ship."""
    return shipped_policy(camera) if given is None and policy in WEIGHTED else given
