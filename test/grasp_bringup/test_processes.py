import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from grasp_bringup import processes, shared_memory
from grasp_bringup.processes import Child, stop_all, wait_any

STUBBORN = """
    import signal, sys, time
    for name in sys.argv[1:]:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
"""

POLITE = """
    import time
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("told")
"""


def start(folder: Path, code: str, *arguments: str, name: str = "child", ready: bool = True) -> Child:
    """Start a Python child and, if `ready`, wait until it has printed something."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    child = Child(name, command, os.environ, folder / f"{name}.log")
    while ready and not child.log.read_text():
        assert child.poll() is None, child.log.read_text()
        time.sleep(0.01)
    return child


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    grace = ((signal.SIGINT, 0.3), (signal.SIGTERM, 0.3), (signal.SIGKILL, 5.0))
    monkeypatch.setattr(processes, "GRACE", grace)


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    child = start(tmp_path, "import sys; print('out'); sys.stderr.write('err\\n')", ready=False)
    ended = wait_any([child], 10.0)
    assert ended is not None
    assert set(ended.last_lines().split()) == {"out", "err"}


def test_end_is_described_with_status_and_last_lines(tmp_path: Path) -> None:
    code = "import sys; print(*range(40), sep='\\n'); sys.exit(7)"
    ended = wait_any([start(tmp_path, code, ready=False)], 10.0)
    assert "child ended with status 7" in str(ended)
    assert "\n39" in str(ended)
    assert "\n20\n" not in str(ended)


def test_a_child_stops_by_interrupt(tmp_path: Path) -> None:
    ended = start(tmp_path, POLITE).stop()
    assert ended.status == 0
    assert "told" in ended.last_lines()


def test_a_child_deaf_to_interrupt_is_terminated(tmp_path: Path) -> None:
    assert start(tmp_path, STUBBORN, "SIGINT").stop().status == -signal.SIGTERM


def test_a_child_deaf_to_both_is_killed(tmp_path: Path) -> None:
    ended = start(tmp_path, STUBBORN, "SIGINT", "SIGTERM").stop()
    assert ended.status == -signal.SIGKILL
    assert "SIGKILL" in str(ended)


def test_children_stop_last_first_and_one_by_one(tmp_path: Path) -> None:
    code = """
        import sys, time
        try:
            print("ready", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            time.sleep(0.1)
            print("end", time.monotonic(), flush=True)
    """
    children = [start(tmp_path, code, name=name) for name in ("first", "second", "third")]
    exits = stop_all(children)
    ends = [float(ended.last_lines().split()[-1]) for ended in exits]
    assert [ended.name for ended in exits] == ["third", "second", "first"]
    assert ends[1] - ends[0] >= 0.1
    assert ends[2] - ends[1] >= 0.1


def test_wait_any_returns_none_while_all_run(tmp_path: Path) -> None:
    child = start(tmp_path, STUBBORN)
    assert wait_any([child], 0.0) is None
    child.stop()


def test_a_child_is_interrupted_when_its_parent_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    outer = textwrap.dedent(f"""
        import os, sys, time
        from pathlib import Path
        from grasp_bringup.processes import Child
        Child("child", [sys.executable, "-c", {textwrap.dedent(POLITE)!r}], os.environ, Path({str(log)!r}))
        time.sleep(60)
    """)
    source = Path(processes.__file__).parents[1]
    parent = subprocess.Popen([sys.executable, "-c", outer], env={**os.environ, "PYTHONPATH": str(source)})
    _wait_for(log, "ready")
    parent.kill()
    parent.wait()
    _wait_for(log, "told")


def _wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 20.0
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < deadline, f"no {text!r} in {log}"
        time.sleep(0.02)


NODE = """
    import os, rclpy
    os.environ.pop("FASTDDS_DEFAULT_PROFILES_FILE", None)
    rclpy.init()
    node = rclpy.create_node("leaves_a_segment")
    print("ready", flush=True)
    try:
        rclpy.spin(node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
"""


@pytest.mark.graph
def test_shared_memory_of_a_killed_node_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A domain that no other test takes: a node maps the segments of all that it meets.
    monkeypatch.setenv("ROS_DOMAIN_ID", str(215 + os.getpid() % 15))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    child = start(tmp_path, NODE)
    assert child.poll() is None
    segments = shared_memory.used_by(child.pid)
    assert segments
    child.kill()
    assert any(path.exists() for path in segments)
    child.remove_leftovers()
    # Ports may be in use by other tests.
    assert not [path for path in segments if path.exists() and "port" not in path.name]


def test_shared_memory_in_use_is_left_alone(tmp_path: Path) -> None:
    path = shared_memory.FOLDER / f"fastdds_test_{os.getpid()}"
    try:
        with path.open("wb"):
            assert shared_memory.remove_unused([path]) == ()
        assert shared_memory.remove_unused([path]) == (path,)
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)
