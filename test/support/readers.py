"""What `read_all` reads with in tests: picklable, and importable in its processes."""

import os
import sys
import time
from pathlib import Path

import torch

from qtopt_learner.reading import read_all


def read_name(source: Path) -> str:
    return source.name


def read_threads(source: Path) -> tuple[int, int]:
    """Return the process and its number of threads."""
    return os.getpid(), torch.get_num_threads()


def read_or_die(source: Path) -> str:
    if source.name == "deadly":
        os._exit(9)
    return source.name


def read_or_fail(source: Path) -> str:
    if source.name == "bad":
        raise ValueError("as asked")
    return source.name


def read_marking(source: Path) -> str:
    source.write_text("")
    return source.name


def read_pid(source: Path) -> int:
    return os.getpid()


def main() -> None:
    """Tell the processes of two sources, then never end."""
    found = read_all(read_pid, [Path("a"), Path("b"), Path("c")], 2)
    sys.stdout.write(f"{next(found)} {next(found)}\n")
    sys.stdout.flush()
    time.sleep(600.0)


if __name__ == "__main__":
    main()
