"""Choice of the OpenGL backend, and what is said when there is none."""

import ctypes.util
import subprocess
import sys

import pytest

from grasp_bringup.sim.render import pick_backend
from qtopt_policy.errors import ConfigError, MissingDependencyError


def only(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    def find(name: str) -> str | None:
        return f"lib{name}.so" if name in libraries else None

    monkeypatch.setattr(ctypes.util, "find_library", find)


def test_what_is_installed_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    only(monkeypatch, "EGL")
    assert pick_backend() == "egl"
    only(monkeypatch, "OSMesa")
    assert pick_backend() == "osmesa"


def test_mujoco_gl_decides_when_both_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "EGL", "OSMesa")
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert pick_backend() == "egl"


def test_without_any_the_error_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    only(monkeypatch)
    with pytest.raises(MissingDependencyError, match=r"apt-get install libosmesa6 .*libegl1"):
        pick_backend()


def test_a_backend_that_is_asked_for_but_missing_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "EGL")
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(MissingDependencyError, match="libOSMesa is not installed"):
        pick_backend()


def test_backend_that_needs_a_screen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    with pytest.raises(ConfigError, match=r"MUJOCO_GL=glfw.*osmesa, egl"):
        pick_backend()


LEFT_OPEN = """
import tempfile
folder = tempfile.TemporaryDirectory()  # asks for its own end before the renderer does
from grasp_bringup.sim.env import GraspEnv
env = GraspEnv()
env.reset(seed=0)
"""


def test_an_environment_left_open_ends_without_a_word() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
