"""`qtopt compare`: two policies on the same scenes, or one policy in two worlds, scene by scene."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from qtopt_learner.cli_config import CompareConfig
from qtopt_policy.errors import ConfigError
from qtopt_policy.mdp import ABORTED
from qtopt_policy.statistics import mcnemar, paired_interval

COLUMNS = (
    "first",
    "second",
    "scenes",
    "first",
    "second",
    "difference [95 %]",
    "only first",
    "only second",
    "p",
)


@dataclass(frozen=True)
class Outcomes:
    """What a policy reached on each scene.

    Attributes:
        name: of the policy, and of the file it comes from.
        digest: of the benchmark.
        split: of the scenes.
        success: by seed of the scene: ground truth where it is known, else as judged; aborted ones left out.
    """

    name: str
    digest: str
    split: str
    success: dict[int, bool]


@dataclass(frozen=True)
class Comparison:
    """Two policies on the scenes that both have played.

    Attributes:
        first, second: names.
        scenes: how many.
        wins: successes of each.
        only: scenes in which that one alone succeeded.
    """

    first: str
    second: str
    scenes: int
    wins: tuple[int, int]
    only: tuple[int, int]

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference of the rates, first less second."""
        return paired_interval(*self.only, self.scenes)


def run(config: CompareConfig) -> int:
    """Print a row for each pair; return 0."""
    found = [outcomes for path in config.files for outcomes in read_outcomes(path)]
    if len(found) < 2:
        raise ConfigError(f"{config.files[0]}: one policy only, nothing to compare it with")
    rows = [compare(found[0], other) for other in found[1:]]
    console = Console()
    console.print(table(rows))
    console.print(f"benchmark {found[0].digest}, split {found[0].split}")
    return 0


def read_outcomes(path: Path) -> list[Outcomes]:
    """Read an evaluation, one entry per policy.

    Raises:
        ConfigError: the file is not one that `qtopt evaluate` wrote.
    """
    try:
        data = json.loads(path.read_text())
        names = list(data["config"]["policies"])
        digest, split = str(data["benchmark_digest"]), str(data["config"]["split"])
        episodes = [e for e in data["episodes"] if e["end_reason"] not in ABORTED]
        return [
            Outcomes(
                f"{name} ({path.stem})",
                digest,
                split,
                {e["seed"]: _won(e) for e in episodes if e["policy"] == name},
            )
            for name in names
        ]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a file of `qtopt evaluate`: {error!r}") from error


def _won(episode: dict[str, object]) -> bool:
    truth = episode["truth"]
    return bool(episode["success"] if truth is None else truth)


def compare(first: Outcomes, second: Outcomes) -> Comparison:
    """Compare two policies on the scenes of both.

    Raises:
        ConfigError: the benchmarks or splits differ, or no scene is common to both.
    """
    for what in ("digest", "split"):
        one, other = getattr(first, what), getattr(second, what)
        if one != other:
            raise ConfigError(
                f"{first.name} has the {what} {one}, {second.name} {other}: not the same scenes"
            )
    seeds = sorted(first.success.keys() & second.success.keys())
    if not seeds:
        raise ConfigError(f"{first.name} and {second.name} have no scene in common")
    pairs = [(first.success[seed], second.success[seed]) for seed in seeds]
    return Comparison(
        first.name,
        second.name,
        len(seeds),
        (sum(a for a, _ in pairs), sum(b for _, b in pairs)),
        (sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)),
    )


def table(rows: Sequence[Comparison]) -> Table:
    """Return one row per pair."""
    found = Table(title="the same scenes, paired", box=SIMPLE_HEAD)
    for index, name in enumerate(COLUMNS):
        found.add_column(name, justify="left" if index < 2 else "right")
    for row in rows:
        low, high = row.interval
        rates = [f"{100 * wins / row.scenes:.1f} %" for wins in row.wins]
        difference = 100 * (row.wins[0] - row.wins[1]) / row.scenes
        found.add_row(
            row.first,
            row.second,
            str(row.scenes),
            *rates,
            f"{difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]",
            *map(str, row.only),
            f"{mcnemar(*row.only):.3g}",
        )
    return found
