"""A Bellman updater: a process that makes labels beside the learner, one of M (QT-Opt, section 4.3).

It maps the learner's replays, follows the targets that the learner publishes, and writes labels straight
into the mapped columns, each updater those rows that are its own. It holds nothing that is not on disk, so
it may be killed and started again at any moment: labels only grow older meanwhile. How many it has made it
leaves in a file, for the learner's curves.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from qtopt_learner.labels import LabelConfig, Labeller
from qtopt_learner.replay import Replay
from qtopt_learner.run_state import below
from qtopt_learner.sweep import Sweep
from qtopt_learner.targets import TargetNetworks
from qtopt_policy.errors import CheckpointError
from qtopt_policy.networks.base import QNetwork

TARGETS_FILE = "targets.safetensors"
# One file for each updater of a run: labels that it has made in all its lives, as 8 bytes, low end first.
COUNTS_FOLDER, COUNT_SUFFIX = "updaters", ".count"
# Wait for the learner's first targets, and between looks into a replay that is empty [s].
PAUSE = 0.2


def publish_targets(path: Path, targets: TargetNetworks) -> None:
    """Write both targets for the updaters; the file holds the old ones or the new ones."""
    tensors = {f"first.{name}": value for name, value in targets.first.state_dict().items()}
    tensors |= {f"second.{name}": value for name, value in targets.second.state_dict().items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(plain, temporary, metadata={"step": json.dumps(targets.step)})
    temporary.rename(path)


def count_labels(folder: Path, index: int, made: int) -> None:
    """Add to the labels that updater `index` of the run in `folder` has made."""
    path = folder / COUNTS_FOLDER / f"{index}{COUNT_SUFFIX}"
    path.parent.mkdir(exist_ok=True)
    total = made + (_count(path) if path.exists() else 0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(total.to_bytes(8, "little"))
    temporary.rename(path)


def labels_beside(folder: Path) -> int:
    """Return how many labels the updaters of the run in `folder` have made, all its starts together."""
    return sum(map(_count, (folder / COUNTS_FOLDER).glob(f"*{COUNT_SUFFIX}")))


def _count(path: Path) -> int:
    return int.from_bytes(path.read_bytes(), "little")  # of a file that a power cut left empty: 0


class Follower:
    """The learner's targets as last published.

    Args:
        path: where they are published.
        make: builds a network of their kind.
        device: where they are to judge.

    Attributes:
        step: gradient step of the learner at which they were published; -1 before the first time.
    """

    def __init__(self, path: Path, make: Callable[[], QNetwork], device: torch.device) -> None:
        self._path = path
        self._stamp = (0, 0)
        self.first = make().to(device).eval()
        self.second = make().to(device).eval()
        self.step = -1

    def refresh(self) -> bool:
        """Take over newer targets; return whether there are any at all.

        Raises:
            CheckpointError: the file does not hold targets of this network.
        """
        if not self._path.exists():
            return False
        # Each publication is a new file: two within one tick of the kernel's clock differ by their inodes.
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self._stamp:
            return True
        try:
            with safe_open(self._path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
                self.step = int(json.loads(file.metadata()["step"]))
            self.first.load_state_dict(below(tensors, "first."))
            self.second.load_state_dict(below(tensors, "second."))
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise CheckpointError(f"{self._path}: cannot be used as target networks: {error}") from error
        self._stamp = stamp
        return True


@dataclass(frozen=True)
class UpdaterConfig:
    """What one updater does.

    Attributes:
        index, updaters: its number among how many.
        labels: how labels are made.
        discount: gamma.
        seed: of searches and order.
        device: where it computes.
    """

    index: int
    updaters: int
    labels: LabelConfig
    discount: float
    seed: int = 0
    device: str = "cpu"


class Updater:
    """Makes labels, block by block, in turn for each replay that holds something.

    Args:
        config: what to do.
        targets: to judge with.
        replays: of the learner, mapped.

    Attributes:
        made: labels made.
    """

    def __init__(self, config: UpdaterConfig, targets: Follower, replays: list[Replay]) -> None:
        part = (config.index, config.updaters)
        self._config = config
        self._targets = targets
        self._sweeps = [(replay, Sweep(replay, config.seed, part)) for replay in replays]
        self._labeller = Labeller(targets, config.labels, config.discount, torch.device(config.device))
        self._rng = np.random.default_rng((config.seed, config.index))
        self.made = 0

    def work(self) -> int:
        """Make one block of labels per replay; return how many were made."""
        before = self.made
        if not self._targets.refresh():
            return 0
        for replay, sweep in self._sweeps:
            replay.refresh()
            rows = sweep.next(self._config.labels.block) if len(replay) else np.empty(0, dtype=np.int64)
            if len(rows):
                self._labeller.label(replay, rows, self._targets.step, self._rng)
                # The learner may have put new rows into these places meanwhile: such labels are void.
                replay.refresh()
                replay.void(rows[rows < replay.first])
                self.made += len(rows)
        return self.made - before


def run_updater(updater: Updater, stopped: Callable[[], bool], count: Callable[[int], None]) -> None:
    """Work until `stopped` says so or SIGTERM arrives; `count` is told the labels made, block by block."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    while not (ended or stopped()):
        made = updater.work()
        if made:
            count(made)
        else:
            time.sleep(PAUSE)
