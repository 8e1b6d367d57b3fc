"""One thread for slow work, so that callbacks and heartbeats go on meanwhile."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Runs jobs one after the other; their results are handed over where `deliver` is called.

    Args:
        wake: called from the thread when a result is ready; it must bring about a call of `deliver`.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._results: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._pool = ThreadPoolExecutor(max_workers=1)

    def submit(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """Run `job` in the thread; `deliver` then calls `done` with its result or `failed` with its error."""
        self._pool.submit(self._run, job, done, failed)

    def wait_for(self, job: Callable[[], T]) -> T:
        """Run `job` in the thread and return its result, or raise its error; nothing is delivered."""
        return self._pool.submit(job).result()

    def _run(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        try:
            result = job()
        except Exception as error:  # whatever a policy raises ends its episode, not the node
            caught = error
            self._results.put(lambda: failed(caught))
        else:
            self._results.put(lambda: done(result))
        self._wake()

    def deliver(self) -> None:
        """Hand over all results that are ready, in the caller's thread."""
        while True:
            try:
                hand_over = self._results.get_nowait()
            except Empty:
                return
            hand_over()

    def close(self) -> None:
        """Drop what has not begun and wait for the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)
