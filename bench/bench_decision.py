"""How long one decision takes: CEM over a Q network, 2 x 64 candidates.

- grasping44: the trunk shared by all candidates against the naive form, which repeats the image for each;
  against mbrl-lib's CEMOptimizer on the same Q, given both forms; and as a share of the rate at which this
  machine multiplies matrices, measured in the same run.
- compact: from an observation to an action, at 64 x 64 and 96 x 96, with the paper's search and the one that
  drives.

Rounds of all contestants alternate, so that a busy machine slows them alike; medians are reported. On a very
busy machine `--cpu` counts the process's CPU time on one thread instead of wall time.

    python bench/bench_decision.py
    pip install --no-deps --target build/peers mbrl==0.2.0 hydra-core==1.3.2 omegaconf==2.3.0 \
        antlr4-python3-runtime==4.9.3 termcolor tqdm     # the peer, in a folder of its own
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from qtopt_policy.camera import CameraModel
from qtopt_policy.cem import maximise, search
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import ObservationBatch, from_observations
from qtopt_policy.networks.registry import make_network
from qtopt_policy.observation import Observation
from qtopt_policy.search_config import DRIVING, CemConfig

GOAL_RATIO = 15.0
GOAL_COMPACT_MS = 10.0
CONFIG = CemConfig()
OPENING = 0.08

clock: Callable[[], float] = time.perf_counter


@dataclass(frozen=True)
class Contestant:
    """One way to decide: a function of the seed, and the multiply-adds of one call."""

    name: str
    run: Callable[[int], Any]
    macs: float


def observe(size: tuple[int, int]) -> Observation:
    """Return a picture of noise seen by a wrist camera."""
    rng = np.random.default_rng(0)
    pose = Pose(np.array([0.06, 0.0, -0.12]), np.array([0.0, 0.0, 0.0, 1.0]))
    height, width = size
    camera = CameraModel(width, height, 0.7 * width, 0.7 * width, 0.5 * width, 0.5 * height, "tool", pose)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return Observation(image, False, 0.2, 0.08, pointing_down([0.5, 0.0, 0.2], 0.3), camera, 0.0)


def build(name: str, mdp: MdpConfig) -> QNetwork:
    """Return a network with fresh weights, in eval mode."""
    torch.manual_seed(0)
    return make_network(name, mdp.action_spec(), mdp.observation_spec()).eval()


def repeat(batch: ObservationBatch, count: int) -> ObservationBatch:
    """Return the observation `count` times: what an implementation without a split network does."""
    return batch[torch.zeros(count, dtype=torch.long)]


def tiled(network: QNetwork, batch: ObservationBatch, chunk: int) -> Callable[[Tensor], Tensor]:
    """Return Q over the whole network per candidate, in chunks that fit into memory."""
    copies = repeat(batch, chunk)

    def value(actions: Tensor) -> Tensor:
        parts = [network(copies[: len(part)], part.unsqueeze(1)) for part in torch.split(actions[0], chunk)]
        return torch.cat(parts).view(1, -1)

    return value


def shared(network: QNetwork, batch: ObservationBatch) -> Callable[[Tensor], Tensor]:
    """Return Q over the head per candidate, with the trunk run now."""
    features = network.trunk(batch)
    return lambda actions: network.head(features, batch, actions)


def count_macs(
    network: QNetwork, batch: ObservationBatch, is_tiled: bool, config: CemConfig = CONFIG
) -> float:
    """Return the multiply-adds of one decision."""
    actions = torch.zeros(1, 1, network.action_spec.size)
    candidates = config.iterations * config.samples
    with FlopCounterMode(display=False) as whole:
        network(batch, actions)
    with FlopCounterMode(display=False) as trunk:
        network.trunk(batch)
    head = whole.get_total_flops() - trunk.get_total_flops()
    trunks = candidates if is_tiled else 1
    total: float = trunks * trunk.get_total_flops() + candidates * head
    return total / 2.0


def peer(folder: Path) -> Any | None:
    """Return mbrl-lib's CEMOptimizer class, or None where it is not installed."""
    sys.path.append(str(folder))
    try:
        return importlib.import_module("mbrl.planning.trajectory_opt").CEMOptimizer
    except ImportError:
        return None


def peer_decision(optimizer: Any, value: Callable[[Tensor], Tensor], network: QNetwork) -> Tensor:
    """Run mbrl-lib's CEM; it knows no choices, so each has a score in [0, 1] and the highest one counts."""
    spec = network.action_spec
    moves, choices = len(spec.continuous), len(spec.choices)
    low, high = [*spec.low.tolist(), *[0.0] * choices], [*spec.high.tolist(), *[1.0] * choices]
    search_ = optimizer(
        CONFIG.iterations, CONFIG.elites / CONFIG.samples, CONFIG.samples, low, high, 0.1, torch.device("cpu")
    )

    def vectors(population: Tensor) -> Tensor:
        one_hot = torch.nn.functional.one_hot(population[:, moves:].argmax(dim=1), choices)
        return torch.cat([population[:, :moves], one_hot.float()], dim=1)

    start = (torch.tensor(low) + torch.tensor(high)) / 2
    best: Tensor = search_.optimize(lambda population: value(vectors(population).unsqueeze(0))[0], start)
    return vectors(best.unsqueeze(0))


