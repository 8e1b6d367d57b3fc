"""Episodes from bags into a store and from a store into bags, every value as it was.

A store holds an episode: its steps, its camera and what is known about the whole. What a bag holds beyond
that (joint states, wishes to arm and gripper, images of the drop, the policy's latency) stays behind in the
bag. A bag made of a store says in its metadata that it was converted, and is read without joint states.
"""

import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np

from qtopt_collector.bags import layout
from qtopt_collector.bags.convert import write_episode
from qtopt_collector.bags.reader import read_episode
from qtopt_collector.bags.records import encode_camera, encode_info
from qtopt_collector.episode import Episode, Steps
from qtopt_learner.store import SUFFIX, StoreWriter, read_infos, read_shard, shard_paths
from qtopt_policy.errors import BagError, QtoptError

Kind = Literal["store", "bags"]
# Called with the sources done so far (a shard counts by the share of its episodes) and their number.
Progress = Callable[[float, int], None]
PREFIX = "converted"  # of the shards
UNFIT = (ValueError, OverflowError, struct.error)  # what a time that no message can hold raises


@dataclass(frozen=True)
class Conversion:
    """What became of the sources: episodes written, and why the others were left out, by file."""

    episodes: int
    refused: tuple[str, ...]


def convert(paths: Iterable[Path], out: Path, to: Kind, progress: Progress) -> Conversion:
    """Convert every episode at the paths; one that cannot be converted does not keep the others from it.

    Args:
        paths: bags or folders of bags for a store; stores or shards for bags. Each source is taken once.
        out: folder for the shards or bags, made if missing; what is in it stays as it is.
        to: what to write.
        progress: told how far it is.

    Raises:
        BagError: a path holds nothing to convert, or `out` cannot be used.
    """
    sources = list({source.resolve(): source for path in paths for source in _sources(path, to)}.values())
    _require_own_folder(out, to)
    layout.prepare_folder(out)
    return _to_store(sources, out, progress) if to == "store" else _to_bags(sources, out, progress)


def _sources(path: Path, to: Kind) -> list[Path]:
    if to == "store":
        return layout.list_bags(path)
    if path.name.endswith(SUFFIX) and path.is_file():
        return [path]
    found = shard_paths(path)
    if not found:
        reason = f"holds no shards (*{SUFFIX})" if path.exists() else "does not exist"
        raise BagError(f"{path}: {reason}; bags are made of stores and their shards")
    return found


def _require_own_folder(out: Path, to: Kind) -> None:
    """Keep shards and bags apart: whoever reads a folder with shards does not look for bags in it."""
    if to == "bags" and shard_paths(out):
        raise BagError(f"{out}: holds shards of a store: bags need a folder of their own")
    bags = [entry for entry in (out, *out.glob("*")) if layout.is_closed(entry) or layout.is_torn(entry)]
    if to == "store" and bags:
        raise BagError(f"{out}: holds bags ({bags[0].name}): a store needs a folder of its own")


def _to_store(bags: list[Path], out: Path, progress: Progress) -> Conversion:
    refused: list[str] = []
    places = _held(out)
    writer = StoreWriter(out, PREFIX)
    for done, bag in enumerate(bags):
        try:
            episode = read_episode(bag)
        except QtoptError as error:
            refused.append(str(error))
        else:
            name = episode.info.episode_id
            if name in places:
                refused.append(f"{bag}: {name} is in {places[name]} already; nothing is overwritten")
            else:
                places[name] = bag
                with _disk(out):
                    writer.append(episode)
        progress(done + 1, len(bags))
    with _disk(out):
        writer.flush()
    return Conversion(len(bags) - len(refused), tuple(refused))


def _to_bags(shards: list[Path], out: Path, progress: Progress) -> Conversion:
    refused: list[str] = []
    written = 0
    for done, shard in enumerate(shards):
        try:
            episodes = read_shard(shard)
        except BagError as error:
            refused.append(str(error))
            episodes = []
        for row, episode in enumerate(episodes):
            try:
                _write_bag(episode, shard, out)
                written += 1
            except QtoptError as error:
                refused.append(f"{shard}: {episode.info.episode_id}: {error}")
            progress(done + (row + 1) / len(episodes), len(shards))
        progress(done + 1, len(shards))
    return Conversion(written, tuple(refused))


def _held(store: Path) -> dict[str, Path]:
    """Return the shard of every episode in a store, by the episode's name; BagError where one is torn."""
    held: dict[str, Path] = {}
    for shard in shard_paths(store):
        held.update({info.episode_id: shard for info in read_infos(shard)})
    return held


def _write_bag(episode: Episode, shard: Path, out: Path) -> None:
    """Write the bag of an episode; it appears whole or not at all, and only if it reads back as it was."""
    target = out / layout.check_name(episode.info.episode_id)
    if target.exists():
        raise BagError(f"{target}: exists already; bags are never overwritten")
    with _disk(target), tempfile.TemporaryDirectory(prefix=".converting-", dir=out) as folder:
        try:
            bag = write_episode(Path(folder), episode, [], source=str(shard))
            different = _difference(read_episode(bag), episode)
        except (QtoptError, *UNFIT) as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from error
            raise BagError(str(error).replace(folder, str(out))) from error
        if different:
            raise BagError(f"{target}: a bag cannot hold its {different} as it is in the shard")
        bag.rename(target)
        layout.sync_folder(out)


def _difference(found: Episode, expected: Episode) -> str:
    """Return the name of the first part in which two episodes differ, "" where they are equal."""
    if encode_info(found.info) != encode_info(expected.info):
        return "information"
    if encode_camera(found.camera) != encode_camera(expected.camera):
        return "camera"
    for entry in fields(Steps):
        ours, theirs = getattr(found.steps, entry.name), getattr(expected.steps, entry.name)
        equal = ours == theirs if isinstance(ours, tuple) else np.array_equal(ours, theirs, equal_nan=True)
        if not equal:
            return entry.name
    return ""


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a BagError."""
    try:
        yield
    except OSError as error:
        raise BagError(f"{path}: cannot be written: {error.strerror or error}") from error
