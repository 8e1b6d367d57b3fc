"""Puts the double of `gz` on the PATH of a test."""

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

DOUBLE = Path(__file__).with_name("gz_double.py")


class GzWorld:
    """The world behind the double: a folder, which this makes and looks into."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        self._script = folder / "bin" / "gz"
        self.break_it("")
        patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def break_it(self, fault: str) -> None:
        """Let every call from now on show a fault; "" none."""
        words = [sys.executable, "-I", "-S", str(DOUBLE), str(self.folder), *filter(None, [fault])]
        self._script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} -- "$@"\n')
        self._script.chmod(0o755)

    def add(self, *names: str) -> None:
        """Put models into the world."""
        world: dict[str, Any] = {"start": time.time(), "queue": []}
        models = {name: {"pose": [0.5, 0, 0.1, 0, 0, 0, 1], "since": 0.0} for name in names}
        world.setdefault("models", {}).update(models)
        whole = self.folder / "world.json.new"
        whole.write_text(json.dumps(world))
        whole.rename(self.folder / "world.json")

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "world.json").read_text())
        return found

    @property
    def models(self) -> dict[str, list[float]]:
        """Where each model was put, x y z qx qy qz qw."""
        return {name: model["pose"] for name, model in self.read()["models"].items()}
