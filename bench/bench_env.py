"""How fast GraspEnv is on one core: steps/s and episodes/s, rendered and not; what reset and step cost.

The same descents are played with and without pictures, turn by turn, so that a busy machine slows both
alike. Medians; the time that the process itself computed stands beside the wall time.

    OMP_NUM_THREADS=1 python bench/bench_env.py --episodes 40
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.sim.env import GraspEnv
from grasp_bringup.sim.scene import sample_scene
from grasp_bringup.sim.world import CONTROL_PERIOD

GOAL = 50.0  # steps/s, rendered at 64 x 64, on one core


@dataclass
class Times:
    """Wall and process time [s] of resets, steps and whole episodes (reset, steps, lift)."""

    reset: list[tuple[float, float]] = field(default_factory=list)
    step: list[tuple[float, float]] = field(default_factory=list)
    last_step: list[tuple[float, float]] = field(default_factory=list)
    episode: list[tuple[float, float]] = field(default_factory=list)
    simulated: list[float] = field(default_factory=list)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall and the process time of a call [s]."""
    wall, process = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - process


def descent(rng: np.random.Generator, index: int) -> NDArray[np.float64]:
    """Return step `index` of a blind descent: down, close, up, terminate."""
    yaw = rng.uniform(-0.3, 0.3)
    action = np.array([*rng.uniform(-0.03, 0.03, size=2), 0.035, np.sin(yaw), np.cos(yaw), 0.0, 0.0, 0.0])
    action[5], action[7] = index == 4, index == 6
    if index > 4:
        action[2] = -0.02
    return action


def play(env: GraspEnv, seed: int, split: str, times: Times) -> None:
    """Play one episode and note its times."""
    rng, index, ended = np.random.default_rng(seed), 0, False
    reset = timed(lambda: env.reset(seed=seed, options={"split": split}))
    times.reset.append(reset)
    total = np.array(reset)
    while not ended:
        action, before = descent(rng, index), env.world.time
        result: list[bool] = []
        spent = timed(lambda action=action, result=result: result.append(env.step(action)[2]))  # type: ignore[misc]
        ended = result[0]
        (times.last_step if ended else times.step).append(spent)
        if not ended:
            times.simulated.append(env.world.time - before)
        total += spent
        index += 1
    times.episode.append((float(total[0]), float(total[1])))


def median(pairs: list[tuple[float, float]], column: int) -> float:
    """Return the median of one column [s]."""
    return statistics.median(pair[column] for pair in pairs)


def mean_rate(times: Times, column: int) -> tuple[float, float]:
    """Return steps/s (steps and lifts, without resets) and episodes/s (all)."""
    steps = len(times.step) + len(times.last_step)
    stepping = sum(pair[column] for pair in (*times.step, *times.last_step))
    return steps / stepping, len(times.episode) / sum(pair[column] for pair in times.episode)


def report(name: str, times: Times) -> None:
    """Print one contestant."""
    for column, clock in enumerate(("wall", "process")):
        steps, episodes = mean_rate(times, column)
        print(
            f"{name:<14}{clock:<9}{steps:7.1f} steps/s {episodes:6.2f} episodes/s   median of a step "
            f"{median(times.step, column) * 1e3:6.1f} ms, last step with lift "
            f"{median(times.last_step, column) * 1e3:6.1f} ms, reset "
            f"{median(times.reset, column) * 1e3:6.1f} ms"
        )


def parts(env: GraspEnv, split: str, count: int) -> None:
    """Print what a reset and a picture are made of."""
    sampling, building, settling, pictures = [], [], [], []
    for seed in range(count):
        holder: list[object] = []
        sampling.append(
            timed(
                lambda seed=seed, holder=holder: holder.append(  # type: ignore[misc]
                    sample_scene(env.config, split, seed, env.robot.bin)
                )
            )
        )
        scene = sample_scene(env.config, split, seed, env.robot.bin)
        building.append(timed(lambda scene=scene: env.world.reset(scene, settle=False)))  # type: ignore[misc]
        settling.append(timed(env.world.settle))
        pictures.append(timed(lambda: env.world.render(env.camera)))
    for name, pairs in (
        ("draw scene", sampling), ("build model", building), ("settle", settling), ("one picture", pictures)
    ):  # fmt: skip
        wall, process = median(pairs, 0) * 1e3, median(pairs, 1) * 1e3
        print(f"  {name:<12} median {wall:6.2f} ms wall, {process:6.2f} ms process")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--split", default="train")
    arguments = parser.parse_args()
    rendered, black = GraspEnv(), GraspEnv(rendered=False)
    times = {"rendered": Times(), "not rendered": Times()}
    for seed in range(arguments.episodes):
        play(rendered, seed, arguments.split, times["rendered"])
        play(black, seed, arguments.split, times["not rendered"])
    size = "x".join(map(str, rendered.mdp.image_size))
    print(f"GraspEnv on {arguments.split} scenes, {arguments.episodes} episodes, images {size}, one core")
    for name, entry in times.items():
        report(name, entry)
    parts(rendered, arguments.split, arguments.episodes)
    with_pictures = times["rendered"]
    simulated = statistics.mean(with_pictures.simulated)
    print(
        f"a step simulates {simulated:.2f} s ({simulated / CONTROL_PERIOD:.0f} control periods): "
        f"{simulated / statistics.mean(pair[0] for pair in with_pictures.step):.0f} times real time"
    )
    ratio = median(with_pictures.reset, 1) / median(with_pictures.step, 1)
    print(f"a reset costs as much as {ratio:.1f} steps (medians of process time)")
    rate = mean_rate(with_pictures, 1)[0]
    print(f"goal {GOAL:.0f} steps/s rendered per core: {'met' if rate >= GOAL else 'missed'} ({rate:.1f})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
