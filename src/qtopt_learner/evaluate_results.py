"""What an evaluation leaves: a table on the screen and a JSON file."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from qtopt_collector.report.score import EpisodeResult, Rate, Score, score
from qtopt_learner.cli_config import EvaluateConfig
from qtopt_policy.config import to_mapping

COLUMNS = ("policy", "episodes", "success [95 %]", "as judged [95 %]", "steps")


@dataclass(frozen=True)
class Evaluation:
    """What was run and what came out, as far as it got.

    Attributes:
        command: command line that repeats it.
        config: what was asked for.
        digest: of the benchmark.
        seeds: of the scenes, in the order of the episodes.
        results: of all finished episodes, by policy and seed.
        trouble: the error that ended it early, "" where none did.
    """

    command: str
    config: EvaluateConfig
    digest: str
    seeds: tuple[int, ...]
    results: tuple[EpisodeResult, ...]
    trouble: str = ""

    @property
    def scores(self) -> tuple[Score, ...]:
        """One score per policy, in the order asked for."""
        rows = self.results
        return tuple(score(name, (r for r in rows if r.policy == name)) for name in self.config.policies)

    @property
    def complete(self) -> bool:
        """Whether every episode asked for has finished."""
        return len(self.results) == len(self.config.policies) * len(self.seeds)


def seed_range(seeds: Sequence[int]) -> str:
    """Return seeds as text: first to last where they are consecutive."""
    if list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def score_table(title: str, rows: Sequence[Score]) -> Table:
    """Return one row per policy: success by ground truth and as judged, with 95 % intervals."""
    table = Table(title=title, box=SIMPLE_HEAD)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "policy" else "right", no_wrap=True)
    for row in rows:
        steps = f"{row.mean_steps:.1f}" if row.judged.trials else "-"
        table.add_row(row.policy, str(row.episodes), str(row.truth), str(row.judged), steps)
    return table


def end_lines(rows: Sequence[Score]) -> list[str]:
    """Return one line per policy: how its episodes ended, and where the judge was wrong."""
    return [
        f"{row.policy}: ended by "
        + ", ".join(f"{reason} {count}" for reason, count in row.end_reasons.items())
        + f"; judged wrongly {row.disagreements} of {row.truth.trials}"
        for row in rows
        if row.episodes
    ]


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything as JSON types."""
    return {
        "command": evaluation.command,
        "complete": evaluation.complete,
        "trouble": evaluation.trouble,
        "benchmark_digest": evaluation.digest,
        "config": to_mapping(evaluation.config),
        "seeds": list(evaluation.seeds),
        "scores": [_score(row) for row in evaluation.scores],
        "episodes": [asdict(row) for row in evaluation.results],
    }


def _score(row: Score) -> dict[str, Any]:
    return {
        "policy": row.policy,
        "episodes": row.episodes,
        "aborted": row.aborted,
        "truth": rate_values(row.truth),
        "judged": rate_values(row.judged),
        "disagreements": row.disagreements,
        "mean_steps": row.mean_steps if row.judged.trials else None,
        "end_reasons": row.end_reasons,
    }


def rate_values(rate: Rate) -> dict[str, Any]:
    """Return a rate as JSON types."""
    value = rate.value if rate.trials else None
    return {
        "successes": rate.successes,
        "trials": rate.trials,
        "rate": value,
        "interval_95": list(rate.interval),
    }


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write the results; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(as_json(evaluation), indent=1) + "\n")
    os.replace(part, path)
