"""Which chain a planning group's solver moves, and that MoveIt and MoveIt Servo are given the right one."""

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from grasp_bringup.moveit_config import servo_parameters
from grasp_bringup.moveit_group import Chain, Groups, check_group, check_servo_group
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand
from support.arms import ARM_JOINTS, arm_urdf

SIM = load_robot(resolve(Path("config/robots/sim.yaml")))
UR = load_robot(resolve(Path("config/robots/ur5e_robotiq.yaml")))
URDF = arm_urdf()
MANY = "".join(f'<joint name="joint{i}"/>' for i in range(1, 8))


def srdf(body: str, name: str = "arm") -> str:
    return f'<robot name="r"><group name="{name}">{body}</group></robot>'


def robot(group: str = "arm", base: str = "base_link", tool: str = "tcp") -> RobotConfig:
    driver = replace(SIM.driver, planning_group=group)
    return replace(SIM, driver=driver, base_frame=base, tool_frame=tool)


TO_TOOL = srdf('<chain base_link="base_link" tip_link="tcp"/>')
TO_FLANGE = srdf('<chain base_link="base_link" tip_link="link7"/>')


@pytest.mark.parametrize(
    ("body", "base", "tip"),
    [
        ('<chain base_link="base_link" tip_link="tcp"/>', "base_link", "tcp"),
        ('<chain base_link="link0" tip_link="link7"/>', "link0", "link7"),
        (MANY, "link0", "link7"),
        (MANY + '<joint name="tcp_mount"/><joint name="unknown"/>', "link0", "tcp"),
        ("".join(f'<link name="link{i}"/>' for i in range(1, 8)), "link0", "link7"),
    ],
)
def test_a_groups_solver_goes_from_the_parent_of_its_first_link_to_its_last(
    body: str, base: str, tip: str
) -> None:
    assert Groups(URDF, srdf(body)).chain("arm") == Chain(base, tip, ARM_JOINTS)


def test_a_group_of_groups_is_their_union() -> None:
    lower = '<group name="lower"><chain base_link="link0" tip_link="link3"/></group>'
    upper = '<group name="upper"><chain base_link="link3" tip_link="tcp"/></group>'
    both = '<group name="both"><group name="lower"/><group name="upper"/></group>'
    groups = Groups(URDF, f'<robot name="r">{lower}{upper}{both}</robot>')
    assert groups.chain("both") == Chain("link0", "tcp", ARM_JOINTS)
    assert groups.matching(lambda chain: chain.tip == "tcp") == ["upper", "both"]


@pytest.mark.parametrize(
    ("text", "group", "error"),
    [
        (TO_TOOL, "hand", "unknown planning group of the SRDF 'hand'. Valid choices: arm"),
        (srdf('<group name="arm"/>'), "arm", "unknown planning group"),
        (srdf('<joint name="joint1"/><joint name="joint7"/>'), "arm", "no single chain"),
        (srdf(""), "arm", "no single chain: it begins at [] and ends at []"),
        ("<robot", "arm", "SRDF is not XML"),
    ],
)
def test_what_is_no_group_with_a_solver_is_refused_by_name(text: str, group: str, error: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(error)):
        check_group(robot(group), URDF, text)


def test_a_group_that_moves_other_joints_than_the_arms_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'arm' of urdf/arm\.srdf moves \['joint1', 'joint2'\]"):
        check_group(robot(), URDF, srdf('<joint name="joint1"/><joint name="joint2"/>'))


def test_moveit_takes_a_tool_that_is_fixed_to_the_tip_and_no_other() -> None:
    assert check_group(robot(), URDF, TO_FLANGE).tip == "link7"
    with pytest.raises(ConfigError, match="ends at 'link7', to which tool_frame 'finger' is not fixed"):
        check_group(robot(tool="finger"), URDF, TO_FLANGE)
    with pytest.raises(UnknownNameError, match="'nowhere'"):
        check_group(robot(base="nowhere"), URDF, TO_TOOL)


def test_servo_takes_the_tip_and_base_of_the_group_and_no_other_frames() -> None:
    check_servo_group(robot(), URDF, TO_TOOL)
    with pytest.raises(
        ConfigError, match=r"'base_link' to 'link7'.*tool_frame 'tcp'.*brings 'link7' to every pose"
    ):
        check_servo_group(robot(), URDF, TO_FLANGE)
    with pytest.raises(
        ConfigError, match=r"base_frame 'link0'.*<chain base_link=\"link0\" tip_link=\"tcp\"/>"
    ):
        check_servo_group(robot(base="link0"), URDF, TO_TOOL)


def test_servos_parameters_are_refused_for_another_link_than_the_tool() -> None:
    with pytest.raises(ConfigError, match=r"moveit_servo.*to 'tcp'.*tool_frame 'flange'"):
        servo_parameters(replace(SIM, tool_frame="flange"))


# Links with a collision shape, in the order of the tree: ur_description 2221ec0, robotiq_description 3b6cf8f.
UR_LINKS = (
    *("base_link_inertia", "shoulder_link", "upper_arm_link", "forearm_link"),
    *("wrist_1_link", "wrist_2_link", "wrist_3_link"),
)
ROBOTIQ_LINKS = (
    *("ur_to_robotiq_link", "robotiq_85_base_link"),
    *(
        f"robotiq_85_{side}_{part}_link"
        for side in ("left", "right")
        for part in ("knuckle", "finger", "inner_knuckle", "finger_tip")
    ),
)


def ur_srdf() -> ET.Element:
    return ET.fromstring(expand(UR.srdf, UR.xacro_args))


def test_the_ur5es_group_goes_from_base_frame_to_tool_frame() -> None:
    (chain,) = ur_srdf().findall(f"group[@name='{UR.driver.planning_group}']/chain")
    assert (chain.get("base_link"), chain.get("tip_link")) == (UR.base_frame, UR.tool_frame)
    assert "NOT TESTED" in resolve(UR.srdf).read_text()


def test_the_ur5es_gripper_collides_neither_with_itself_nor_with_the_wrist() -> None:
    pairs = [
        frozenset((pair.attrib["link1"], pair.attrib["link2"]))
        for pair in ur_srdf().iter("disable_collisions")
    ]
    assert len(pairs) == len(set(pairs))
    wrist = set(itertools.product(UR_LINKS[-3:], ROBOTIQ_LINKS))
    gripper = set(itertools.combinations(ROBOTIQ_LINKS, 2))
    neighbours = set(itertools.pairwise(UR_LINKS)) | {("wrist_1_link", "wrist_3_link")}
    assert set(pairs) == {frozenset(pair) for pair in wrist | gripper | neighbours}


def test_the_ur5es_gripper_still_collides_with_arm_and_base() -> None:
    ends = {tuple(sorted(pair.attrib.values())) for pair in ur_srdf().iter("disable_collisions")}
    assert not any("forearm_link" in pair and any("robotiq" in link for link in pair) for pair in ends)
