"""MoveIt's parameters out of a robot's own MoveIt package, whatever its files are called (no ROS)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grasp_bringup.moveit_files import PIPELINES, Parameters, load_yaml, moveit_file
from qtopt_policy.errors import ConfigError, MissingDependencyError
from qtopt_policy.robot import RobotConfig
from qtopt_policy.share import package_share, resolve

if TYPE_CHECKING:
    from moveit_configs_utils import MoveItConfigsBuilder

LOG = logging.getLogger(__name__)

# What MoveIt's Setup Assistant calls the files, by the fields of MoveItFiles.
USUAL = {
    "kinematics": "kinematics.yaml",
    "joint_limits": "joint_limits.yaml",
    "controllers": "moveit_controllers.yaml",
    "pilz_cartesian_limits": "pilz_cartesian_limits.yaml",
}
# Files of config/moveit for parts that a package lacks and that the robot's own limits bound in any case.
OURS = {
    "joint_limits": "no_joint_limits.yaml",
    "pilz_cartesian_limits": "pilz_cartesian_limits.yaml",
}
KINEMATICS = "robot_description_kinematics"
SIMPLE = "moveit_simple_controller_manager"
PLUGINS = ("planning_plugins", "request_adapters", "response_adapters")


def package_parameters(robot: RobotConfig) -> Parameters:
    """Return the parameters of the robot's MoveIt package, with this package's requests (moveit_py.yaml).

    What the package lacks and this one has is taken from config/moveit; a warning says so.

    Raises:
        MissingDependencyError: the package, or moveit_configs_utils, is not installed.
        ConfigError: a file is missing or MoveItConfigsBuilder refuses one; or no controller moves the arm.
    """
    files = {part: part_file(robot, part) for part in USUAL}
    found = _built(robot, files)
    _complete_kinematics(found, robot, files["kinematics"])
    _complete_pipelines(found, robot)
    _complete_controllers(found, robot, files["controllers"])
    return found


def part_file(robot: RobotConfig, part: str) -> Path:
    """Return the file of one part of the robot's MoveIt package.

    That is what `driver.moveit_files` names; else the one with the usual name; else, of the parts in `OURS`,
    this package's.

    Raises:
        MissingDependencyError: the package is not installed.
        ConfigError: there is no such file; the message says what to set.
    """
    named: Path | None = getattr(robot.driver.moveit_files, part)
    if named is not None:
        return _existing(named, f"driver.moveit_files.{part}")
    package = robot.driver.moveit_package
    folder = package_share(package) / "config"
    if (folder / USUAL[part]).is_file():
        return folder / USUAL[part]
    if part not in OURS:
        there = ", ".join(sorted(path.name for path in folder.glob("*.yaml"))) or "no YAML file"
        raise ConfigError(
            f"MoveIt package '{package}': no {USUAL[part]} in {folder}, which has {there}. Name the file in "
            f"driver.moveit_files.{part} of robot '{robot.name}'"
        )
    LOG.warning("MoveIt package '%s' has no %s: taking config/moveit/%s", package, USUAL[part], OURS[part])
    return moveit_file(OURS[part])


def _existing(path: Path, key: str) -> Path:
    """Return the absolute path of a file; ConfigError, which names `key`, if there is none.

    MoveItConfigsBuilder takes relative paths for the MoveIt package's own.
    """
    found = resolve(path).absolute()
    if not found.is_file():
        raise ConfigError(f"{key}: {path}: no such file ({found})")
    return found


def _builder() -> "type[MoveItConfigsBuilder]":
    """Return the builder; MissingDependencyError if it is not installed."""
    try:
        from moveit_configs_utils import MoveItConfigsBuilder
    except ImportError as error:
        raise MissingDependencyError(
            "moveit_configs_utils is not installed: apt install ros-$ROS_DISTRO-moveit-configs-utils"
        ) from error
    return MoveItConfigsBuilder


@contextmanager
def _reading(robot: RobotConfig, path: Path | str, key: str) -> Iterator[None]:
    """Name the package, the file and the key to set where MoveItConfigsBuilder fails."""
    try:
        yield
    except Exception as error:  # what YAML, jinja2 and xacro raise; its own is a KeyError
        raise ConfigError(
            f"MoveIt package '{robot.driver.moveit_package}': MoveItConfigsBuilder cannot use {path}: "
            f"{type(error).__name__}: {error}. Correct it, or name another in {key} of robot '{robot.name}'"
        ) from error


def _built(robot: RobotConfig, files: dict[str, Path]) -> Parameters:
    """Let MoveItConfigsBuilder read the files; every name is given, so that it guesses none."""
    # Without a URDF the builder only warns, and waits for a topic.
    urdf, srdf = _existing(robot.urdf, "urdf"), _existing(robot.srdf, "srdf")
    package, kind = robot.driver.moveit_package, _builder()
    with _reading(robot, package_share(package), "driver.moveit_package"):
        builder = kind(robot.name, package_name=package)
        builder.planning_pipelines(pipelines=list(PIPELINES)).moveit_cpp(str(moveit_file("moveit_py.yaml")))
    with _reading(robot, urdf, "urdf"):
        builder.robot_description(str(urdf), robot.xacro_args)
    with _reading(robot, srdf, "srdf"):
        builder.robot_description_semantic(str(srdf), robot.xacro_args)
    readers = {
        "kinematics": builder.robot_description_kinematics,
        "controllers": builder.trajectory_execution,
        "joint_limits": builder.joint_limits,
        "pilz_cartesian_limits": builder.pilz_cartesian_limits,
    }
    for part, read in readers.items():
        with _reading(robot, files[part], f"driver.moveit_files.{part}"):
            read(str(files[part]))
    both = f"{files['joint_limits']} with {files['pilz_cartesian_limits']}"
    with _reading(robot, both, "driver.moveit_files"):  # the two are put together here
        return builder.to_moveit_configs().to_dict()


def _complete_kinematics(found: Parameters, robot: RobotConfig, path: Path) -> None:
    """Give the planning group a solver, without which MoveIt refuses every pose."""
    group, solvers = robot.driver.planning_group, found.setdefault(KINEMATICS, {}) or {}
    if group not in solvers:
        LOG.warning("%s has no solver for '%s': taking that of config/moveit/kinematics.yaml", path, group)
        (ours,) = load_yaml(moveit_file("kinematics.yaml")).values()
        found[KINEMATICS] = {**solvers, group: ours}


def _complete_pipelines(found: Parameters, robot: RobotConfig) -> None:
    """Give each pipeline its plugins: MoveItPy ends the process at one without (planning_pipeline.cpp).

    Packages whose launch file holds them (Franka's) have only planners in `ompl_planning.yaml`.
    """
    for name in PIPELINES:
        if "planning_plugins" not in (found[name] or {}):
            file = f"{name}_planning.yaml"
            package = robot.driver.moveit_package
            LOG.warning("%s of '%s' names no plugins: taking those of config/moveit", file, package)
            ours = load_yaml(moveit_file(file))
            found[name] = {**(found[name] or {}), **{key: ours[key] for key in PLUGINS}}


def _complete_controllers(found: Parameters, robot: RobotConfig, path: Path) -> None:
    """Put a bare list of controllers (Franka's) where MoveIt looks for it; check that one moves the arm."""
    given, ours = load_yaml(path), load_yaml(moveit_file("controllers.yaml"))
    if "controller_names" in given:
        for key in given:
            found.pop(key)
        found[SIMPLE] = given
    for key in ("moveit_controller_manager", "trajectory_execution"):
        if key not in found:
            LOG.warning("%s has no %s: taking that of config/moveit/controllers.yaml", path, key)
            found[key] = ours[key]
    if found["moveit_controller_manager"] == ours["moveit_controller_manager"]:
        _require_controller(found.get(SIMPLE, {}), robot, path)


def _require_controller(manager: dict[str, Any], robot: RobotConfig, path: Path) -> None:
    names = manager.get("controller_names") or []
    if not any(set(robot.arm_joints) <= set(manager.get(name, {}).get("joints", ())) for name in names):
        raise ConfigError(
            f"{path}: none of the controllers {list(names)} in {SIMPLE} moves all of "
            f"{list(robot.arm_joints)}. Correct the file, or name another in driver.moveit_files.controllers"
        )
