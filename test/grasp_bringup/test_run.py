import os
import signal
import stat
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from grasp_bringup import processes, run, shared_memory
from grasp_bringup.run import NodeDiedError, RunningSystem, command, executable, run_system
from grasp_bringup.system import NodeSpec, SystemOptions, system_nodes
from qtopt_policy.errors import MissingDependencyError

WORKS = """
    import time
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopped")
"""
ENDS = "print('done')"
DIES = "import sys; print('out of luck'); sys.exit(3)"


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make tmp_path a prefix of ROS packages, and everything quicker."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    grace = ((signal.SIGINT, 5.0), (signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0))
    monkeypatch.setattr(processes, "GRACE", grace)
    monkeypatch.setattr(run, "DEATH_GRACE", 0.3)
    return tmp_path / "prefix"


def node(prefix: Path, name: str, code: str, required: bool = True) -> NodeSpec:
    """Install a script as the executable `name` of the package `fake`; return its spec."""
    path = prefix / "lib" / "fake" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return NodeSpec("fake", name, name, required=required)


def test_our_executables_run_with_this_interpreter() -> None:
    for spec in system_nodes(SystemOptions()):
        interpreter, path = executable(spec)
        assert interpreter == sys.executable
        assert Path(path).is_file()


def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    window = system_nodes(SystemOptions(headless=False))[0]
    with pytest.raises(MissingDependencyError, match=r"image_view.*apt install ros-.*-image-view"):
        executable(window)


def test_command_line_carries_name_namespace_and_remappings(packages: Path, tmp_path: Path) -> None:
    spec = node(packages, "talker", WORKS)
    spec = NodeSpec("fake", "talker", "t1", {"a.b": 1.5}, (("image", "other/image"),), "cell")
    line = command(spec, tmp_path / "parameters.yaml")
    assert line[0] == str(packages / "lib/fake/talker")
    assert "__node:=t1" in line
    assert "__ns:=/cell" in line
    assert "image:=other/image" in line


def test_all_nodes_run_and_are_stopped_on_leaving(packages: Path, tmp_path: Path) -> None:
    nodes = [node(packages, name, WORKS) for name in ("a", "b")]
    with RunningSystem(nodes, tmp_path / "logs") as running:
        assert running.poll() is None
        time.sleep(0.5)  # they must have come as far as to catch the interrupt
    assert all(child.poll() is not None for child in running.children)
    assert [(tmp_path / f"logs/{name}.log").read_text() for name in ("a", "b")] == ["stopped\n"] * 2


def test_nothing_is_left_when_a_later_node_cannot_start(packages: Path, tmp_path: Path) -> None:
    nodes = [node(packages, "a", WORKS), NodeSpec("missing", "x", "x")]
    running = RunningSystem(nodes, tmp_path / "logs")
    with pytest.raises(MissingDependencyError, match="missing"):
        running.__enter__()
    assert [child.name for child in running.children] == ["a"]
    assert running.children[0].poll() is not None


def test_the_end_of_the_last_node_ends_the_wait(packages: Path, tmp_path: Path) -> None:
    nodes = [node(packages, "a", WORKS), node(packages, "collector_node", ENDS)]
    with RunningSystem(nodes, tmp_path / "logs") as running:
        running.wait()
    assert (tmp_path / "logs/collector_node.log").read_text() == "done\n"


def test_a_death_is_reported_with_status_and_last_lines(packages: Path, tmp_path: Path) -> None:
    nodes = [node(packages, "collector_node", WORKS), node(packages, "servo_node", DIES)]
    with (
        RunningSystem(nodes, tmp_path / "logs") as running,
        pytest.raises(NodeDiedError, match=r"(?s)servo_node ended with status 3.*out of luck"),
    ):
        running.wait()


