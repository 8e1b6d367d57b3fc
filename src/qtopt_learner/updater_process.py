"""A Bellman updater of a run as a process: everything it needs is in the run's folder."""

from collections.abc import Callable
from functools import partial

import torch

from qtopt_learner.crew import Work
from qtopt_learner.run_config import RunConfig
from qtopt_learner.task import REPLAYS, Task
from qtopt_learner.updater import TARGETS_FILE, Follower, Updater, UpdaterConfig, count_labels, run_updater


def work_as_updater(config: RunConfig, index: int, stopped: Callable[[], bool]) -> bool:
    """Make labels for a run until told to stop; return False: there are always more to make."""
    torch.set_num_threads(1)
    task, train = Task(config), config.train
    updater = UpdaterConfig(index, config.updaters, train.labels, task.mdp.discount, train.seed, train.device)
    follower = Follower(config.out / TARGETS_FILE, task.network, torch.device(train.device))
    replays = [task.replay(name) for name in REPLAYS]
    run_updater(Updater(updater, follower, replays), stopped, partial(count_labels, config.out, index))
    return False


def updater_crew(config: RunConfig) -> dict[str, Work]:
    """Return the updaters of a run."""
    return {f"updater {i}": partial(work_as_updater, config, i) for i in range(config.updaters)}
