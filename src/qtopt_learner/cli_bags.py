"""`qtopt bags info | check | repair | import | report | convert`."""

from collections.abc import Iterable
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from qtopt_collector.bags import layout
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.importer import import_bags
from qtopt_collector.bags.reader import open_bag, read_info
from qtopt_collector.bags.repair import repair_bag
from qtopt_collector.episode import EpisodeInfo
from qtopt_collector.report.page import megabytes
from qtopt_collector.report.source import write_report
from qtopt_learner import cli_config
from qtopt_learner.convert import convert
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

RIGHT = ("seed", "steps", "size")


def run(command: cli_config.BagsConfig) -> int:
    """Run one of the subcommands; return 0, or 1 where a bag was found wanting."""
    console = Console()
    if isinstance(command, cli_config.BagsInfo):
        return info(command, console)
    if isinstance(command, cli_config.BagsCheck):
        return check(command, console)
    if isinstance(command, cli_config.BagsRepair):
        return repair(command, console)
    if isinstance(command, cli_config.BagsImport):
        return import_recordings(command, console)
    if isinstance(command, cli_config.BagsConvert):
        return convert_episodes(command, console)
    return write_page(command, console)


def _bags(paths: Iterable[Path]) -> list[Path]:
    return [bag for path in paths for bag in layout.list_bags(path)]


def info(command: cli_config.BagsInfo, console: Console) -> int:
    """Print one row per bag, and why a bag cannot be read."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("bag", "policy", "seed", "outcome", "ended by", "steps", "size"):
        table.add_column(
            name, justify="right" if name in RIGHT else "left", no_wrap=name == "bag", overflow="fold"
        )
    unreadable = []
    for bag in _bags(command.paths):
        try:
            table.add_row(bag.name, *_row(bag))
        except BagError as error:
            unreadable.append(str(error))
    console.print(table)
    for reason in unreadable:
        console.print(f"[red]unreadable[/] {escape(reason)}", soft_wrap=True)
    return 1 if unreadable else 0


def _row(bag: Path) -> tuple[str, ...]:
    contents = open_bag(bag)
    known, steps = read_info(contents), len(contents.entries[topics.STEP])
    size = sum(file.stat().st_size for file in bag.iterdir())
    ends = (outcome(known), known.end_reason, str(steps), megabytes(size))
    return (known.policy, str(known.seed), *ends)


def outcome(known: EpisodeInfo) -> str:
    """Return the outcome as coloured text."""
    if known.aborted or known.success is None:
        return "[yellow]aborted[/]"
    return "[green]success[/]" if known.success else "[red]failure[/]"


def check(command: cli_config.BagsCheck, console: Console) -> int:
    """Read every bag whole; print everything that is wrong."""
    problems = {bag: check_bag(bag) for bag in _bags(command.paths)}
    for found in problems.values():
        for problem in found:
            console.print(f"[red]wrong[/] {escape(problem)}", soft_wrap=True)
    whole = sum(not found for found in problems.values())
    console.print(f"{whole} of {len(problems)} bags are whole")
    return 0 if whole == len(problems) else 1


def repair(command: cli_config.BagsRepair, console: Console) -> int:
    """Mend torn bags; print what became of each."""
    results = [repair_bag(bag) for bag in _bags(command.paths)]
    for result in results:
        steps = "" if result.steps is None else f", {result.steps} complete steps"
        console.print(f"{result.action:<9} {result.bag}: {result.reason}{steps}", soft_wrap=True)
    return 1 if any(result.action == "hopeless" for result in results) else 0


def import_recordings(command: cli_config.BagsImport, console: Console) -> int:
    """Import recordings; print what became of each episode and how its images fit."""
    results = import_bags(command.paths, command.out, command.namespace)
    for result in results:
        fit = result.alignment
        told = [] if fit is None else [f"images off by at most {fit.max_skew * 1000:.1f} ms"]
        if fit is not None and fit.dropped_frames:
            told.append(f"{fit.dropped_frames} frames dropped")
        told += [result.note] if result.note else []
        where = f"{result.bag}, {result.steps} steps" if result.bag else "[red]not imported[/]"
        console.print(f"{escape(result.episode_id)}: {where}; {escape('; '.join(told))}", soft_wrap=True)
    imported = sum(result.bag is not None for result in results)
    console.print(f"{imported} of {len(results)} episodes imported")
    return 0 if imported == len(results) else 1


def convert_episodes(command: cli_config.BagsConvert, console: Console) -> int:
    """Convert with a progress bar; print why an episode or a source was left out."""
    with Progress(console=console) as progress:
        task = progress.add_task(f"to {command.to}", total=None)
        result = convert(
            command.paths,
            command.out,
            command.to,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    for reason in result.refused:
        console.print(f"[red]left out[/] {escape(reason)}", soft_wrap=True)
    console.print(f"{result.episodes} episodes converted: {escape(str(command.out))}", soft_wrap=True)
    return 1 if result.refused else 0


def write_page(command: cli_config.BagsReport, console: Console) -> int:
    """Write the HTML report."""
    title = ", ".join(str(path) for path in command.paths)
    robot = load_robot(resolve(command.robot))
    report = write_report(command.paths, command.out, title, robot, shown=command.shown)
    for reason in report.refused:
        console.print(f"[red]left out[/] {escape(reason)}", soft_wrap=True)
    console.print(f"{len(report.recordings)} episodes: {command.out}", soft_wrap=True)
    return 1 if report.refused else 0
