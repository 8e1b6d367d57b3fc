"""What the ranks other than 0 do: gradient steps on the replays of rank 0's run, and nothing else."""

from dataclasses import replace

import numpy as np
import torch

from qtopt_learner.ranks import Ranks
from qtopt_learner.run import STATE_FOLDER
from qtopt_learner.run_config import RunConfig
from qtopt_learner.run_state import latest_state, load_state
from qtopt_learner.task import Task
from qtopt_learner.trainer import Experience, Trainer
from qtopt_policy.errors import ConfigError


def of_several(config: RunConfig, ranks: Ranks) -> RunConfig:
    """Return what this rank of several is told: a device of its own.

    Raises:
        ConfigError: the run is one that only a single process can do.
    """
    train = config.train
    if train.deterministic or config.updaters or train.labels.cached:
        raise ConfigError(
            f"{ranks.count} ranks, deterministic {train.deterministic}, {config.updaters} updaters, labels "
            f"of kind {train.labels.kind}, fresh {train.labels.fresh}: several ranks need labels that are "
            "made for each batch (train.labels.fresh, or kind outcome), no updaters and no deterministic"
        )
    return replace(config, train=replace(train, device=ranks.device(train.device)))


def follow(config: RunConfig, ranks: Ranks) -> None:
    """Train beside rank 0 to the run's last step.

    Raises:
        CheckpointError: the run's state cannot be read.
        RanksError: the weights of the ranks have come apart.
    """
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    ranks.wait_for_first()  # it opens the run: replays, offline data, state
    task = Task(config)
    experience = Experience(task.replay("offline"), task.replay("online"))
    trainer = Trainer(task.network, config.train, experience, task.mdp.discount, ranks)
    state = latest_state(config.out / STATE_FOLDER)
    if state is not None:
        load_state(state, trainer)
    # Batches of its own, also after a resume: the state holds rank 0's sources of chance.
    trainer.rng = np.random.default_rng((config.train.seed, ranks.rank, trainer.step))
    trainer.generator.manual_seed(int(trainer.rng.integers(2**62)))
    while trainer.step < config.train.steps:
        trainer.advance()
        if trainer.step % config.online.intake_every == 0:
            ranks.wait_for_first()
            for replay in experience.replays().values():
                replay.refresh()
        if trainer.step % config.train.checkpoint_every == 0:
            ranks.require_same(trainer.network)
