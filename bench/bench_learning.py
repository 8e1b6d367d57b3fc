"""How fast the learner learns: gradient steps, Bellman labels, and the share of the machine that they use.

The default run (compact network, 64 x 64, batch 192) on pictures of noise. The share is that of the rate at
which this machine multiplies matrices, measured between the rounds; a gradient step counts three forward
passes. Medians over rounds.

    python bench/bench_learning.py --threads 1 2
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from qtopt_learner.labels import LabelConfig
from qtopt_learner.replay import Replay
from qtopt_learner.rows import GEOMETRY_SIZE, Layout, Rows, observation_batch, outcome_columns
from qtopt_learner.train_config import TrainConfig
from qtopt_learner.trainer import Experience, Trainer
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.registry import make_network

ROWS = 4096
EPISODE = 16


def noise_rows(layout: Layout, rng: np.random.Generator) -> Rows:
    """Return one complete episode of noise, seen by a camera above the hand."""
    geometry = np.zeros((EPISODE, GEOMETRY_SIZE), dtype=np.float32)
    geometry[:, :12] = np.hstack([np.eye(3), [[0.0], [0.0], [0.15]]]).ravel()
    geometry[:, 12:16] = (40.0, 40.0, 31.5, 31.5)
    geometry[:, 16:25] = np.eye(3).ravel()
    geometry[:, 25:] = (0.08, 0.1)
    action = np.zeros((EPISODE, layout.action), dtype=np.float32)
    action[:, :3] = rng.uniform(-0.04, 0.04, (EPISODE, 3))
    action[:, 4] = 1.0
    rewards = np.zeros(EPISODE, dtype=np.float32)
    return outcome_columns(rewards, True, 0.9) | {
        "image": rng.integers(0, 256, (EPISODE, *layout.image), dtype=np.uint8),
        "vectors": rng.random((EPISODE, layout.vectors), dtype=np.float32),
        "geometry": geometry,
        "action": action,
    }


def build(config: TrainConfig, mdp: MdpConfig) -> Trainer:
    """Return a trainer with ROWS rows of noise, all labelled."""
    specs = mdp.action_spec(), mdp.observation_spec()
    layout, rng = Layout.of(*specs), np.random.default_rng(0)
    experience = Experience(Replay(layout, ROWS), Replay(layout, 1))
    for index in range(ROWS // EPISODE):
        experience.offline.append(noise_rows(layout, rng), str(index))
    experience.offline.set_values(np.arange(ROWS), np.zeros(ROWS, dtype=np.float32), 0)
    make = lambda: make_network(config.network, *specs, config.network_config)  # noqa: E731
    return Trainer(make, config, experience, mdp.discount)


def macs(network: QNetwork, rows: Rows, candidates: int) -> float:
    """Return the multiply-adds of one forward pass of a batch with so many candidates each."""
    batch = observation_batch(rows)
    actions = torch.from_numpy(rows["action"]).unsqueeze(1).expand(-1, candidates, -1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(batch, actions)
    return float(counter.get_total_flops()) / 2.0


def gemm_rate(size: int = 1024) -> float:
    """Return the multiply-adds per second of a matrix product."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    start = time.perf_counter()
    torch.mm(a, b)
    return size**3 / (time.perf_counter() - start)


def median_time(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median duration of `work` [s] and the median rate of matrix products between."""
    work()  # warm
    times, rates = [], []
    for _ in range(rounds):
        rates.append(gemm_rate())
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), statistics.median(rates)


def measure(threads: int, rounds: int) -> None:
    """Print one line per kind of work."""
    torch.set_num_threads(threads)
    labels = LabelConfig(fresh=False)
    config, mdp = TrainConfig(labels=labels, threads=threads), MdpConfig()
    trainer = build(config, mdp)
    sample = trainer.experience.offline.gather(np.arange(config.batch))
    one, block = macs(trainer.network, sample, 1), config.labels.block
    searched = 1 + config.labels.cem.iterations * config.labels.cem.samples
    both = (macs(trainer.network, sample, searched) + one) * block / config.batch

    def label() -> None:
        trainer._relabel("offline")

    def step() -> None:
        trainer.labels_due = 0.0
        trainer.advance()

    print(f"\n{threads} threads, batch {config.batch}, block {block}, {rounds} rounds")
    for name, work, cost, count in (
        ("gradient step, without labels", step, 3.0 * one, 1),
        ("labels", label, both, block),
    ):
        seconds, rate = median_time(work, rounds)
        share = cost / seconds / rate
        print(f"{name:30} {1e3 * seconds:8.1f} ms {count / seconds:9.1f} /s {share:6.0%} of GEMM")


def main() -> None:
    """Measure with each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    for threads in arguments.threads:
        measure(threads, arguments.rounds)


if __name__ == "__main__":
    main()
