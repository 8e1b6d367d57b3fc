"""Recipes: settings that belong together, in a file, in place of a dozen flags (config/recipes/).

A recipe becomes the flags that it stands for, before those of the command line, which therefore win.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from qtopt_learner.run_config import OnlineConfig
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.config import load_config
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.share import resolve, share_directory

FLAG = "--recipe"
FOLDER = Path("config/recipes")


@dataclass(frozen=True)
class Recipe:
    """How to learn; not from what, nor where to: what a file of FOLDER may hold."""

    train: TrainConfig = field(default_factory=TrainConfig)
    online: OnlineConfig = field(default_factory=OnlineConfig)


def expand(words: list[str]) -> list[str]:
    """Return the words of a command line, subcommand first, with a recipe replaced by its flags.

    Raises:
        UnknownNameError: there is no such recipe.
        ConfigError: it holds what is no setting, or none of this subcommand; the message names file and key.
    """
    parser = argparse.ArgumentParser(prog="qtopt", add_help=False, allow_abbrev=False)
    parser.add_argument(FLAG)
    found, rest = parser.parse_known_args(words)
    if found.recipe is None:
        return words
    path = find_recipe(found.recipe)
    flags = recipe_flags(path)
    if words[:1] == ["cycle"] and any(flag.startswith("--online.") for flag in flags):
        raise ConfigError(f"{path}: 'online' is for `qtopt train`: a cycle collects between its trainings")
    return [*rest[:1], *flags, *rest[1:]]


def find_recipe(name: str) -> Path:
    """Return the file of a recipe given by its path, or by its name in FOLDER."""
    path = Path(name)
    if path.is_file():
        return path
    known = sorted(file.stem for file in (share_directory() / FOLDER).glob("*.yaml"))
    if name not in known:
        raise UnknownNameError(FLAG, name, (*known, "a YAML file"))
    return resolve(FOLDER / f"{name}.yaml")


def recipe_flags(path: Path) -> list[str]:
    """Return what a recipe's file says as flags; errors as `load_config`."""
    load_config(path, Recipe)
    return list(_flags(yaml.safe_load(path.read_text()), ""))


def _flags(values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, value in values.items():
        name = f"{prefix}{key.replace('_', '-')}"
        if key == "network_config":
            yield from (f"--{name}", *(str(word) for pair in value.items() for word in pair))
        elif isinstance(value, Mapping):
            yield from _flags(value, f"{name}.")
        elif isinstance(value, bool):
            yield f"--{name}" if value else f"--{prefix}no-{key.replace('_', '-')}"
        elif isinstance(value, list):
            yield from (f"--{name}", *map(str, value))
        else:
            yield from (f"--{name}", str(value))
