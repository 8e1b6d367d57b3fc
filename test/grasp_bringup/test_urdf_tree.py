import pytest

from grasp_bringup.urdf_tree import UrdfTree, kinematic_urdf
from qtopt_policy.errors import ConfigError, UnknownNameError
from support.arms import ARM_JOINTS, arm_urdf

TREE = UrdfTree(arm_urdf())


def test_joints_above_a_link_come_root_first() -> None:
    names = [joint.name for joint in TREE.joints_above("tcp")]
    assert names == ["base_link_mount", "link0_mount", *ARM_JOINTS, "tcp_mount"]


def test_links_below_a_joint_are_those_that_it_moves() -> None:
    assert TREE.links_below(["joint7"]) == {"link7", "tcp", "finger", "camera"}


def test_speed_limits_are_read_in_the_order_asked() -> None:
    assert TREE.velocity_limits(("joint7", "joint1")) == [2.61, 2.175]


def test_fixed_joint_is_not_movable() -> None:
    with pytest.raises(UnknownNameError, match="tcp_mount"):
        TREE.require_joint("tcp_mount")


def test_meshes_visuals_and_extensions_are_left_out() -> None:
    extra = '<gazebo reference="tcp"/><ros2_control name="x" type="system"/></robot>'
    text = kinematic_urdf(arm_urdf().replace("</robot>", extra))
    for word in ("mesh", "visual", "gazebo", "ros2_control"):
        assert f"<{word}" not in text
    assert text.count("<collision") == arm_urdf().count("<collision")


def test_joint_of_many_degrees_of_freedom_is_refused_by_name() -> None:
    text = arm_urdf().replace('"joint3" type="revolute"', '"joint3" type="floating"')
    tree = UrdfTree(text)
    with pytest.raises(ConfigError, match=r"joint3.*one degree of freedom"):
        tree.check_chain("base_link", "tcp", ARM_JOINTS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<sdf/>", "expected <robot>"),
        ("<robot><link/></robot>", "<link> without a name"),
        ('<robot><link name="a"/><joint name="j"/></robot>', "'j' needs a parent"),
    ],
)
def test_text_that_is_no_urdf_is_refused_with_what_was_found(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        UrdfTree(text)


def test_speed_limit_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"joint1.*'fast'"):
        UrdfTree(arm_urdf().replace('velocity="2.175"', 'velocity="fast"', 1))
