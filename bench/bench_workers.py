"""What the workers of a run get done alone: episodes/s against actors, Bellman labels/s against updaters.

Actors play train scenes with the policy that ships; updaters label those episodes, copied until there are
enough, in a replay on disk that all of them map. A process each, of one thread; all are ready before the
clock starts. More workers than cores only share them.

    python bench/bench_workers.py --workers 1 2 4
"""

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from qtopt_learner.actor import Actor, ActorConfig
from qtopt_learner.intake import Intake
from qtopt_learner.run_config import RunConfig
from qtopt_learner.shipped import shipped_policy
from qtopt_learner.spawning import one_thread
from qtopt_learner.targets import TargetNetworks
from qtopt_learner.task import REPLAYS, Task
from qtopt_learner.train_config import TrainConfig
from qtopt_learner.updater import TARGETS_FILE, Follower, Updater, UpdaterConfig, publish_targets

CAMERA = "wrist"
EPISODES = "episodes"  # the actors' store in a folder
START = 120.0  # [s] for all workers to be ready; who dies before then ends the bench
ENOUGH = 8  # blocks of labels per updater, so that each finds whole blocks among its own rows


@dataclass(frozen=True)
class Worker:
    """One of `workers` processes of a kind, all at home in one folder."""

    folder: Path
    index: int
    workers: int


# Prepares a worker and returns what it does again and again: one call is `count` pieces of work.
Prepare = Callable[[Worker], Callable[[], int]]


def run_config(folder: Path) -> RunConfig:
    """Return the configuration of a run with the network that ships."""
    train = TrainConfig(network_config={"width": 32, "channels": 24}, replay_gb=0.2)
    return RunConfig(out=folder, data=(folder,), train=train)


def prepare_run(folder: Path, episodes: Path, rows: int) -> int:
    """Fill the offline replay of a run with at least so many rows and publish targets; return the number."""
    task = Task(run_config(folder))
    mount = task.robot.cameras[CAMERA].mount
    replay = task.replay(REPLAYS[0])
    intake = Intake(replay, task.mdp, task.robot.gripper.max_aperture, mount)
    while replay.end < rows:
        copy = folder / f"copy{replay.end}"  # an intake takes a file once
        shutil.copytree(episodes, copy)
        if intake.take_all([copy]) == 0:
            raise SystemExit(f"{episodes}: holds no episode to label: give the actors more --seconds")
    targets = TargetNetworks(task.network(), TrainConfig().targets.resolve(1000))
    publish_targets(folder / TARGETS_FILE, targets)
    return replay.end


def updater(worker: Worker) -> Callable[[], int]:
    """Return an updater's work: a block of labels."""
    config = run_config(worker.folder)
    task, labels = Task(config), config.train.labels
    settings = UpdaterConfig(worker.index, worker.workers, labels, task.mdp.discount)
    follower = Follower(worker.folder / TARGETS_FILE, task.network, torch.device("cpu"))
    return Updater(settings, follower, [task.replay(REPLAYS[0])]).work


def actor(worker: Worker) -> Callable[[], int]:
    """Return an actor's work: an episode, half of them with exploration."""
    config = ActorConfig(
        store=worker.folder / EPISODES,
        prefix=f"own{worker.index}",
        policy="cem",
        weights=shipped_policy(CAMERA),
        epsilon=0.1,
        noise=0.1,
        explore=0.5,
        per_shard=4,
        index=worker.index,
        actors=worker.workers,
    )
    player = Actor(config)

    def play() -> int:
        player.play()
        return 1

    return play


def work(prepare: Prepare, worker: Worker, seconds: float, ready: Barrier, results: "Queue[float]") -> None:
    """Work for so long; the process's main function."""
    torch.set_num_threads(1)
    once = prepare(worker)
    once()  # warm
    ready.wait()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        done += once()
    results.put(done / (time.perf_counter() - start))


def rate(prepare: Prepare, folder: Path, workers: int, seconds: float) -> float:
    """Return the pieces of work per second of so many workers together."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(workers, timeout=START), context.Queue()
    arguments = [(prepare, Worker(folder, i, workers), seconds, ready, results) for i in range(workers)]
    processes = [context.Process(target=work, args=each, daemon=True) for each in arguments]
    with one_thread():
        for process in processes:
            process.start()
    total: float = sum(results.get(timeout=START + seconds) for _ in processes)
    for process in processes:
        process.join()
    return total


def show(name: str, prepare: Prepare, folders: Mapping[int, Path], seconds: float) -> None:
    """Print the rates of a kind of work with each number of workers; each number has its folder."""
    first = None
    for count, folder in folders.items():
        found = rate(prepare, folder, count, seconds)
        first = found if first is None else first
        print(f"{name:10}{count:4} workers {found:9.2f} /s   x{found / first:.2f}", flush=True)


def main() -> None:
    """Measure both kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folders = {count: Path(name) / str(count) for count in arguments.workers}
        show("episodes", actor, folders, arguments.seconds)
        enough = ENOUGH * TrainConfig().labels.block * max(arguments.workers)
        for folder in folders.values():
            rows = prepare_run(folder, folders[arguments.workers[0]] / EPISODES, enough)
        print(f"labels of {rows} rows, with 2 x 16 candidates")
        show("labels", updater, folders, arguments.seconds)


if __name__ == "__main__":
    main()
