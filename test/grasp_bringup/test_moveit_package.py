"""MoveIt's parameters out of packages with the layout that the shipped robots' drivers have."""

import logging
import re
import shutil
import sys
import types
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from grasp_bringup.moveit_config import moveit_parameters, own_parameters, servo_parameters
from grasp_bringup.moveit_files import FOLDER, moveit_file
from grasp_bringup.moveit_package import package_parameters
from qtopt_policy.drivers import MoveItFiles
from qtopt_policy.errors import ConfigError, MissingDependencyError
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from support.builder_double import MoveItConfigsBuilder
from support.moveit_packages import controllers, franka, solver, ur
from support.packages import Prefix

MANAGER = "moveit_simple_controller_manager"
SIM = load_robot(resolve(Path("config/robots/sim.yaml")))


@pytest.fixture(autouse=True)
def builder(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("moveit_configs_utils")
    module.MoveItConfigsBuilder = MoveItConfigsBuilder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "moveit_configs_utils", module)


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prefix:
    return Prefix(tmp_path / "prefix", monkeypatch)


@pytest.mark.parametrize(("name", "acceleration"), [("fr3", 3.75), ("panda", 4.0)])
def test_a_shipped_franka_gets_whole_parameters_from_frankas_layout(
    prefix: Prefix, name: str, acceleration: float
) -> None:
    robot = franka(prefix, name)
    found = moveit_parameters(robot)
    held = found[MANAGER]
    assert held["controller_names"] == [robot.driver.arm_controller, f"{name}_gripper"]
    assert held[robot.driver.arm_controller]["joints"] == list(robot.arm_joints)
    assert "controller_names" not in found
    assert found["moveit_controller_manager"].endswith("MoveItSimpleControllerManager")
    assert found["trajectory_execution"]["allowed_start_tolerance"] == 0.05
    for pipeline in ("ompl", "pilz_industrial_motion_planner"):
        assert found[pipeline]["planning_plugins"]
    assert found["ompl"]["planner_configs"] == {"RRT": {"type": "geometric::RRT", "range": 0.0}}
    assert robot.driver.planning_group in found["robot_description_kinematics"]
    planning = found["robot_description_planning"]
    assert planning["cartesian_limits"]["max_trans_vel"] == robot.limits.max_tool_speed
    for joint in robot.arm_joints:
        entry = planning["joint_limits"][joint]
        assert (entry["max_acceleration"], entry["max_velocity"]) == (acceleration, 1.0), joint


@pytest.mark.parametrize("name", ["fr3", "panda"])
def test_a_shipped_franka_moves_its_tool_with_moveit_servo(prefix: Prefix, name: str) -> None:
    robot = franka(prefix, name)
    assert servo_parameters(robot)["moveit_servo.move_group_name"] == robot.driver.planning_group
    flange = replace(robot, driver=replace(robot.driver, planning_group=f"{name}_arm"))
    moveit_parameters(flange)  # the hand is fixed to the flange: MoveIt's solver takes its pose
    with pytest.raises(ConfigError, match=f"{name}_link8.*{name}_hand_tcp.*{robot.driver.planning_group}"):
        servo_parameters(flange)


def test_a_shipped_ur_gets_whole_parameters_from_urs_layout(prefix: Prefix, tmp_path: Path) -> None:
    robot = ur(prefix, tmp_path)
    found = moveit_parameters(robot)
    assert found[MANAGER]["controller_names"][0] == robot.driver.arm_controller
    assert found["trajectory_execution"] == {"allowed_start_tolerance": 0.01}  # the package's own
    assert found["robot_description_kinematics"] == solver("ur_manipulator")
    assert servo_parameters(robot)["moveit_servo.move_group_name"] == "ur_manipulator"


PARTS = {
    "kinematics.yaml": yaml.safe_dump(solver("arm")),
    "joint_limits.yaml": moveit_file("joint_limits.yaml").read_text(),
    "moveit_controllers.yaml": moveit_file("controllers.yaml").read_text(),
    "pilz_cartesian_limits.yaml": moveit_file("pilz_cartesian_limits.yaml").read_text(),
}


def mine(prefix: Prefix, files: Mapping[str, str | None] = PARTS) -> RobotConfig:
    """Return the simulated arm with a MoveIt package of its own, which has these files (None: not)."""
    present = {f"config/{name}": text for name, text in {**PARTS, **files}.items() if text is not None}
    prefix.package("my_moveit_config", present)
    return replace(SIM, driver=replace(SIM.driver, moveit_package="my_moveit_config"))


