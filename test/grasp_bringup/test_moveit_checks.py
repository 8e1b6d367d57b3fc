"""What `qtopt doctor --robot` says of a robot's MoveIt configuration."""

import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest

from grasp_bringup.moveit_checks import check_moveit
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.builder_double import MoveItConfigsBuilder
from support.moveit_packages import franka
from support.packages import Prefix

SIM = load_robot(resolve(Path("config/robots/sim.yaml")))


def test_a_group_that_moves_the_tool_is_told_so() -> None:
    (finding,) = check_moveit(SIM)
    assert (finding.level, finding.text) == ("ok", "group arm moves tcp by 7 joints")


def test_a_robot_that_names_no_moveit_package_needs_no_group() -> None:
    (finding,) = check_moveit(replace(SIM, driver=replace(SIM.driver, planning_group="leg")))
    assert finding.level == "absent"
    assert "unknown planning group of the SRDF 'leg'. Valid choices: arm, hand" in finding.text
    assert "driver.planning_group" in finding.mend


@pytest.mark.parametrize(
    ("group", "levels", "text"),
    [
        ("arm", ["ok"], "group arm moves fr3_hand_tcp"),
        ("fr3_arm", ["ok", "absent"], "MoveIt Servo brings 'fr3_link8' to every pose"),
        ("fr3_hand", ["wrong"], "unknown planning group of the SRDF 'fr3_hand'. Valid choices: arm, fr3_arm"),
    ],
)
def test_a_moveit_package_is_judged_by_its_group(
    group: str, levels: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("moveit_configs_utils")
    module.MoveItConfigsBuilder = MoveItConfigsBuilder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "moveit_configs_utils", module)
    robot = franka(Prefix(tmp_path, monkeypatch), "fr3")
    found = list(check_moveit(replace(robot, driver=replace(robot.driver, planning_group=group))))
    assert [finding.level for finding in found] == levels
    assert text in found[-1].text


def test_a_moveit_package_that_is_not_installed_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Prefix(tmp_path, monkeypatch)
    (finding,) = check_moveit(replace(SIM, driver=replace(SIM.driver, moveit_package="my_moveit_config")))
    assert finding.level == "absent"
    assert "'my_moveit_config' is not installed" in finding.text
