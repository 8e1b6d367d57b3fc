"""ROS packages for tests: share folders in an ament index of their own."""

from collections.abc import Mapping
from pathlib import Path

import pytest


class Prefix:
    """An installation prefix, the only one that ament's index knows while the test runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._share = folder / "share"
        monkeypatch.setenv("AMENT_PREFIX_PATH", str(folder))

    def package(self, name: str, files: Mapping[str, str]) -> Path:
        """Install a package with these files; return its share folder."""
        index = self._share / "ament_index" / "resource_index" / "packages"
        index.mkdir(parents=True, exist_ok=True)
        (index / name).touch()
        for path, text in files.items():
            file = self._share / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return self._share / name
