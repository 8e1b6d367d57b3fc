"""What the report shows of a run, read from its folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtopt_collector.report.recording import Recording
from qtopt_collector.report.score import EpisodeResult
from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.report.curves import Series, collect
from qtopt_learner.report.episodes import own_sources, recordings, source_results, spread
from qtopt_policy.errors import ConfigError

CONFIG_FILE, SCORES = "run.json", "scores.json"


@dataclass(frozen=True, eq=False)
class RunContents:
    """A training run as far as it got.

    Attributes:
        folder: of the run.
        config: what was asked for (RunConfig as a mapping).
        series: the numbers of metrics.csv by name.
        step: newest gradient step with a number.
        seconds: that the run had lasted by then.
        results: outcomes of its own episodes, the oldest first.
        films: some of its own episodes, the oldest first.
        evaluations: results of `qtopt evaluate`, by file name.
        scores: of a run on a Gymnasium environment, random and learned.
        refused: why shards, bags or folders of its own episodes are left out.
    """

    folder: Path
    config: Mapping[str, Any]
    series: Mapping[str, Series]
    step: int
    seconds: float
    results: tuple[EpisodeResult, ...]
    films: tuple[Recording, ...]
    evaluations: Mapping[str, Mapping[str, Any]]
    scores: tuple[Mapping[str, Any], ...] = ()
    refused: tuple[str, ...] = ()


def read_run(folder: Path, films: int, evaluations: tuple[Path, ...] = ()) -> RunContents:
    """Read a run, which may still be going on; episodes that cannot be read are left out and named.

    Args:
        folder: of the run.
        films: episodes to show whole.
        evaluations: files of `qtopt evaluate`, beside those named evaluation*.json in the folder.

    Raises:
        ConfigError: the folder holds no run, or a file of it cannot be read.
    """
    rows = read_metrics(folder / CSV_FILE)
    if not rows:
        raise ConfigError(f"{folder / CSV_FILE}: no numbers of a training run")
    config = read_json(folder / CONFIG_FILE)
    sources, missing = own_sources(folder, config)
    results, torn = source_results(sources)
    shown, broken = recordings(spread(list(results), films)) if films else ([], [])
    files = [*sorted(folder.glob("evaluation*.json")), *evaluations]
    return RunContents(
        folder=folder,
        config=config,
        series=collect(rows),
        step=max(int(row["step"]) for row in rows),
        seconds=max(float(row["seconds"]) for row in rows),
        results=tuple(result for found in results.values() for result in found),
        films=tuple(shown),
        evaluations={str(path): read_json(path) for path in files},
        scores=tuple(read_json(folder / SCORES)["scores"]) if (folder / SCORES).exists() else (),
        refused=(*missing, *torn, *broken),
    )


def read_json(path: Path) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found
