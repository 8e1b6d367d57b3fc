"""Files of Fast DDS in /dev/shm: those that a killed process leaves behind are removed here.

A participant that ends by itself removes its segment; one that is killed cannot.
"""

import os
import re
from collections.abc import Container, Iterable
from pathlib import Path

FOLDER = Path("/dev/shm")
_MAPPED = re.compile(r"(/dev/shm/\S*fastdds\S*)")


def free() -> int:
    """Return the bytes that are free in /dev/shm."""
    status = os.statvfs(FOLDER)
    return status.f_bavail * status.f_frsize


def used_by(pid: int) -> frozenset[Path]:
    """Return the Fast DDS files that a process has mapped or open; empty if it is gone or not ours to ask."""
    found: set[str] = set()
    try:
        found.update(_MAPPED.findall(Path(f"/proc/{pid}/maps").read_text()))
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            found.update(_MAPPED.findall(os.readlink(descriptor)))
    except OSError:
        pass
    return frozenset(map(Path, found))


def _with_companions(path: Path) -> tuple[Path, ...]:
    """Return the file, its lock and its semaphore: they are in use only for moments, and left behind too."""
    stem = path.name.removeprefix("sem.").removesuffix("_el").removesuffix("_mutex")
    return tuple(path.with_name(name) for name in (stem, f"{stem}_el", f"sem.{stem}_mutex"))


def remove_unused(candidates: Iterable[Path], but: Container[int] = ()) -> tuple[Path, ...]:
    """Remove those of the `candidates` that no running process uses; return them, sorted.

    Args:
        candidates: files as `used_by` returns them.
        but: process ids whose use does not count: a process that has talked to one that was killed keeps
            the other's segment mapped until it ends.
    """
    left = {path for found in candidates for path in _with_companions(found) if path.exists()}
    if not left:
        return ()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) not in but:
            left -= {path for found in used_by(int(folder.name)) for path in _with_companions(found)}
    for path in left:
        path.unlink(missing_ok=True)
    return tuple(sorted(left))
