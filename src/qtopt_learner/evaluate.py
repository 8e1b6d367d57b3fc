"""`qtopt evaluate`: policies on the benchmark, with 95 % intervals, as a table and a JSON file."""

import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from grasp_bringup.sim.benchmark import Benchmark, load_benchmark
from qtopt_collector.report.score import EpisodeResult, Rate
from qtopt_learner.cli_config import EvaluateConfig
from qtopt_learner.evaluate_env import ORACLE, EnvPlayers, scene_seeds
from qtopt_learner.evaluate_jobs import Job, play_all
from qtopt_learner.evaluate_results import Evaluation, end_lines, score_table, seed_range, write_json
from qtopt_policy.errors import QtoptError, UnknownNameError
from qtopt_policy.policies.registry import POLICIES

COLUMNS = (
    TextColumn("{task.description:<16}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[rate]}"),
    TimeRemainingColumn(),
)
Take = Callable[[EpisodeResult], None]


def run(config: EvaluateConfig) -> int:
    """Evaluate, print the table, write the file; return 0, 130 if Ctrl-C cut it short, 2 if an error did."""
    console = Console()
    path = config.out or Path("out") / f"evaluation-{datetime.now():%Y%m%d-%H%M%S}.json"
    evaluation = evaluate(config, console, path.with_suffix(""))
    write_json(evaluation, path)
    console.print(score_table(f"{config.split} scenes through {config.through}", evaluation.scores))
    for line in end_lines(evaluation.scores):
        console.print(line, soft_wrap=True)
    seeds = seed_range(evaluation.seeds)
    console.print(f"benchmark {evaluation.digest}, seeds {seeds} of split {config.split}")
    console.print(f"command   {evaluation.command}", soft_wrap=True)
    console.print(f"results   {path}", soft_wrap=True)
    if evaluation.trouble:
        console.print(f"[red]not finished:[/] {escape(evaluation.trouble)}", soft_wrap=True)
        return 2
    return 0 if evaluation.complete else 130


def evaluate(config: EvaluateConfig, console: Console, folder: Path) -> Evaluation:
    """Run all episodes with progress bars; Ctrl-C or an error in between ends it early, keeping what is done.

    Args:
        config: what to run.
        console: for the progress.
        folder: for bags and logs, where the ROS graph runs.

    Raises:
        UnknownNameError: a policy that does not exist.
        ConfigError: more scenes than the benchmark has, or another task than its own.
        CheckpointError, WorkerDiedError, NodeDiedError: before the first episode has ended.
    """
    check_policies(config.policies)
    benchmark = load_benchmark(config.benchmark)
    seeds = scene_seeds(benchmark, config.first, config.episodes)
    results: list[EpisodeResult] = []
    trouble = ""
    try:
        with Bars(config.policies, len(seeds), console) as bars:
            _play(config, benchmark, seeds, folder, bars.showing(results.append))
    except KeyboardInterrupt:
        console.print("[yellow]stopped by Ctrl-C; what follows is what was done so far[/]")
    except QtoptError as error:
        if not results:
            raise
        trouble = str(error)
    results.sort(key=lambda row: (config.policies.index(row.policy), row.seed))
    command = shlex.join(["qtopt", *sys.argv[1:]])
    return Evaluation(command, config, benchmark.digest, tuple(seeds), tuple(results), trouble)


def check_policies(names: tuple[str, ...]) -> None:
    """Raise UnknownNameError if a policy does not exist."""
    for name in names:
        if name not in (*POLICIES, ORACLE):
            raise UnknownNameError("policy", name, (*POLICIES, ORACLE))


def _play(config: EvaluateConfig, benchmark: Benchmark, seeds: range, folder: Path, take: Take) -> None:
    if config.through == "graph":
        from qtopt_learner.evaluate_graph import play_graph

        play_graph(config, benchmark, seeds, folder, take)
        return
    jobs = [Job(policy, seed) for policy in config.policies for seed in seeds]
    for result in play_all(EnvPlayers(config), jobs, config.workers):
        take(result)


class Bars:
    """One progress bar per policy that shows its success rate so far. A context manager.

    Args:
        policies: names.
        episodes: expected of each.
        console: to draw on.
    """

    def __init__(self, policies: tuple[str, ...], episodes: int, console: Console) -> None:
        self._progress = Progress(*COLUMNS, console=console)
        self._rates = dict.fromkeys(policies, Rate(0, 0))
        self._tasks = {name: self._progress.add_task(name, total=episodes, rate="") for name in policies}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def showing(self, take: Take) -> Take:
        """Return `take`, preceded by a step of the policy's bar."""

        def call(result: EpisodeResult) -> None:
            won = result.success if result.truth is None else result.truth
            before = self._rates[result.policy]
            rate = Rate(before.successes + bool(won), before.trials + 1)
            self._rates[result.policy] = rate
            self._progress.update(self._tasks[result.policy], advance=1, rate=str(rate))
            take(result)

        return call