def test_the_collector_is_given_time_to_close_its_bag_after_a_death(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closes = "import time; time.sleep(0.8); print('closed')"
    nodes = [node(packages, "collector_node", closes), node(packages, "servo_node", DIES)]
    monkeypatch.setattr(run, "DEATH_GRACE", 5.0)
    with (
        RunningSystem(nodes, tmp_path / "logs") as running,
        pytest.raises(NodeDiedError, match="servo_node"),
    ):
        running.wait()
    assert "closed" in (tmp_path / "logs/collector_node.log").read_text()


def counting(folder: Path, deaths: int) -> str:
    """Return code of a node that dies as often as told, and then works."""
    return f"""
        import sys, time
        from pathlib import Path
        starts = Path({str(folder / "starts")!r})
        count = len(starts.read_text()) if starts.exists() else 0
        starts.write_text("x" * (count + 1))
        if count < {deaths}:
            sys.exit(3)
        time.sleep(60)
    """


def test_a_crashed_node_is_started_again_and_its_log_tells(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "RESTART_DELAY", 0.1)
    fragile = replace(node(packages, "policy_node", counting(tmp_path, deaths=2)), restarts=2)
    with RunningSystem([fragile], tmp_path / "logs") as running:
        end = time.monotonic() + 10.0
        while (tmp_path / "starts").read_text() != "xxx" if (tmp_path / "starts").exists() else True:
            assert running.poll(0.1) is None
            assert time.monotonic() < end
        assert running.poll(0.3) is None
    log = (tmp_path / "logs/policy_node.log").read_text()
    assert "policy_node ended with status 3; started again in 0.1 s, 1 restarts left" in log
    assert "0 restarts left" in log


def test_a_node_that_crashes_once_too_often_ends_the_system(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "RESTART_DELAY", 0.1)
    fragile = replace(node(packages, "policy_node", counting(tmp_path, deaths=9)), restarts=2)
    with (
        RunningSystem([node(packages, "collector_node", WORKS), fragile], tmp_path / "logs") as running,
        pytest.raises(NodeDiedError, match="policy_node ended with status 3"),
    ):
        running.wait()
    assert (tmp_path / "starts").read_text() == "xxx"


HOLDS = """
    import sys, time
    held = open({path!r}, "a")
    print("holds", flush=True)
    time.sleep(60)
"""


def test_shared_memory_of_a_replaced_node_is_removed_though_others_used_it_at_the_restart(
    packages: Path, tmp_path: Path
) -> None:
    path = shared_memory.FOLDER / f"fastdds_test_run_{os.getpid()}"
    spec = node(packages, "a", HOLDS.format(path=str(path)))
    with RunningSystem([spec], tmp_path / "logs") as running:
        while "holds" not in (tmp_path / "logs/a.log").read_text():
            time.sleep(0.05)
        with path.open():  # as another node, which heard the one that died
            running.child("a").kill()
            node(packages, "a", WORKS)
            running.restart("a")
            assert path.exists()
    assert not path.exists()


def test_a_collector_that_fails_is_reported(packages: Path, tmp_path: Path) -> None:
    with (
        RunningSystem([node(packages, "collector_node", DIES)], tmp_path / "logs") as running,
        pytest.raises(NodeDiedError, match="collector_node ended with status 3"),
    ):
        running.wait()


def test_a_window_may_be_closed(packages: Path, tmp_path: Path) -> None:
    slow = "import time; time.sleep(1.0)"
    nodes = [node(packages, "window", ENDS, required=False), node(packages, "collector_node", slow)]
    with RunningSystem(nodes, tmp_path / "logs") as running:
        begin = time.monotonic()
        running.wait()
        assert time.monotonic() - begin > 0.5  # it went on to the end of the collector


def test_progress_is_called_while_waiting(packages: Path, tmp_path: Path) -> None:
    calls: list[float] = []
    slow = "import time; time.sleep(1.0)"
    with RunningSystem([node(packages, "collector_node", slow)], tmp_path / "logs") as running:
        running.wait(progress=lambda: calls.append(time.monotonic()))
    assert len(calls) >= 3


def test_too_little_shared_memory_is_refused_before_anything_starts(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "free", lambda: 2**20)
    running = RunningSystem([node(packages, "a", WORKS)], tmp_path / "logs")
    with pytest.raises(MissingDependencyError, match="shm-size"):
        running.__enter__()
    assert running.children == []


def test_run_system_ends_on_sigterm_and_leaves_no_process(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[RunningSystem] = []

    class Recorded(RunningSystem):
        def __enter__(self) -> RunningSystem:
            started.append(self)
            return super().__enter__()

    nodes = (node(packages, "a", WORKS), node(packages, "collector_node", WORKS))
    monkeypatch.setattr(run, "system_nodes", lambda options: nodes)
    monkeypatch.setattr(run, "RunningSystem", Recorded)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_system(SystemOptions(), tmp_path / "logs")
    assert len(started[0].children) == 2
    assert all(child.poll() is not None for child in started[0].children)
