"""`qtopt evaluate`: policies on the benchmark, with 95 % intervals, as a table and a JSON file."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from grasp_bringup.sim.benchmark import load_benchmark
from qtopt_collector.report.score import EpisodeResult, Rate
from qtopt_learner.cli_config import EvaluateConfig
from qtopt_learner.evaluate_env import ORACLE, EnvPlayers, scene_seeds
from qtopt_learner.evaluate_jobs import Job, play_all
from qtopt_learner.evaluate_results import Evaluation, end_lines, score_table, seed_range, write_json
from qtopt_policy.errors import UnknownNameError
from qtopt_policy.policies.registry import POLICIES

COLUMNS = (
    TextColumn("{task.description:<16}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[rate]}"),
    TimeRemainingColumn(),
)


def run(config: EvaluateConfig) -> int:
    """Evaluate, print the table, write the file; return 0, or 130 if Ctrl-C cut it short."""
    console = Console()
    evaluation = evaluate(config, console)
    path = config.out or Path("out") / f"evaluation-{datetime.now():%Y%m%d-%H%M%S}.json"
    write_json(evaluation, path)
    console.print(score_table(f"{config.split} scenes through {config.through}", evaluation.scores))
    for line in end_lines(evaluation.scores):
        console.print(line, soft_wrap=True)
    seeds = seed_range(evaluation.seeds)
    console.print(f"benchmark {evaluation.digest}, seeds {seeds} of split {config.split}")
    console.print(f"command   {evaluation.command}", soft_wrap=True)
    console.print(f"results   {path}", soft_wrap=True)
    return 0 if evaluation.complete else 130


def evaluate(config: EvaluateConfig, console: Console) -> Evaluation:
    """Run all episodes with progress bars; Ctrl-C ends it early and keeps what is done.

    Raises:
        UnknownNameError: a policy that does not exist.
        ConfigError: more scenes than the benchmark has, or another task than its own.
        CheckpointError: the checkpoint does not fit.
        WorkerDiedError: a worker process died.
    """
    for name in config.policies:
        if name not in (*POLICIES, ORACLE):
            raise UnknownNameError("policy", name, (*POLICIES, ORACLE))
    benchmark = load_benchmark(config.benchmark)
    seeds = tuple(scene_seeds(benchmark, config.first, config.episodes))
    results: list[EpisodeResult] = []
    try:
        for result in watched(_play(config, seeds), config.policies, len(seeds), console):
            results.append(result)
    except KeyboardInterrupt:
        console.print("[yellow]stopped by Ctrl-C; what follows is what was done so far[/]")
    results.sort(key=lambda row: (config.policies.index(row.policy), row.seed))
    command = shlex.join(["qtopt", *sys.argv[1:]])
    return Evaluation(command, config, benchmark.digest, seeds, tuple(results))


def _play(config: EvaluateConfig, seeds: Sequence[int]) -> Iterator[EpisodeResult]:
    if config.through == "graph":
        from qtopt_learner.collect import evaluation_episodes

        return evaluation_episodes(config, seeds)
    jobs = [Job(policy, seed) for policy in config.policies for seed in seeds]
    return play_all(EnvPlayers(config), jobs, config.workers)


def watched(
    results: Iterator[EpisodeResult], policies: Sequence[str], episodes: int, console: Console
) -> Iterator[EpisodeResult]:
    """Pass `results` on, with one progress bar per policy that shows its success rate so far."""
    counts = dict.fromkeys(policies, Rate(0, 0))
    with Progress(*COLUMNS, console=console) as progress:
        tasks = {name: progress.add_task(name, total=episodes, rate="") for name in policies}
        for result in results:
            before = counts[result.policy]
            won = result.truth if result.truth is not None else result.success
            counts[result.policy] = Rate(before.successes + bool(won), before.trials + 1)
            progress.update(tasks[result.policy], advance=1, rate=str(counts[result.policy]))
            yield result
