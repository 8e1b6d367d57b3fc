"""`qtopt scenario emptying`: a full bin, grasped from without replacement; the first 10, 20, 30 attempts."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.emptying import EmptyingConfig, EmptyingEnv
from grasp_bringup.sim.scenario import load_scenario
from qtopt_collector.report.score import EpisodeResult, Rate
from qtopt_learner.evaluate import Bars
from qtopt_learner.evaluate_env import policy_in, scene_seeds
from qtopt_learner.evaluate_jobs import Job, play_all
from qtopt_learner.scenario_config import ScenarioRunConfig
from qtopt_learner.scenario_files import results_folder, write_results
from qtopt_learner.watch import film_strip, write_picture
from qtopt_policy.policies.base import Policy

MARKS = (10, 20, 30)  # as the paper counts
# Seeds of a policy's attempts lie this far apart from one full bin to the next.
ATTEMPT_STRIDE = 1000

Pictures = list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Emptying:
    """One full bin and what a policy made of it.

    Attributes:
        policy: name that was asked for.
        seed: of the bin.
        objects: in the bin when it was full, after what slid out at once.
        left: in the bin at the end.
        beside: neither in the bin nor grasped at the end.
        attempts: one result each, in order; fewer than asked for if the bin was empty before.
    """

    policy: str
    seed: int
    objects: int
    left: int
    beside: int
    attempts: tuple[EpisodeResult, ...]


@dataclass(frozen=True)
class EmptyingPlayers:
    """Builds what empties bins in one worker: an environment, and each policy once.

    Attributes:
        config: what to play.
        emptying: how full the bin is.
        seeds: of the bins that are filmed.
        folder: for the film strips.
    """

    config: ScenarioRunConfig
    emptying: EmptyingConfig
    seeds: tuple[int, ...]
    folder: Path

    def __call__(self) -> Callable[[Job], Emptying]:
        """Build the environment."""
        config = self.config
        benchmark = load_benchmark(config.benchmark)
        scenes = load_scenario(config.name, config.scenarios).of_scene(benchmark.scene)
        env = EmptyingEnv(benchmark, benchmark.mdp, scenes, self.emptying, config.camera, config.split)
        policies: dict[str, Policy] = {}

        def play(job: Job) -> Emptying:
            if job.policy not in policies:
                policies[job.policy] = policy_in(env, job.policy, config.of_policies)
            result, pictures = empty_bin(env, policies[job.policy], job, self.emptying.attempts)
            if job.seed in self.seeds:
                words = [f"{i + 1} {_outcome(one)}" for i, one in enumerate(result.attempts)]
                path = self.folder / f"{job.policy}-{job.seed:04d}.png"
                write_picture(path, film_strip(np.stack(pictures), words))
            return result

        return play


def _outcome(result: EpisodeResult) -> str:
    return "grasped" if result.truth else "missed"


def empty_bin(env: EmptyingEnv, policy: Policy, job: Job, attempts: int) -> tuple[Emptying, Pictures]:
    """Grasp from full bin number `job.seed`; return the outcome and what was seen before each attempt."""
    env.fill(job.seed)
    full, results, pictures = env.inside, list[EpisodeResult](), Pictures()
    while True:
        pictures.append(env.observation.image)
        results.append(_attempt(env, policy, job, len(results)))
        env.take_out()
        if env.inside == 0 or len(results) == attempts:
            break
        env.go_on()
    assert env.contents is not None
    left = env.inside
    beside = len(env.contents.objects) - left
    return Emptying(job.policy, job.seed, full, left, beside, tuple(results)), pictures


def _attempt(env: EmptyingEnv, policy: Policy, job: Job, number: int) -> EpisodeResult:
    policy.reset(job.seed * ATTEMPT_STRIDE + number)
    steps = 0
    while True:
        steps += 1
        _, _, ended, _, info = env.step(policy.decide(env.observation).action.as_array())
        if ended:
            break
    return EpisodeResult(job.policy, job.seed, info["success"], info["truth"], steps, info["end_reason"])


def run(config: ScenarioRunConfig, console: Console) -> int:
    """Play, print the table, write results and films; return 0, or 130 if Ctrl-C cut it short."""
    emptying = load_scenario(config.name, config.scenarios).emptying
    assert emptying is not None
    folder = results_folder(config)
    results, complete = _play(config, emptying, folder, console)
    results.sort(key=lambda row: (config.policies.index(row.policy), row.seed))
    write_results(folder, config, complete, as_json(config.policies, emptying, results))
    console.print(emptying_table(config, emptying, results))
    console.print(f"results and film strips  {folder}", soft_wrap=True)
    return 0 if complete else 130


def _play(
    config: ScenarioRunConfig, emptying: EmptyingConfig, folder: Path, console: Console
) -> tuple[list[Emptying], bool]:
    """Return what was played, and whether that is all."""
    seeds = scene_seeds(load_benchmark(config.benchmark), 0, config.episodes or emptying.repeats)
    players = EmptyingPlayers(config, emptying, tuple(seeds[: config.films]), folder)
    jobs = [Job(policy, seed) for policy in config.policies for seed in seeds]
    results: list[Emptying] = []
    try:
        with Bars(config.policies, len(seeds) * emptying.attempts, console) as bars:
            show = bars.showing(lambda _: None)
            for result in play_all(players, jobs, config.workers):
                results.append(result)
                for attempt in result.attempts:
                    show(attempt)
    except KeyboardInterrupt:
        console.print("[yellow]stopped by Ctrl-C; what follows is what was done so far[/]")
        return results, False
    return results, True


def first(results: Sequence[Emptying], attempts: int) -> Rate:
    """Return the success of the first attempts at each bin, by ground truth."""
    counted = [attempt for result in results for attempt in result.attempts[:attempts]]
    return Rate(sum(attempt.truth is True for attempt in counted), len(counted))


def marks(emptying: EmptyingConfig) -> tuple[int, ...]:
    """Return after how many attempts success is told."""
    return (*(mark for mark in MARKS if mark < emptying.attempts), emptying.attempts)


def emptying_table(config: ScenarioRunConfig, emptying: EmptyingConfig, results: Sequence[Emptying]) -> Table:
    """Return one row per policy."""
    title = f"{config.name}, {emptying.objects} objects of the {config.split} families, without replacement"
    table = Table(title=title, box=SIMPLE_HEAD)
    told = marks(emptying)
    for name in ("policy", "bins", *(f"first {mark} [95 %]" for mark in told), "left", "beside"):
        table.add_column(name, justify="left" if name == "policy" else "right", no_wrap=True)
    for name in config.policies:
        rows = [result for result in results if result.policy == name]
        means = [sum(getattr(row, key) for row in rows) / max(1, len(rows)) for key in ("left", "beside")]
        rates = (str(first(rows, mark)) for mark in told)
        table.add_row(name, str(len(rows)), *rates, *(f"{mean:.1f}" for mean in means))
    return table


def as_json(policies: Sequence[str], emptying: EmptyingConfig, results: Sequence[Emptying]) -> dict[str, Any]:
    """Return scores and emptyings as JSON types; intervals take each attempt as if it stood for itself."""
    return {
        "scores": [
            {
                "policy": name,
                "first": mark,
                "successes": rate.successes,
                "trials": rate.trials,
                "interval": list(rate.interval),
            }
            for name in policies
            for mark in marks(emptying)
            for rate in [first([row for row in results if row.policy == name], mark)]
        ],
        "emptyings": [asdict(row) for row in results],
    }
