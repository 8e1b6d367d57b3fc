"""Processes of other processes, as Linux lists them."""

from pathlib import Path

ENDED = ("Z", "X")  # ended, and not yet asked how


def _status(pid: int) -> tuple[str, int]:
    """Return the state and the parent of a process; `X` and 0 if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    state, parent = text.rpartition(")")[2].split()[:2]  # the name before may hold anything
    return state, int(parent)


def lives(pid: int) -> bool:
    """Return whether a process has not ended."""
    return _status(pid)[0] not in ENDED


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [each for each in found if _status(each)[1] == pid and lives(each)]
