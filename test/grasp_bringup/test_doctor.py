from dataclasses import replace
from pathlib import Path

import pytest

from grasp_bringup import doctor
from grasp_bringup.doctor import LIBRARIES, PINS, diagnose
from grasp_bringup.finding import Finding
from grasp_bringup.machine import Machine, inspect_machine

VENV = Path("/home/me/.venv/lib/python3.12/site-packages")
ROS = Path("/opt/ros/jazzy/lib/python3.12/site-packages")
VERSIONS = {
    **dict.fromkeys(LIBRARIES, "1.0"),
    "numpy": "2.2.6",
    "torch": "2.13.0+cpu",
    "mujoco": "3.17.0",
    "rosbags": "0.11.9",
}
WITH_WHEELS = Machine(
    python=(3, 12),
    versions={**VERSIONS, "ros-rclpy": "9.1.2", "opencv-python-headless": "4.14.0.94"},
    rclpy=(VENV / "rclpy",),
    cv_bridge=(VENV / "cv_bridge",),
    fast_dds=(Path("/home/me/.venv/lib"),),
    gl=frozenset({"OSMesa"}),
    shared_memory=2**30,
)
ON_ROS = Machine(
    python=(3, 12),
    environ={"ROS_DISTRO": "jazzy"},
    versions=VERSIONS,
    rclpy=(ROS / "rclpy",),
    cv_bridge=(ROS / "cv_bridge",),
    fast_dds=(Path("/opt/ros/jazzy/lib"),),
    gl=frozenset({"EGL"}),
    ros_packages=frozenset({"launch", "launch_ros", "moveit_py", "moveit_servo"}),
    shared_memory=2**30,
)


def wrong(machine: Machine) -> list[Finding]:
    return [finding for finding in diagnose(machine) if finding.level == "wrong"]


def only(machine: Machine) -> Finding:
    """Return the one thing that is wrong."""
    (finding,) = wrong(machine)
    assert finding.mend, "names no command that mends it"
    return finding


def find(machine: Machine, subject: str) -> Finding:
    return next(finding for finding in diagnose(machine) if finding.subject == subject)


@pytest.mark.parametrize("machine", [WITH_WHEELS, ON_ROS], ids=["wheels", "ros"])
def test_a_healthy_machine_has_nothing_wrong(machine: Machine) -> None:
    assert wrong(machine) == []


def test_the_kind_of_installation_is_named() -> None:
    assert "wheels" in find(WITH_WHEELS, "ROS 2").text
    assert "jazzy" in find(ON_ROS, "ROS 2").text


def test_without_ros_both_ways_to_it_are_named() -> None:
    finding = only(replace(ON_ROS, rclpy=()))
    assert "[wheels]" in finding.mend
    assert "/opt/ros" in finding.mend


def test_two_rclpy_are_refused_by_their_places() -> None:
    finding = only(replace(WITH_WHEELS, rclpy=(VENV / "rclpy", ROS / "rclpy")))
    assert finding.subject == "mixture"
    assert str(VENV / "rclpy") in finding.text
    assert str(ROS / "rclpy") in finding.text


def test_two_fast_dds_are_refused_by_their_places() -> None:
    both = (Path("/home/me/.venv/lib"), Path("/opt/ros/jazzy/lib"))
    finding = only(replace(WITH_WHEELS, fast_dds=both))
    assert "two Fast DDS: /home/me/.venv/lib and /opt/ros/jazzy/lib" in finding.text


@pytest.mark.parametrize(
    ("name", "version"),
    [("numpy", "2.3.0"), ("numpy", "1.25.2"), ("opencv-python-headless", "5.0.0.1"), ("mujoco", "4.0.0")],
)
def test_a_version_outside_its_pin_is_refused_with_the_reason(name: str, version: str) -> None:
    finding = only(replace(WITH_WHEELS, versions={**WITH_WHEELS.versions, name: version}))
    reason = next(pin[3] for pin in PINS if pin[0] == name)
    assert version in finding.text
    assert reason in finding.text
    assert finding.mend.startswith(f"pip install '{name}>=")


def test_a_local_build_suffix_does_not_confuse_the_version() -> None:
    assert find(WITH_WHEELS, "torch") == Finding("torch", "ok", "2.13.0+cpu")


def test_missing_libraries_are_listed() -> None:
    versions = {name: version for name, version in VERSIONS.items() if name not in ("mcap", "torch")}
    assert only(replace(ON_ROS, versions=versions)).text == "not installed: torch, mcap"


def test_without_gl_the_packages_are_named() -> None:
    finding = only(replace(WITH_WHEELS, gl=frozenset()))
    assert "libosmesa6" in finding.mend


def test_a_gl_that_is_asked_for_must_be_installed() -> None:
    finding = only(replace(WITH_WHEELS, environ={"MUJOCO_GL": "egl"}))
    assert "EGL is not installed" in finding.text


def test_a_gl_that_needs_a_screen_is_refused() -> None:
    assert only(replace(WITH_WHEELS, environ={"MUJOCO_GL": "glfw"})).mend == "unset MUJOCO_GL"


def test_too_little_shared_memory_is_refused() -> None:
    finding = only(replace(WITH_WHEELS, shared_memory=16 * 2**20))
    assert "16 MB free" in finding.text
    assert "--shm-size" in finding.mend


def test_the_shared_memory_of_a_container_is_enough() -> None:
    assert wrong(replace(WITH_WHEELS, shared_memory=64 * 2**20)) == []


def test_the_wheels_have_no_other_rmw() -> None:
    assert only(replace(WITH_WHEELS, environ={"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"})).subject == "rmw"
    assert wrong(replace(ON_ROS, environ={"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"})) == []


def test_cv_bridge_comes_from_where_ros_comes_from() -> None:
    assert "pip install" in only(replace(WITH_WHEELS, cv_bridge=())).mend
    assert "apt install" in only(replace(ON_ROS, cv_bridge=())).mend


def test_an_old_python_is_refused() -> None:
    assert only(replace(WITH_WHEELS, python=(3, 9))).subject == "Python"


def test_parts_for_robots_may_be_absent() -> None:
    assert find(ON_ROS, "MoveIt").level == "ok"
    gazebo = find(ON_ROS, "Gazebo")
    assert gazebo.level == "absent"
    assert gazebo.mend == (
        "apt install ros-$ROS_DISTRO-ros-gz-sim ros-$ROS_DISTRO-ros-gz-bridge ros-$ROS_DISTRO-gz-ros2-control"
    )


def test_the_status_says_whether_something_must_be_mended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "inspect_machine", lambda: WITH_WHEELS)
    assert doctor.main() == 0
    monkeypatch.setattr(doctor, "inspect_machine", lambda: replace(WITH_WHEELS, gl=frozenset()))
    assert doctor.main() == 1
    assert "mend: apt-get install libosmesa6" in capsys.readouterr().out


def test_this_machine_can_be_inspected() -> None:
    machine = inspect_machine()
    assert machine.python >= (3, 10)
    assert "numpy" in machine.versions
    assert len(machine.rclpy) == 1
    assert machine.shared_memory > 0


def test_two_rclpy_on_the_path_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert inspect_machine().rclpy[0] == tmp_path / "rclpy"
    assert len(inspect_machine().rclpy) == 2


def test_a_second_fast_dds_on_the_library_path_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inspect_machine().fast_dds
    (tmp_path / "libfastrtps.so.2.14").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert tmp_path in inspect_machine().fast_dds
    assert tmp_path not in before
