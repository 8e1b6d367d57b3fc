"""Jobs of an evaluation, spread over worker processes; each depends on its policy and seed alone."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeVar

from qtopt_collector.report.score import EpisodeResult
from qtopt_policy.errors import QtoptError


@dataclass(frozen=True)
class Job:
    """One thing to play: name of the policy, seed of the scene and of the policy's randomness."""

    policy: str
    seed: int


class WorkerDiedError(QtoptError):
    """A worker process ended without a word."""


R = TypeVar("R")
Play = Callable[[Job], EpisodeResult]

_play: Callable[[Job], Any] | None = None


def play_all(make: Callable[[], Callable[[Job], R]], jobs: Sequence[Job], workers: int) -> Iterator[R]:
    """Play `jobs` and yield their results as they finish.

    Args:
        make: builds what plays one job; called once in each worker, so it must be picklable.
        jobs: the episodes.
        workers: number of processes; 1 plays in this process, 0 takes one process per core.

    Raises:
        WorkerDiedError: a worker died, or could not build what plays; its own words are on stderr.
        Whatever an episode raises. When the iteration ends early, episodes not yet begun are dropped.
    """
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count <= 1:
        play = make()
        yield from map(play, jobs)
        return
    pool = ProcessPoolExecutor(count, get_context("spawn"), _start, (make,))
    try:
        futures: list[Future[R]] = [pool.submit(_run, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise WorkerDiedError(f"one of {count} worker processes died: out of memory? ({error})") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(make: Callable[[], Callable[[Job], Any]]) -> None:
    global _play
    # Ctrl-C reaches the whole process group; only the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # One core per worker: more threads in each only fight for the same cores.
    os.environ["OMP_NUM_THREADS"] = "1"
    _play = make()


def _run(job: Job) -> Any:
    assert _play is not None
    return _play(job)
