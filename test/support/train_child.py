"""A small deterministic training run as a process of its own, to be killed at any moment."""

import sys
from pathlib import Path

import numpy as np

from qtopt_learner.augment import AugmentConfig
from qtopt_learner.labels import LabelConfig
from qtopt_learner.replay import Replay
from qtopt_learner.run import Run
from qtopt_learner.targets import TargetConfig
from qtopt_learner.train_config import OptimiserConfig, TrainConfig
from qtopt_learner.trainer import Experience, Trainer
from support.tiny_mdp import LAYOUT, concatenate, table, walk

CONFIG = TrainConfig(
    steps=400,
    batch=32,
    first_labels=64,
    labels=LabelConfig(fresh=False, ratio=0.7, block=20, age_limit=300),
    targets=TargetConfig(decay=0.9, lag=15, snapshots=3),
    optimiser=OptimiserConfig(learning_rate=0.02, final_share=0.1),
    augment=AugmentConfig(),
    log_every=10,
    checkpoint_every=7,
    threads=1,
    deterministic=True,
)


def experience(folder: Path | None = None) -> Experience:
    rng = np.random.default_rng(0)
    replays = []
    for name, count in (("offline", 60), ("online", 300)):
        replay = Replay(LAYOUT, 5000, None if folder is None else folder / "replay" / name)
        rows = concatenate([walk(rng, 0.9) for _ in range(count)])
        if not replay.sources:
            replay.append(rows, "walks")
        replays.append(replay)
    return Experience(*replays)


def make_trainer(folder: Path | None = None) -> Trainer:
    return Trainer(lambda: table(normalise=True), CONFIG, experience(folder), 0.9)


def main(folder: str) -> None:
    Run(Path(folder), make_trainer(Path(folder))).go()


if __name__ == "__main__":
    main(sys.argv[1])
