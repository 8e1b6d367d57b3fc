"""Episodes in bulk: many in one file, for mass collection where a bag each would dominate the time.

A store is a folder of shards. A shard is a zip of NumPy arrays (`numpy.load` reads it) with the steps of its
episodes one after another, and a JSON text with what is not numeric. It is written under a temporary name
and renamed, so that a shard that exists is whole. Several processes may write into one store at the same
time, each under its own prefix.

Whoever dies loses the episodes not yet flushed, unless it writes parts: a hidden file for each of them,
`.PREFIX-SHARD.episodes.npz.PLACE.part`, which readers pass over, which the shard replaces, and which the next
writer of the prefix takes up.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from qtopt_collector.bags.records import decode_camera, decode_info, encode_camera, encode_info
from qtopt_collector.episode import Episode, EpisodeInfo, Steps
from qtopt_policy.errors import BagError, ShapeError

SUFFIX = ".episodes.npz"
PART = ".part"
# Of a shard and of a place in it: no name of `a` is then one of `a-1`.
DIGITS = "[0-9]" * 6
META = "meta"
TEXTS = ("end_cause", "policy")
ARRAYS = tuple(entry.name for entry in fields(Steps) if entry.name not in TEXTS)
# zlib's fastest level: rendered images shrink about as much as on level 6, in a third of the time.
LEVEL = 1


def write_shard(path: Path, episodes: Sequence[Episode]) -> None:
    """Write episodes of equal image size into one file; it appears whole or not at all.

    Raises:
        ShapeError: there are no episodes, or their images differ in size.
        BagError: the file exists, as where two writers use one prefix; it stays as it is.
    """
    sizes = {episode.steps.image.shape[1:] for episode in episodes}
    if len(sizes) != 1:
        raise ShapeError(f"{path}: a shard needs images of one size, found {sorted(sizes) or 'no episode'}")
    temporary = path.with_name(f".{path.name.lstrip('.')}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            for name in ARRAYS:
                _write(archive, name, np.concatenate([getattr(e.steps, name) for e in episodes]))
            text = json.dumps([_meta(episode) for episode in episodes])
            _write(archive, META, np.frombuffer(text.encode(), dtype=np.uint8))
        file.flush()
        os.fsync(file.fileno())
    if path.exists():  # looked at last, when the long work is done
        temporary.unlink()
        raise BagError(f"{path}: exists already: does another writer use its prefix?")
    temporary.rename(path)


def _write(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        cast(Any, np.lib.format).write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _meta(episode: Episode) -> dict[str, object]:
    meta: dict[str, object] = {"info": encode_info(episode.info), "steps": len(episode.steps)}
    meta.update(encode_camera(episode.camera))
    meta.update({name: list(getattr(episode.steps, name)) for name in TEXTS})
    return meta


def read_shard(path: Path) -> list[Episode]:
    """Read the episodes of one file.

    Raises:
        BagError: the file is missing, torn or not a shard; the message names it and the reason.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ARRAYS}
            meta = json.loads(archive[META].tobytes())
        return _split(arrays, meta, str(path))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, ShapeError) as error:
        raise BagError(f"{path}: cannot be read as an episode shard: {error}") from error


def read_infos(path: Path) -> list[EpisodeInfo]:
    """Read what a file says about its episodes, without their steps; errors as `read_shard`."""
    return [info for info, _ in read_lengths(path)]


def read_lengths(path: Path) -> list[tuple[EpisodeInfo, int]]:
    """Read what a file says about its episodes, and how many steps each has; errors as `read_shard`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = json.loads(archive[META].tobytes())
        return [(decode_info(entry["info"], str(path)), int(entry["steps"])) for entry in meta]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BagError(f"{path}: cannot be read as an episode shard: {error}") from error


def _split(arrays: dict[str, NDArray[Any]], meta: list[dict[str, Any]], source: str) -> list[Episode]:
    ends = np.cumsum([entry["steps"] for entry in meta])
    for name, array in arrays.items():
        if len(array) != ends[-1]:
            raise ShapeError(f"{name} has {len(array)} rows, the episodes have {ends[-1]}")
    episodes = []
    for entry, end in zip(meta, ends, strict=True):
        rows = slice(int(end) - entry["steps"], int(end))
        columns: dict[str, Any] = {name: array[rows] for name, array in arrays.items()}
        columns.update({name: tuple(entry[name]) for name in TEXTS})
        info, camera = decode_info(entry["info"], source), decode_camera(entry["camera"], source)
        episodes.append(Episode(info, Steps(**columns), camera))
    return episodes


def shard_paths(folder: Path) -> list[Path]:
    """Return the finished shards of a store in a fixed order (by name); none if the folder is missing."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_store(folder: Path) -> Iterator[Episode]:
    """Read all episodes of a store, shard by shard; errors as `read_shard`."""
    for path in shard_paths(folder):
        yield from read_shard(path)


