"""Run the ROS graph until its collector is done, and hand over every bag as it is closed."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from grasp_bringup.run import run_system
from grasp_bringup.system import SystemOptions
from qtopt_collector.report.score import Rate
from qtopt_learner.bag_watch import BagWatch, ClosedBag

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[rate]}"),
    TimeElapsedColumn(),
)


class _DeadlineError(Exception):
    """Time is up."""


def run_graph(
    options: SystemOptions, logs: Path, on_bag: Callable[[ClosedBag], None], deadline: float | None = None
) -> bool:
    """Run a system until it has collected all episodes or `deadline` [s] has passed.

    Args:
        options: what to run.
        logs: folder for the nodes' logs.
        on_bag: called with every bag that is closed, aborted ones included.
        deadline: after it the system is stopped; the episode under way is then aborted.

    Returns:
        Whether the system ended by itself.

    Raises:
        NodeDiedError: a node died; the bags closed until then were handed over.
        MissingDependencyError: a node is not installed.
        KeyboardInterrupt: Ctrl-C; everything has been stopped by then.
    """
    watch, start = BagWatch(options.bags), time.monotonic()

    def look() -> None:
        for bag in watch.poll():
            on_bag(bag)
        if deadline is not None and time.monotonic() - start > deadline:
            raise _DeadlineError

    try:
        run_system(options, logs, look)
    except _DeadlineError:
        return False
    finally:
        for bag in watch.poll():
            on_bag(bag)
    return True


class GraphProgress:
    """Prints a line per episode above a progress bar. A context manager.

    Args:
        console: to print on.
        episodes: expected.
        label: beside the bar.
    """

    def __init__(self, console: Console, episodes: int, label: str) -> None:
        self._console = console
        self._progress = Progress(*COLUMNS, console=console)
        self._task = self._progress.add_task(label, total=episodes, rate="nodes are starting")
        self._rate = Rate(0, 0)

    def __enter__(self) -> "GraphProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def showing(self, callback: Callable[[ClosedBag], None]) -> Callable[[ClosedBag], None]:
        """Return `callback` preceded by `add`."""

        def call(bag: ClosedBag) -> None:
            self.add(bag)
            callback(bag)

        return call

    def add(self, bag: ClosedBag) -> None:
        """Show an episode that has ended."""
        info = bag.info
        if not info.aborted:
            self._rate = Rate(self._rate.successes + bool(info.success), self._rate.trials + 1)
        self._console.print(episode_line(bag), soft_wrap=True)
        self._progress.update(self._task, advance=1, rate=str(self._rate))


def episode_line(bag: ClosedBag) -> str:
    """Return the outcome of an episode as one line with markup."""
    info = bag.info
    if info.aborted or info.success is None:
        outcome = f"[yellow]aborted ({info.end_reason})[/]"
    else:
        outcome = "[green]success[/]" if info.success else "[red]failure[/]"
    return f"{escape(info.episode_id)}  {escape(info.policy):<14} {bag.steps:>2} steps  {outcome}"
