"""The files of config/moveit, which MoveIt's parameters of this package come from (no ROS)."""

from pathlib import Path
from typing import Any

import yaml

from qtopt_policy.errors import ConfigError
from qtopt_policy.share import share_directory

Parameters = dict[str, Any]

FOLDER = "config/moveit"
PIPELINES = ("ompl", "pilz_industrial_motion_planner")


def moveit_file(name: str) -> Path:
    """Return the path of a file in config/moveit."""
    return share_directory() / FOLDER / name


def load_yaml(path: Path) -> Parameters:
    """Read a YAML mapping; ConfigError if the file is missing or is something else."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping, found {type(data).__name__}")
    return data
