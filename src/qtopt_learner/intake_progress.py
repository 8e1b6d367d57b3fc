"""Many episodes taken in at once: several processes read, a bar shows how far they are."""

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qtopt_learner.intake import Intake

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(bar_width=20),
    MofNCompleteColumn(),
    TextColumn("files"),
    TimeRemainingColumn(),
)
# Up to so many files are read before the processes that could help have started.
FEW = 32
MOST_WORKERS = 8


def take_many(intake: Intake, paths: Sequence[Path], console: Console, label: str) -> int:
    """Take every new source below the paths, many with a bar and a process per core; errors as `take_all`.

    Args:
        intake: takes them.
        paths: of shards, bags and their folders.
        console: for the bar; no other may be live on it.
        label: what the bar says.

    Returns:
        The number of new rows.
    """
    total = len(intake.new_sources(paths))
    if total <= FEW:
        return intake.take_all(paths)
    with Progress(*COLUMNS, console=console) as bar:
        task = bar.add_task(label, total=total)
        workers = min(os.cpu_count() or 1, MOST_WORKERS)
        return intake.take_all(paths, lambda done: bar.update(task, completed=done), workers)
