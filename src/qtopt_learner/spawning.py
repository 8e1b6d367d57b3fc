"""What a process inherits that is started by spawning."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# One core per process: more threads in each only fight for the same cores.
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@contextmanager
def one_thread() -> Iterator[None]:
    """Set what a spawned child reads before it imports anything; what was set before comes back."""
    before = {key: os.environ.get(key) for key in THREADS}
    os.environ.update(THREADS)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
