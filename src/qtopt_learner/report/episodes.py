"""What a run has played: outcomes of all its episodes, and a few of them whole, for film strips.

Its own episodes are shards or bags below `episodes` in its folder, and bags in the folders that it was told
to watch (online.bags).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qtopt_collector.bags.layout import METADATA, mcap_path
from qtopt_collector.report.recording import Recording, Trace
from qtopt_collector.report.score import EpisodeResult
from qtopt_collector.report.source import read_recording
from qtopt_learner.bag_watch import read_bag
from qtopt_learner.intake import find_sources
from qtopt_learner.reading import is_shard
from qtopt_learner.store import read_lengths, read_shard
from qtopt_policy.errors import BagError, QtoptError

EPISODES = "episodes"


def own_sources(run: Path, config: Mapping[str, Any]) -> tuple[list[Path], list[str]]:
    """Return the shards and bags of a run's own episodes, the oldest first, and why a folder has none.

    Args:
        run: its folder.
        config: run.json; its relative paths are seen from where the command runs, as for training.
    """
    own = run / EPISODES
    folders = [own] if own.is_dir() else []
    folders += [Path(name) for name in config.get("online", {}).get("bags", ())]
    found: dict[Path, Path] = {}
    refused = []
    for folder in folders:
        try:
            found |= {source.resolve(): source for source in find_sources(folder)}
        except BagError as error:
            refused.append(str(error))
    return in_order_of_time(found.values()), refused


def in_order_of_time(sources: Iterable[Path]) -> list[Path]:
    """Return shards and bags by the time at which they were written or closed, the oldest first."""
    return sorted(sources, key=lambda path: (_written(path), path.name))


def _written(source: Path) -> int:
    """Return the time [ns] at which a shard was written, a bag closed, or else its file written last."""
    files = [source] if is_shard(source) else [source / METADATA, mcap_path(source)]
    return next((file.stat().st_mtime_ns for file in files if file.is_file()), 0)


def source_results(sources: Iterable[Path]) -> tuple[dict[Path, list[EpisodeResult]], list[str]]:
    """Return the outcomes by shard or bag, without reading images, and why sources were left out."""
    results: dict[Path, list[EpisodeResult]] = {}
    refused = []
    for source in sources:
        try:
            results[source] = shard_results(source) if is_shard(source) else bag_results(source)
        except QtoptError as error:
            refused.append(str(error))
    return results, refused


def bag_results(bag: Path) -> list[EpisodeResult]:
    """Return the outcome of a bag's one episode; errors as `open_bag`."""
    closed = read_bag(bag)
    return [closed.result(closed.info.policy)]


def shard_results(path: Path) -> list[EpisodeResult]:
    """Return the outcomes of a shard's episodes, without reading their images; errors as `read_shard`."""
    return [
        EpisodeResult(info.policy, info.seed, info.success, info.truth, steps, info.end_reason)
        for info, steps in read_lengths(path)
    ]


def spread(sources: Sequence[Path], count: int) -> list[Path]:
    """Return `count` sources at even distances, with the first and the last (all if there are fewer)."""
    index = np.unique(np.linspace(0, len(sources) - 1, min(count, len(sources))).round().astype(int))
    return [sources[i] for i in index]


def recordings(sources: Sequence[Path]) -> tuple[list[Recording], list[str]]:
    """Return the last episode of each shard or bag, as the report of bags shows it, and why some are not."""
    found: list[Recording] = []
    refused = []
    for source in sources:
        try:
            found.append(_shard_recording(source) if is_shard(source) else read_recording(source))
        except QtoptError as error:
            refused.append(str(error))
    return found, refused


def _shard_recording(path: Path) -> Recording:
    episode = read_shard(path)[-1]
    steps = episode.steps
    return Recording(
        path=path,
        size=path.stat().st_size,
        episode=episode,
        topics=(),
        aperture=Trace(steps.stamp, steps.aperture),
        height=Trace(steps.stamp, steps.height_to_bottom),
    )
