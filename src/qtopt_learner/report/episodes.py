"""What a run has played: outcomes of all its episodes, and a few of them whole, for film strips."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qtopt_collector.bags.records import decode_info
from qtopt_collector.report.recording import Recording, Trace
from qtopt_collector.report.score import EpisodeResult
from qtopt_learner.store import META, read_shard, shard_paths
from qtopt_policy.errors import BagError


def in_order_of_time(folder: Path) -> list[Path]:
    """Return the shards of a store, the oldest first."""
    return sorted(shard_paths(folder), key=lambda path: (path.stat().st_mtime_ns, path.name))


def shard_results(path: Path) -> list[EpisodeResult]:
    """Return the outcomes of a shard's episodes, without reading their images.

    Raises:
        BagError: it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = json.loads(archive[META].tobytes())
        infos = [(decode_info(entry["info"], str(path)), int(entry["steps"])) for entry in meta]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BagError(f"{path}: cannot be read as an episode shard: {error}") from error
    return [
        EpisodeResult(info.policy, info.seed, info.success, info.truth, steps, info.end_reason)
        for info, steps in infos
    ]


def spread(shards: Sequence[Path], count: int) -> list[Path]:
    """Return `count` shards at even distances, the first and the last among them (all if there are fewer)."""
    index = np.unique(np.linspace(0, len(shards) - 1, min(count, len(shards))).round().astype(int))
    return [shards[i] for i in index]


def recordings(shards: Sequence[Path]) -> list[Recording]:
    """Return the last episode of each shard, as the report of bags shows them.

    Raises:
        BagError: a shard cannot be read.
    """
    return [_recording(path) for path in shards]


def _recording(path: Path) -> Recording:
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
