from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_bringup.kinematics import Kinematics
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.extrinsics import camera_pose, static_transform
from qtopt_policy.robot import CameraConfig, load_robot
from qtopt_policy.share import share_directory
from qtopt_policy.urdf import expand

ROBOT = load_robot(share_directory() / "config" / "robots" / "sim.yaml")
URDF = expand(ROBOT.urdf, ROBOT.xacro_args)

TREE = """<robot name="r">
  <link name="world"/><link name="arm"/><link name="tool"/><link name="camera"/><link name="alone"/>
  <joint name="hinge" type="revolute"><parent link="world"/><child link="arm"/></joint>
  <joint name="a" type="fixed"><parent link="arm"/><child link="tool"/>
    <origin xyz="0 0 1" rpy="0 0 {}"/></joint>
  <joint name="b" type="fixed"><parent link="arm"/><child link="camera"/><origin xyz="1 0 0"/></joint>
</robot>"""


@pytest.mark.parametrize("camera", ["wrist", "shoulder"])
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000))
def test_the_camera_s_place_is_that_of_the_kinematics(camera: str, seed: int) -> None:
    kinematics = Kinematics(URDF, ROBOT.base_frame, ROBOT.tool_frame, ROBOT.arm_joints)
    q = np.random.default_rng(seed).uniform(kinematics.lower, kinematics.upper)
    config = ROBOT.cameras[camera]
    mount = kinematics.forward(q) if config.mount == "tool" else None
    pose = camera_pose(URDF, ROBOT, config)
    in_base = mount @ pose if mount is not None else pose
    expected = kinematics.frame_pose(q, config.frame)
    assert in_base.distance(expected) < 1e-6
    assert in_base.angle(expected) < 1e-5


def test_frames_on_two_branches_are_joined_at_their_common_link() -> None:
    pose = static_transform(TREE.format(np.pi / 2), "tool", "camera")
    np.testing.assert_allclose(pose.position, [0.0, -1.0, -1.0], atol=1e-12)
    assert pose.yaw() == pytest.approx(-np.pi / 2)


def test_a_configured_pose_wins() -> None:
    config = CameraConfig(pose=(1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0))
    np.testing.assert_array_equal(camera_pose("", ROBOT, config).position, [1.0, 2.0, 3.0])


def test_a_movable_joint_between_is_named() -> None:
    with pytest.raises(ConfigError, match="'hinge' \\(revolute\\) moves 'arm'"):
        static_transform(TREE.format(0), "world", "camera")


def test_an_unknown_frame_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'eye'.*alone, arm, camera, tool, world"):
        static_transform(TREE.format(0), "tool", "eye")


def test_unconnected_frames_are_named() -> None:
    with pytest.raises(ConfigError, match="'alone' and 'camera' are not connected"):
        static_transform(TREE.format(0), "alone", "camera")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no xml", "not XML"),
        (TREE.format("x"), "joint 'a': origin"),
        (TREE.format(0).replace('<child link="arm"/>', ""), "'hinge' has no <child"),
    ],
)
def test_a_broken_urdf_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        static_transform(text, "tool", "camera")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.xacro"):
        expand(Path("/nowhere.xacro"), {})
