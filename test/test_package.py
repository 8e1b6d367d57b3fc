"""The package as a user gets it: installed with pip, built with colcon."""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGED = [
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "config",
    "constraints.txt",
    "launch",
    "models",
    "package.xml",
    "pyproject.toml",
    "requirements.txt",
    "resource",
    "scripts",
    "setup.cfg",
    "setup.py",
    "src",
    "urdf",
    "worlds",
]
WEIGHTS = Path("models/compact_wrist/policy.safetensors")
EXECUTABLES = {
    "policy_node",
    "collector_node",
    "guard_node",
    "dead_man_node",
    "servo_node",
    "moveit_node",
    "moveit_servo_node",
    "gripper_node",
    "sim_node",
    "gazebo_node",
    "qtopt",
}

# Keys of rosdistro 8468e88c (2026-08-22): rosdep/python.yaml, and packages of both Jazzy and Kilted.
# A key that is not here must be looked up there first: rosdep stops a whole workspace at an unknown one.
ROSDEP_KEYS = {
    "ament_index_python",
    "ament_python",
    "builtin_interfaces",
    "control_msgs",
    "controller_manager",
    "controller_manager_msgs",
    "cv_bridge",
    "diagnostic_msgs",
    "forward_command_controller",
    "geometry_msgs",
    "gz_ros2_control",
    "image_view",
    "joint_state_broadcaster",
    "joint_trajectory_controller",
    "launch",
    "launch_ros",
    "moveit_configs_utils",
    "moveit_msgs",
    "moveit_py",
    "moveit_servo",
    "rcl_interfaces",
    "rclpy",
    "robot_state_publisher",
    "ros_gz_bridge",
    "ros_gz_sim",
    "rosgraph_msgs",
    "sensor_msgs",
    "shape_msgs",
    "std_msgs",
    "std_srvs",
    "trajectory_msgs",
    "visualization_msgs",
    "xacro",
    "python3-hypothesis",
    "python3-numpy",
    "python3-opencv",
    "python3-pytest",
    "python3-yaml",
}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command of the tested interpreter; return its output, fail with it otherwise."""
    result = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "source"
    folder.mkdir()
    for name in PACKAGED:
        path = ROOT / name
        if path.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(path, folder / name, ignore=ignore)
        elif path.exists():
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def pip_prefix(source: Path) -> Path:
    prefix = source.parent / "prefix"
    offline = ("--ignore-installed", "--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    run("-m", "pip", "install", *offline, "--prefix", prefix, source, cwd=source.parent)
    return prefix


@pytest.fixture(scope="module")
def colcon_install(source: Path) -> tuple[Path, str]:
    """Return the prefix of the built package and what colcon printed."""
    workspace = source.parent / "workspace"
    shutil.copytree(source, workspace)
    output = run("-m", "colcon", "build", cwd=workspace)
    return workspace / "install" / "qtopt_grasping", output


def test_version_is_written_in_one_place() -> None:
    version = ElementTree.parse(ROOT / "package.xml").findtext("version")
    shown = run("setup.py", "--version", cwd=ROOT).split()[-1]
    assert shown == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_manifest_is_valid_for_catkin_pkg() -> None:
    from catkin_pkg.package import parse_package

    package = parse_package(str(ROOT))
    package.validate()
    assert package.get_build_type() == "ament_python"


def test_every_rosdep_key_is_known() -> None:
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    keys = {element.text for element in manifest if element.tag.endswith("depend")}
    assert keys <= ROSDEP_KEYS, f"not in rosdistro: {keys - ROSDEP_KEYS}"


def test_pip_installs_what_ament_index_finds(pip_prefix: Path) -> None:
    code = (
        "from ament_index_python.packages import get_package_share_directory as share;"
        "print(share('qtopt_grasping'))"
    )
    output = run("-c", code, cwd=pip_prefix, AMENT_PREFIX_PATH=str(pip_prefix))
    share = Path(output.split()[-1])
    assert share == pip_prefix / "share" / "qtopt_grasping"
    assert {path.name for path in share.iterdir()} >= {"package.xml", "config", "urdf", "launch", "worlds"}
    assert (share / WEIGHTS).read_bytes() == (ROOT / WEIGHTS).read_bytes()


def test_pip_installs_executables_for_ros2_run(pip_prefix: Path) -> None:
    folder = pip_prefix / "lib" / "qtopt_grasping"
    assert {path.name for path in folder.iterdir()} == EXECUTABLES
    for path in folder.iterdir():
        assert os.access(path, os.X_OK), path
        assert path.read_text().startswith("#!/usr/bin/env python3\n"), path


def test_pip_installs_every_module_and_its_type_marker(pip_prefix: Path) -> None:
    site = next((pip_prefix / "lib").glob("python3*")) / "site-packages"
    for package in ("qtopt_policy", "qtopt_collector", "grasp_bringup", "qtopt_learner"):
        assert (site / package / "py.typed").is_file()
        expected = {path.relative_to(ROOT / "src") for path in (ROOT / "src" / package).rglob("*.py")}
        assert expected == {path.relative_to(site) for path in (site / package).rglob("*.py")}


def test_installed_package_finds_its_share_folder(pip_prefix: Path) -> None:
    site = next((pip_prefix / "lib").glob("python3*")) / "site-packages"
    code = "from qtopt_policy.share import share_directory; print(share_directory())"
    environment = {"PYTHONPATH": str(site), "AMENT_PREFIX_PATH": str(pip_prefix)}
    output = run("-c", code, cwd=pip_prefix, **environment)
    assert Path(output.split()[-1]) == pip_prefix / "share" / "qtopt_grasping"


def test_colcon_finds_and_builds_the_package_exactly_once(colcon_install: tuple[Path, str]) -> None:
    prefix, output = colcon_install
    assert output.count("Starting >>> ") == 1
    assert output.count("Finished <<< ") == 1
    assert (prefix / "share/ament_index/resource_index/packages/qtopt_grasping").is_file()


def test_colcon_installs_executables_and_shared_files(colcon_install: tuple[Path, str]) -> None:
    prefix, _ = colcon_install
    executables = list((prefix / "lib" / "qtopt_grasping").iterdir())
    assert {path.name for path in executables} == EXECUTABLES
    assert all(os.access(path, os.X_OK) for path in executables)
    assert (prefix / "share/qtopt_grasping/package.xml").is_file()
    assert (prefix / "share/qtopt_grasping/config/robots/sim.yaml").is_file()
    assert (prefix / "share/qtopt_grasping" / WEIGHTS).read_bytes() == (ROOT / WEIGHTS).read_bytes()
