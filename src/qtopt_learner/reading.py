"""Sources of episodes (shards, bags) read and turned into rows, one at a time or several in processes.

Reading is decompressing, decoding and converting: work that other cores can do, while whoever appends to the
replay takes the results strictly in the order of the sources.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TypeVar

import numpy as np

from qtopt_collector.bags.reader import read_episode
from qtopt_collector.episode import Episode, EpisodeInfo
from qtopt_learner.rows import Rows
from qtopt_learner.spawning import one_thread
from qtopt_learner.store import SUFFIX, read_shard
from qtopt_learner.transitions import episode_rows
from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.errors import BagError, QtoptError
from qtopt_policy.mdp import MdpConfig

# Sources per process that are being read or wait for their turn: what bounds the memory.
AHEAD = 2

R = TypeVar("R")


class ReaderDiedError(QtoptError):
    """A process ended while it read; the message names the source."""


def is_shard(source: Path) -> bool:
    """Return whether a source is a shard by its name; the others are bags."""
    return source.name.endswith(SUFFIX)


def read_source(source: Path) -> list[Episode]:
    """Read the episodes of a shard or bag; errors as `read_shard` and `read_episode`."""
    return read_shard(source) if is_shard(source) else [read_episode(source)]


@dataclass(frozen=True, eq=False)
class Reading:
    """What was in one source.

    Attributes:
        source: its path.
        rows: of its usable episodes one after another; None where there are none.
        infos, cameras: of the usable episodes, in the same order.
        refused: reason by name of the source or an episode.
    """

    source: str
    rows: Rows | None = None
    infos: list[EpisodeInfo] = field(default_factory=list)
    cameras: list[CameraModel] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return 0 if self.rows is None else len(self.rows["reward"])


@dataclass(frozen=True)
class Reader:
    """Reads one source; picklable.

    Attributes:
        mdp: to learn with; episodes of another one are refused.
        opening: distance of the opened fingertips [m].
        mount: of the camera to learn with; episodes of a camera on another one are refused.
    """

    mdp: MdpConfig
    opening: float
    mount: Mount

    def read(self, source: Path) -> Reading:
        """Return the rows of a shard or bag; what cannot be used is named in `refused`, nothing is raised."""
        reading = Reading(str(source))
        try:
            episodes = read_source(source)
        except QtoptError as error:
            return Reading(str(source), refused={str(source): str(error)})
        parts = [rows for episode in episodes if (rows := self._convert(episode, reading)) is not None]
        return Reading(
            reading.source, join(parts) if parts else None, reading.infos, reading.cameras, reading.refused
        )

    def _convert(self, episode: Episode, reading: Reading) -> Rows | None:
        name, found = episode.info.episode_id, episode.camera.mount
        if found != self.mount:
            reading.refused[name] = f"camera mount {found}, this run has {self.mount}: --camera"
            return None
        try:
            rows = episode_rows(episode, self.mdp, self.opening)
        except BagError as error:
            reading.refused[name] = str(error)
            return None
        reading.infos.append(episode.info)
        reading.cameras.append(episode.camera)
        return rows


def join(parts: Sequence[Rows]) -> Rows:
    """Return rows one after another, column by column; at least one part."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_all(read: Callable[[Path], R], sources: Sequence[Path], workers: int) -> Generator[R, None, None]:
    """Read sources and yield what they hold, in their order.

    Args:
        read: reads one; picklable where there are several workers, and so is what it returns.
        sources: shards and bags.
        workers: processes that read; with 0 or 1 this one does. At most AHEAD sources each are in flight.

    Raises:
        ReaderDiedError: a process died; the message names the source that it was at.
        Whatever `read` raises.
    """
    count = min(workers, len(sources))
    if count <= 1:
        yield from map(read, sources)
        return
    # A pool each: a broken pool does not tell which of its processes died, nor at what.
    lanes = [ProcessPoolExecutor(1, get_context("spawn"), _start) for _ in range(count)]
    flying: deque[tuple[Path, Future[R]]] = deque()
    try:
        for number, source in enumerate(sources):
            if len(flying) >= AHEAD * count:
                yield _landed(*flying.popleft())
            flying.append((source, _launch(lanes[number % count], read, source)))
        while flying:
            yield _landed(*flying.popleft())
    finally:
        for lane in lanes:
            lane.shutdown(wait=True, cancel_futures=True)


def _launch(lane: ProcessPoolExecutor, read: Callable[[Path], R], source: Path) -> "Future[R]":
    try:
        with one_thread():  # a lane's process starts with its first source
            return lane.submit(read, source)
    except BrokenProcessPool as error:
        # Its process died at an earlier source, which comes to its turn, and is named, before this one.
        failed: Future[R] = Future()
        failed.set_exception(error)
        return failed


def _landed(source: Path, future: "Future[R]") -> R:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise ReaderDiedError(f"{source}: the process that read it died: out of memory? ({error})") from error


def _start() -> None:
    # Ctrl-C reaches the whole process group; only the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone: killed, it cannot say so, and a pool would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
