"""What is installed on this machine, as plain data: what the doctor looks at and tests can invent."""

import ctypes.util
import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grasp_bringup import shared_memory

GL_LIBRARIES = ("OSMesa", "EGL")
PROGRAMS = ("ros2", "gz", "ign", "colcon")


@dataclass(frozen=True)
class Machine:
    """Facts about an installation.

    Attributes:
        python: version of the interpreter.
        environ: environment variables.
        versions: installed distributions by normalised name (lower case, hyphens).
        rclpy, cv_bridge: folders from which each could be imported, the first one wins.
        fast_dds: folders that hold the Fast DDS library.
        gl: those of GL_LIBRARIES that are installed.
        ros_packages: names in the ament index.
        programs: those of PROGRAMS that are on the PATH.
        shared_memory: bytes free in /dev/shm.
    """

    python: tuple[int, int]
    environ: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    rclpy: tuple[Path, ...] = ()
    cv_bridge: tuple[Path, ...] = ()
    fast_dds: tuple[Path, ...] = ()
    gl: frozenset[str] = frozenset()
    ros_packages: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    shared_memory: int = 0


def inspect_machine() -> Machine:
    """Look at this machine. Imports nothing that it looks for."""
    return Machine(
        python=(sys.version_info[0], sys.version_info[1]),
        environ=dict(os.environ),
        versions=_versions(),
        rclpy=_importable("rclpy"),
        cv_bridge=_importable("cv_bridge"),
        fast_dds=_folders_with_fast_dds(),
        gl=frozenset(name for name in GL_LIBRARIES if ctypes.util.find_library(name)),
        ros_packages=frozenset(_ros_packages()),
        programs=frozenset(name for name in PROGRAMS if shutil.which(name)),
        shared_memory=shared_memory.free(),
    )


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a broken installation has none
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return found


def _importable(module: str) -> tuple[Path, ...]:
    folders = (Path(entry).resolve() for entry in sys.path)
    found = (folder / module for folder in folders if (folder / module / "__init__.py").is_file())
    return tuple(dict.fromkeys(found))


def _folders_with_fast_dds() -> tuple[Path, ...]:
    """Look where the dynamic linker would: the wheels' folder, LD_LIBRARY_PATH, each sourced ROS prefix."""
    candidates = [Path(sys.prefix) / "lib"]
    candidates += map(Path, filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)))
    candidates += (prefix / "lib" for prefix in _prefixes())
    folders = dict.fromkeys(path.resolve() for path in candidates if path.is_dir())
    patterns = ("libfastdds.so*", "libfastrtps.so*")  # its names since and before version 3
    return tuple(path for path in folders if any(any(path.glob(pattern)) for pattern in patterns))


def _prefixes() -> list[Path]:
    return [Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]


def _ros_packages() -> Iterator[str]:
    for prefix in _prefixes():
        index = prefix / "share" / "ament_index" / "resource_index" / "packages"
        if index.is_dir():
            yield from (path.name for path in index.iterdir())
