"""Everything that a training run needs to go on, in one file that appears whole or not at all.

Weights, both targets with the past of target 1, the optimiser, all sources of chance, the labels with their
dates and the order of labelling. A run with `deterministic` set resumes to the bit. What does not fit the run
is refused; nothing is ever replaced by fresh weights.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from qtopt_learner.replay import Replay
from qtopt_learner.train_config import TrainConfig, without_idle
from qtopt_learner.trainer import Trainer
from qtopt_policy.config import from_mapping, to_mapping
from qtopt_policy.errors import CheckpointError, ConfigError

SUFFIX = ".state.safetensors"
KEPT = 2
# Parameters that may change when a run goes on; all others must be as they were.
FREE = ("steps", "log_every", "checkpoint_every", "threads", "device")
# Where the bits must stay the same: steps shape the learning rate and the targets, the others round sums.
FREE_DETERMINISTIC = ("log_every", "checkpoint_every")

Tensors = dict[str, Tensor]


def state_path(folder: Path, step: int) -> Path:
    """Return the path of the state at a gradient step."""
    return folder / f"step-{step:09d}{SUFFIX}"


def latest_state(folder: Path) -> Path | None:
    """Return the newest state in a folder, None if there is none."""
    return max(folder.glob(f"step-*{SUFFIX}"), default=None)


def save_state(folder: Path, trainer: Trainer) -> Path:
    """Write the state of a run; keep the one before and delete older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    path = state_path(folder, trainer.step)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    tensors = {name: value.detach().cpu().contiguous() for name, value in _tensors(trainer).items()}
    save_file(tensors, temporary, metadata={"state": json.dumps(_scalars(trainer))})
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.rename(path)
    for old in sorted(folder.glob(f"step-*{SUFFIX}"))[:-KEPT]:
        old.unlink()
    return path


def _tensors(trainer: Trainer) -> Tensors:
    tensors = {f"network.{name}": value for name, value in trainer.network.state_dict().items()}
    tensors |= {f"targets.{name}": value for name, value in trainer.targets.state_dict().items()}
    for index, state in trainer.optimiser.state_dict()["state"].items():
        present = {key: value for key, value in state.items() if value is not None}
        tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(v) for key, v in present.items()}
    for name, replay in trainer.experience.replays().items():
        labels = replay.label_state()
        tensors |= {f"labels.{name}.{key}": torch.from_numpy(v) for key, v in labels.items()}
    return tensors | {"generator": trainer.generator.get_state()}


def _scalars(trainer: Trainer) -> dict[str, Any]:
    replays = trainer.experience.replays()
    return {
        "config": to_mapping(trainer.config),
        "step": trainer.step,
        "labels_made": trainer.labels_made,
        "labels_due": trainer.labels_due,
        "rng": trainer.rng.bit_generator.state,
        "sweeps": {name: [int(x) for x in sweep.state()] for name, sweep in trainer.sweeps.items()},
        "replays": {name: _identity(replay, len(replay.sources)) for name, replay in replays.items()},
    }


def _identity(replay: Replay, sources: int) -> dict[str, Any]:
    """Return what tells whether the rows of a replay are those that labels were made for."""
    names = "\n".join(replay.sources[:sources])
    digest = hashlib.sha256(names.encode()).hexdigest()
    return {"first": replay.first, "end": replay.end, "sources": sources, "digest": digest}


def find_begun(states: Path, config: TrainConfig) -> bool:
    """Return whether there is a state to go on from; reads its description alone, writes nothing.

    Raises:
        CheckpointError: the newest state is torn, or of another configuration.
    """
    path = latest_state(states)
    if path is not None:
        _check_config(path, _read(path, weights=False)[1]["config"], config)
    return path is not None


def lost_state(states: Path, weights: Path) -> CheckpointError:
    """Return the error of a run that would put fresh weights in the place of trained ones."""
    return CheckpointError(
        f"{states}: no state to go on from, but {weights} has been trained, and fresh weights would replace "
        "it: restore that folder, or take another --out"
    )


def load_state(path: Path, trainer: Trainer) -> None:
    """Bring a fresh trainer of the same config and data to where the state was saved.

    Labels are taken over if the replay begins with the same sources in the same order; if it was filled
    anew in another order they are made again, except in a deterministic run, which is refused.

    Raises:
        CheckpointError: the file is torn, or belongs to another configuration, network or replay.
    """
    tensors, scalars = _read(path, weights=True)
    _check_config(path, scalars["config"], trainer.config)
    try:
        trainer.network.load_state_dict(below(tensors, "network."))
        trainer.targets.load_state_dict(below(tensors, "targets."))
        _load_optimiser(below(tensors, "optimiser."), trainer.optimiser)
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(f"{path}: does not fit the network: {error}") from error
    for name, replay in trainer.experience.replays().items():
        if _same_rows(path, name, replay, scalars["replays"][name], trainer.config.deterministic):
            labels = {key: value.numpy() for key, value in below(tensors, f"labels.{name}.").items()}
            replay.load_label_state(labels, scalars["replays"][name]["first"])
            trainer.sweeps[name].load(tuple(scalars["sweeps"][name]))
    trainer.generator.set_state(tensors["generator"])
    trainer.rng.bit_generator.state = scalars["rng"]
    trainer.step, trainer.labels_made = scalars["step"], scalars["labels_made"]
    trainer.labels_due = scalars["labels_due"]


def _read(path: Path, weights: bool) -> tuple[Tensors, dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()} if weights else {}  # noqa: SIM118
            return tensors, json.loads(file.metadata()["state"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as the state of a run: {error}") from error


def below(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors whose name starts with `prefix`, without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _check_config(path: Path, saved: dict[str, Any], config: TrainConfig) -> None:
    present, free = to_mapping(config), FREE_DETERMINISTIC if config.deterministic else FREE
    try:
        # A parameter that did not exist yet had what is now its default.
        saved = to_mapping(from_mapping(without_idle(saved), TrainConfig, str(path)))
    except ConfigError as error:
        raise CheckpointError(f"{path}: of another version: {error}") from error
    for key in sorted((saved.keys() | present.keys()) - set(free)):
        if saved.get(key) != present.get(key):
            raise CheckpointError(
                f"{path}: '{key}' was {saved.get(key)}, this run has {present.get(key)}. "
                f"Only these may change: {', '.join(free)}"
            )


def _load_optimiser(tensors: Tensors, optimiser: torch.optim.Optimizer) -> None:
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        like = parameters[int(index)]
        # The same order in memory as the weights, or sums would round differently.
        restored = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        state.setdefault(int(index), {})[key] = restored
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _same_rows(path: Path, name: str, replay: Replay, saved: dict[str, Any], strict: bool) -> bool:
    found = _identity(replay, saved["sources"])
    same = bool(found["digest"] == saved["digest"] and replay.end >= saved["end"])
    if strict and not same:
        raise CheckpointError(
            f"{path}: the {name} replay had {saved['end']} rows of {saved['sources']} sources; "
            f"now it has {replay.end} rows, and the sources or their order differ"
        )
    return same
