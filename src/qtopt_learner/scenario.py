"""`qtopt scenario`: policies in scenes that ask for behaviours that nobody engineered, with film strips."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.scenario import ScenarioEnv, load_scenario
from qtopt_collector.report.score import EpisodeResult, Rate, Score, score
from qtopt_learner import emptying
from qtopt_learner.evaluate import Bars, check_policies
from qtopt_learner.evaluate_env import policy_in, scene_seeds
from qtopt_learner.evaluate_jobs import Job, Play, play_all
from qtopt_learner.evaluate_results import end_lines, score_table
from qtopt_learner.scenario_config import ScenarioRunConfig
from qtopt_learner.scenario_files import results_folder, write_results
from qtopt_learner.watch import film_strip, write_picture
from qtopt_policy.grasp_action import CHOICES
from qtopt_policy.policies.base import Policy

SCENES = 102  # as many as the paper's protocol has for one robot


@dataclass(frozen=True)
class ScenarioResult(EpisodeResult):
    """Outcome of one episode.

    Attributes:
        objects: in the scene.
        disturbed: whether an object was pushed out of the fingers.
    """

    objects: int
    disturbed: bool


@dataclass(frozen=True)
class ScenarioPlayers:
    """Builds what plays episodes in one worker: an environment, and each policy once.

    Attributes:
        config: what to play.
        seeds: of the scenes that are filmed.
        folder: for the film strips.
    """

    config: ScenarioRunConfig
    seeds: tuple[int, ...]
    folder: Path

    def __call__(self) -> Play:
        """Build the environment."""
        config = self.config
        benchmark = load_benchmark(config.benchmark)
        scenario = load_scenario(config.name, config.scenarios)
        env = ScenarioEnv(benchmark, benchmark.mdp, scenario, config.camera, config.split)
        policies: dict[str, Policy] = {}

        def play(job: Job) -> EpisodeResult:
            if job.policy not in policies:
                policies[job.policy] = policy_in(env, job.policy, config.of_policies)
            result, film = play_filmed(env, policies[job.policy], job)
            if job.seed in self.seeds:
                outcome = "success" if result.truth else "failure"
                write_picture(self.folder / f"{job.policy}-{job.seed:04d}-{outcome}.png", film)
            return result

        return play


def run(config: ScenarioRunConfig) -> int:
    """Play, print the table, write results and films; return 0, or 130 if Ctrl-C cut it short."""
    console = Console()
    check_policies(config.policies)
    if load_scenario(config.name, config.scenarios).emptying is not None:
        return emptying.run(config, console)
    folder = results_folder(config)
    results, complete = _play(config, folder, console)
    results.sort(key=lambda row: (config.policies.index(row.policy), row.seed))
    rows = [score(name, (r for r in results if r.policy == name)) for name in config.policies]
    write_results(folder, config, complete, as_json(results, rows))
    console.print(score_table(f"{config.name}, {config.split} scenes", rows))
    for line in (*end_lines(rows), *disturbed_lines(config.policies, results)):
        console.print(line, soft_wrap=True)
    console.print(f"results and film strips  {folder}", soft_wrap=True)
    return 0 if complete else 130


def _play(config: ScenarioRunConfig, folder: Path, console: Console) -> tuple[list[ScenarioResult], bool]:
    """Return what was played, and whether that is all."""
    seeds = scene_seeds(load_benchmark(config.benchmark), 0, config.episodes or SCENES)
    players = ScenarioPlayers(config, tuple(seeds[: config.films]), folder)
    results: list[ScenarioResult] = []

    def take(result: EpisodeResult) -> None:
        assert isinstance(result, ScenarioResult)
        results.append(result)

    try:
        with Bars(config.policies, len(seeds), console) as bars:
            show = bars.showing(take)
            jobs = [Job(policy, seed) for policy in config.policies for seed in seeds]
            for result in play_all(players, jobs, config.workers):
                show(result)
    except KeyboardInterrupt:
        console.print("[yellow]stopped by Ctrl-C; what follows is what was done so far[/]")
        return results, False
    return results, True


def play_filmed(env: ScenarioEnv, policy: Policy, job: Job) -> tuple[ScenarioResult, NDArray[np.uint8]]:
    """Play scene number `job.seed` to its end; return the outcome and the film strip of what was seen."""
    env.reset(seed=job.seed)
    objects = len(env.truth().object_poses)
    policy.reset(job.seed)
    images, captions = [], []
    while True:
        decision = policy.decide(env.observation)
        images.append(env.observation.image)
        name = CHOICES[decision.action.choice]
        captions.append(f"{name} Q {decision.q:.2f}" if np.isfinite(decision.q) else name)
        _, _, ended, _, info = env.step(decision.action.as_array())
        if ended:
            break
    result = ScenarioResult(
        policy=job.policy,
        seed=job.seed,
        success=info["success"],
        truth=info["truth"],
        steps=len(images),
        end_reason=info["end_reason"],
        objects=objects,
        disturbed=env.disturbed,
    )
    return result, film_strip(np.stack(images), captions)


def disturbed_lines(policies: tuple[str, ...], results: list[ScenarioResult]) -> list[str]:
    """Return one line per policy that lost an object to the scenario: how often it grasped again."""
    lines = []
    for name in policies:
        lost = [row for row in results if row.policy == name and row.disturbed]
        if lost:
            again = Rate(sum(row.truth is True for row in lost), len(lost))
            lines.append(f"{name}: lost an object in {len(lost)} episodes, succeeded in {again} of them")
    return lines


def as_json(results: list[ScenarioResult], rows: list[Score]) -> dict[str, Any]:
    """Return scores and the outcome of each scene as JSON types."""
    return {
        "scores": [
            {
                "policy": row.policy,
                "successes": row.truth.successes,
                "trials": row.truth.trials,
                "interval": list(row.truth.interval),
            }
            for row in rows
        ],
        "episodes": [asdict(row) for row in results],
    }