def test_a_package_with_the_usual_names_needs_nothing_of_ours(
    prefix: Prefix, caplog: pytest.LogCaptureFixture
) -> None:
    found = package_parameters(mine(prefix))
    assert found["robot_description_kinematics"] == solver("arm")
    assert found["robot_description"].endswith(own_parameters(SIM)["robot_description"].split("-->")[-1])
    assert caplog.records == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"joint_limits.yaml": None}, "my_moveit_config.*joint_limits.yaml.*no_joint_limits.yaml"),
        ({"pilz_cartesian_limits.yaml": None}, "my_moveit_config.*has no pilz_cartesian_limits.yaml"),
        ({"kinematics.yaml": "other: {}"}, "kinematics.yaml has no solver for 'arm'"),
        ({"ompl_planning.yaml": "planner_configs: {}"}, "ompl_planning.yaml of 'my_moveit_config'"),
        (
            {"moveit_controllers.yaml": yaml.safe_dump({MANAGER: controllers("a", SIM.arm_joints, "g", ())})},
            "moveit_controllers.yaml has no moveit_controller_manager",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_package_lacks_is_taken_from_ours_and_said(
    files: dict[str, str | None], said: str, prefix: Prefix, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert package_parameters(mine(prefix, files))
    assert any(re.search(said, message) for message in caplog.messages)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"kinematics.yaml": None}, r"my_moveit_config.*no kinematics\.yaml.*moveit_files\.kinematics"),
        (
            {"moveit_controllers.yaml": None, "x_controllers.yaml": "a: 1"},
            r"no moveit_controllers\.yaml in .*x_controllers\.yaml.*driver\.moveit_files\.controllers",
        ),
        (
            {"joint_limits.yaml": ""},
            r"cannot use .*joint_limits\.yaml with .*: AttributeError.*driver\.moveit_files",
        ),
        (
            {"kinematics.yaml": "a: ["},
            r"(?s)cannot use .*kinematics\.yaml: ParserError.*moveit_files\.kinematics of robot 'sim'",
        ),
        (
            {
                "moveit_controllers.yaml": yaml.safe_dump(
                    controllers("a", ("joint1",), "g", ("finger_joint1",))
                )
            },
            r"moveit_controllers\.yaml: none of the controllers \['a', 'g'\].*moveit_files\.controllers",
        ),
    ],
)
def test_a_package_that_cannot_be_used_is_refused_with_what_to_set(
    files: dict[str, str | None], text: str, prefix: Prefix
) -> None:
    with pytest.raises(ConfigError, match=text):
        package_parameters(mine(prefix, files))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"urdf": Path("/nowhere/my.urdf")}, "urdf: /nowhere/my.urdf: no such file"),
        ({"srdf": Path("/nowhere/my.srdf")}, "srdf: /nowhere/my.srdf: no such file"),
    ],
)
def test_a_description_that_is_missing_is_refused_by_name(
    change: dict[str, Any], text: str, prefix: Prefix
) -> None:
    with pytest.raises(ConfigError, match=text):
        package_parameters(replace(mine(prefix), **change))


def test_a_named_file_goes_before_the_usual_one_and_must_exist(prefix: Prefix, tmp_path: Path) -> None:
    robot = mine(prefix)
    other = tmp_path / "my_kinematics.yaml"
    other.write_text("arm: {kinematics_solver: another}")
    named = replace(robot, driver=replace(robot.driver, moveit_files=MoveItFiles(kinematics=other)))
    assert package_parameters(named)["robot_description_kinematics"] == yaml.safe_load(other.read_text())
    other.unlink()
    with pytest.raises(
        ConfigError, match=r"driver\.moveit_files\.kinematics: .*my_kinematics\.yaml: no such"
    ):
        package_parameters(named)


def test_a_joint_without_acceleration_anywhere_is_refused_by_name(prefix: Prefix) -> None:
    robot = mine(prefix, {"joint_limits.yaml": None})
    with pytest.raises(ConfigError, match=r"joint1 has no max_acceleration.*max_joint_acceleration"):
        moveit_parameters(robot)


def test_a_moveit_package_that_is_not_installed_is_refused_by_name(prefix: Prefix) -> None:
    other = replace(SIM, driver=replace(SIM.driver, moveit_package="my_moveit_config"))
    with pytest.raises(MissingDependencyError, match="'my_moveit_config' is not installed"):
        moveit_parameters(other)


def test_a_moveit_package_without_the_builder_is_refused_by_name(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "moveit_configs_utils", None)
    with pytest.raises(MissingDependencyError, match="moveit-configs-utils"):
        moveit_parameters(mine(prefix))


def test_our_own_parameters_are_what_the_builder_makes_of_the_same_files(prefix: Prefix) -> None:
    package = prefix.package("ours_moveit_config", {})
    shutil.copytree(resolve(Path(FOLDER)), package / "config")
    made = (
        MoveItConfigsBuilder("ours")
        .robot_description(str(resolve(SIM.urdf).absolute()), SIM.xacro_args)
        .robot_description_semantic(str(resolve(SIM.srdf).absolute()), SIM.xacro_args)
        .trajectory_execution("config/controllers.yaml", moveit_manage_controllers=False)
        .planning_pipelines(pipelines=["ompl", "pilz_industrial_motion_planner"])
        .moveit_cpp("config/moveit_py.yaml")
        .to_moveit_configs()
        .to_dict()
    )
    made.pop("default_planning_pipeline")  # move_group's; moveit_py has its plan requests
    urdf, srdf = (
        resolve(SIM.urdf).absolute(),
        resolve(SIM.srdf).absolute(),
    )  # xacro writes the path into a comment
    assert made == own_parameters(replace(SIM, urdf=urdf, srdf=srdf))
