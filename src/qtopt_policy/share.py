"""Where the package's data files (config, urdf, worlds, launch, models) lie."""

import sys
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path

from qtopt_policy.errors import MissingDependencyError

PACKAGE = "qtopt_grasping"


def share_directory() -> Path:
    """Return the folder that holds config/, urdf/, worlds/ and launch/.

    A source checkout is its own share folder; an installation has it under share/ of its prefix
    (ament_index for a colcon workspace, sys.prefix for pip).

    Raises:
        MissingDependencyError: neither is found.
    """
    source = Path(__file__).resolve().parents[2]
    if (source / "package.xml").is_file() and (source / "config").is_dir():
        return source
    candidates = [Path(sys.prefix) / "share" / PACKAGE]
    try:
        from ament_index_python.packages import get_package_share_directory

        candidates.insert(0, Path(get_package_share_directory(PACKAGE)))
    except (ImportError, LookupError, OSError):
        pass  # pip installation without a ROS environment
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise MissingDependencyError(f"{PACKAGE}: no share folder in {', '.join(map(str, candidates))}")


def resolve(path: Path) -> Path:
    """Return `path` if it is absolute or exists, else the file of that name in the share folder.

    `package://<package>/<path>` (pathlib folds the two slashes) lies in the share
    folder of another package.

    Raises:
        MissingDependencyError: that package is not installed.
    """
    if path.parts[:1] == ("package:",) and len(path.parts) > 2:
        return package_share(path.parts[1]).joinpath(*path.parts[2:])
    return path if path.is_absolute() or path.exists() else share_directory() / path


def package_share(name: str) -> Path:
    """Return the share folder of a ROS package; MissingDependencyError if ament_index does not know it."""
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory(name))
    except (ImportError, LookupError, OSError, ValueError) as error:
        raise MissingDependencyError(
            f"package '{name}' is not installed: apt install ros-$ROS_DISTRO-{name.replace('_', '-')}, "
            "or source the workspace that holds it"
        ) from error


@cache
def package_version() -> str:
    """Return the version of this package, as package.xml says."""
    return str(ElementTree.parse(share_directory() / "package.xml").findtext("version"))
