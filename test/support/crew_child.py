"""A learner that is killed while its only member is still starting."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from qtopt_learner.crew import Crew

FOREVER = 90.0  # [s]


def note_the_end(file: Path, stopped: Callable[[], bool]) -> bool:
    """Write a file once told to stop; give up after a time."""
    end = time.monotonic() + FOREVER
    while not stopped():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    file.write_text("stopped\n")
    return False


def main(file: str) -> None:
    crew = Crew({"member": partial(note_the_end, Path(file))})
    assert crew.unfinished
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