def contestants(network: QNetwork, batch: ObservationBatch, peer_class: Any | None) -> list[Contestant]:
    """Return all ways to decide with one network."""
    spec = network.action_spec
    few, many = (count_macs(network, batch, is_tiled) for is_tiled in (False, True))
    found = [
        Contestant("shared trunk", lambda seed: maximise(network, batch, [seed]), few),
        Contestant("naive, tiled", lambda seed: search(tiled(network, batch, 16), spec, [seed]), many),
    ]
    if peer_class is not None:
        found += [
            Contestant(
                "mbrl-lib, shared", lambda _: peer_decision(peer_class, shared(network, batch), network), few
            ),
            Contestant(
                "mbrl-lib, tiled",
                lambda _: peer_decision(peer_class, tiled(network, batch, 16), network),
                many,
            ),
        ]
    return found


def gemm_rate(size: int = 1536) -> float:
    """Return the multiply-adds per second of a matrix product."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    start = clock()
    torch.mm(a, b)
    return size**3 / (clock() - start)


@torch.inference_mode()
def measure_grasping44(rounds: int, peers: Path) -> float:
    """Print the comparison on the paper's network; return how much faster the shared trunk is."""
    mdp = MdpConfig(image_size=(472, 472))
    network = build("grasping44", mdp)
    batch = from_observations([observe((472, 472))], mdp.action_frame, OPENING)
    peer_class = peer(peers)
    entries = contestants(network, batch, peer_class)
    times: dict[str, list[float]] = {entry.name: [] for entry in entries}
    rates: list[float] = []
    for entry in entries[:1]:
        entry.run(0)  # warm
    for index in range(rounds):
        for entry in entries:
            rates.append(gemm_rate())
            start = clock()
            entry.run(index)
            times[entry.name].append(clock() - start)
    rate, medians = statistics.median(rates), {k: statistics.median(v) for k, v in times.items()}
    base = medians["shared trunk"]
    print(f"\ngrasping44, 472 x 472, {rounds} rounds; matrix product {rate / 1e9:.0f} GMAC/s (median)")
    print(f"{'':18} {'ms':>9} {'GMAC':>7} {'x shared':>9} {'of GEMM':>8}")
    for entry in entries:
        share = entry.macs / medians[entry.name] / rate
        print(
            f"{entry.name:18} {1e3 * medians[entry.name]:9.0f} {entry.macs / 1e9:7.1f}"
            f" {medians[entry.name] / base:9.1f} {share:8.0%}"
        )
    if peer_class is None:
        print("mbrl-lib: not installed (see the head of this file)")
    return medians["naive, tiled"] / base


@torch.inference_mode()
def measure_compact(size: int, calls: int, config: CemConfig) -> float:
    """Print p50 and p99 of a compact decision on one thread; return p50 [ms]."""
    mdp = MdpConfig(image_size=(size, size))
    network, observation = build("compact", mdp), observe((size, size))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    for index in range(calls + 20):
        start = clock()
        batch = from_observations([observation], mdp.action_frame, OPENING)
        maximise(network, batch, [index], config=config)
        times.append(clock() - start)
    torch.set_num_threads(threads)
    p50, p99 = (1e3 * float(np.percentile(times[20:], q)) for q in (50, 99))
    macs = count_macs(network, batch, False, config)
    search = f"{config.iterations} x {config.samples}"
    print(f"compact {size} x {size}, {search}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {macs / 1e6:.1f} MMAC")
    return p50


def found_q(peers: Path, trials: int) -> None:
    """Print how high a Q both searches find with the same number of evaluations."""
    mdp = MdpConfig()
    network, peer_class = build("compact", mdp), peer(peers)
    if peer_class is None:
        return
    batch = from_observations([observe((64, 64))], mdp.action_frame, OPENING)
    with torch.inference_mode():
        value = shared(network, batch)
        ours = [float(maximise(network, batch, [seed]).value) for seed in range(trials)]
        theirs = []
        for seed in range(trials):
            torch.manual_seed(seed)
            theirs.append(float(value(peer_decision(peer_class, value, network).unsqueeze(0))))
        limit = float(search(value, network.action_spec, [0], CemConfig(20, 1024, 100)).value)
    print(
        f"logit found on a fresh compact network, mean of {trials}: "
        f"{np.mean(ours):.4f}, mbrl-lib {np.mean(theirs):.4f}, with 20 x 1024 samples {limit:.4f}"
    )


def main() -> int:
    """Run all measurements; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of the grasping44 comparison")
    parser.add_argument("--calls", type=int, default=500, help="decisions of the compact network")
    parser.add_argument("--peers", type=Path, default=Path("build/peers"), help="folder with mbrl-lib")
    parser.add_argument("--cpu", action="store_true", help="one thread, CPU time instead of wall time")
    options = parser.parse_args()
    if options.cpu:
        global clock
        clock = time.process_time
        torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {clock.__name__}")
    p50 = max(measure_compact(size, options.calls, c) for size in (64, 96) for c in (CONFIG, DRIVING))
    found_q(options.peers, trials=50)
    ratio = measure_grasping44(options.rounds, options.peers)
    print(
        f"\nshared trunk: {ratio:.1f}x faster than tiled (goal {GOAL_RATIO:.0f}x); compact p50 {p50:.1f} ms"
    )
    return 0 if ratio >= GOAL_RATIO and p50 < GOAL_COMPACT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
