"""mypy --strict on the packages and on all tests, as a test."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.linter
@pytest.mark.timeout(300)  # a first run reads torch
def test_mypy_strict() -> None:
    command = [sys.executable, "-m", "mypy", "src", "test", "bench", "launch", "tools", "examples"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.linter
def test_every_package_ships_its_type_marker() -> None:
    packages = {path.parent for path in (ROOT / "src").glob("*/__init__.py")}
    assert packages
    assert all((package / "py.typed").is_file() for package in packages)