class StoreWriter:
    """Appends episodes to a store; a context manager that flushes at its end.

    Args:
        folder: of the store, made if missing.
        prefix: of the names of the shards; one writer at a time uses a prefix.
        per_shard: episodes after which a shard is written.
        parts: write each episode at once too, and begin with the parts of a writer that died.

    Raises:
        BagError: the folder cannot be made, or the prefix holds a dot.

    Attributes:
        refused: why parts were not taken up; they are removed.
    """

    def __init__(self, folder: Path, prefix: str, per_shard: int = 32, parts: bool = False) -> None:
        if "." in prefix:
            raise BagError(f"prefix '{prefix}' of an episode store: must not hold a dot")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BagError(f"{folder}: cannot hold an episode store: {error}") from error
        self.refused: list[str] = []
        self._folder = folder
        self._prefix = prefix
        self._per_shard = per_shard
        self._keeps_parts = parts
        self._waiting: list[Episode] = []
        self._parts: list[Path] = []
        self._place = 0  # in the shard to come
        for leftover in folder.glob(f".{prefix}-{DIGITS}{SUFFIX}.*.tmp"):
            leftover.unlink()  # of a writer that died
        taken = [int(path.name.split(".")[0].rsplit("-", 1)[1]) for path in self._shards()]
        self._next = max(taken, default=-1) + 1
        if parts:
            self._take_up()

    @property
    def number(self) -> int:
        """Of the next episode under the prefix; a shard that was flushed early counts as full."""
        return self._next * self._per_shard + self._place

    def count(self) -> int:
        """Return how many episodes the prefix has, those that wait included; errors as `read_infos`."""
        return len(self._waiting) + sum(len(read_infos(path)) for path in self._shards())

    def append(self, episode: Episode) -> Path | None:
        """Take an episode; return the path of the shard if this one filled it; errors as `write_shard`."""
        self._flush_other_size(episode)
        if self._keeps_parts:
            part = self._folder / f".{self._path().name}.{self._place:06d}{PART}"
            write_shard(part, [episode])
            self._parts.append(part)
        self._waiting.append(episode)
        self._place += 1
        return self.flush() if self._place >= self._per_shard else None

    def flush(self) -> Path | None:
        """Write what waits; return the path of the shard, None if nothing waited; errors as `write_shard`."""
        if not self._waiting:
            return None
        path = self._path()
        write_shard(path, self._waiting)
        for part in self._parts:
            part.unlink(missing_ok=True)
        self._waiting, self._parts, self._place = [], [], 0
        self._next += 1
        return path

    def _path(self) -> Path:
        return self._folder / f"{self._prefix}-{self._next:06d}{SUFFIX}"

    def _shards(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._prefix}-{DIGITS}{SUFFIX}"))

    def _flush_other_size(self, episode: Episode) -> None:
        if self._waiting and self._waiting[0].steps.image.shape[1:] != episode.steps.image.shape[1:]:
            self.flush()

    def _take_up(self) -> None:
        """Let the parts of a writer that died wait for their shard, less what it had written by then."""
        parts = sorted(self._folder.glob(f".{self._prefix}-{DIGITS}{SUFFIX}.{DIGITS}{PART}"))
        written = self._newest_ids() if parts else set()
        for part in parts:
            try:
                (episode,) = read_shard(part)
            except BagError as error:
                self.refused.append(str(error))
                part.unlink()
                continue
            if episode.info.episode_id in written:
                part.unlink()
                continue
            self._flush_other_size(episode)
            self._waiting.append(episode)
            self._parts.append(part)
            self._place = int(part.name.split(".")[-2]) + 1
        if self._place >= self._per_shard:
            self.flush()

    def _newest_ids(self) -> set[str]:
        """Return the episodes of the newest shard, none if it is torn; older ones have left no parts."""
        try:
            return {info.episode_id for path in self._shards()[-1:] for info in read_infos(path)}
        except BagError:
            return set()

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
