"""URDF, SRDF, robot YAML, scene YAML and MuJoCo tell the same story."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import mujoco
import numpy as np
import pytest

from grasp_bringup.kinematics import Kinematics
from grasp_bringup.sim.env import ROBOT_FILE
from grasp_bringup.sim.scene import load_scene_config, sample_scene
from grasp_bringup.sim.world import World
from grasp_bringup.urdf import disabled_collisions, expand
from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

ROBOT = load_robot(resolve(ROBOT_FILE))
CONFIG = load_scene_config()
XACRO = Path("urdf/arm.urdf.xacro")


def urdf(sim: str) -> ElementTree.Element:
    return ElementTree.fromstring(expand(XACRO, {"sim": sim, "controllers_file": "controllers.yaml"}))


def kinematic_parts(root: ElementTree.Element) -> list[bytes]:
    return [ElementTree.tostring(e) for e in root if e.tag in ("link", "joint")]


@pytest.mark.parametrize("sim", ["mock", "gz"])
def test_variants_describe_the_same_arm(sim: str) -> None:
    assert kinematic_parts(urdf(sim)) == kinematic_parts(urdf("none"))


def test_control_block_is_there_where_something_reads_it() -> None:
    assert urdf("none").find("ros2_control") is None
    plugins = {sim: urdf(sim).findtext("ros2_control/hardware/plugin") for sim in ("mock", "gz")}
    assert plugins == {"mock": "mock_components/GenericSystem", "gz": "gz_ros2_control/GazeboSimSystem"}


def test_unknown_variant_is_refused() -> None:
    with pytest.raises(ConfigError, match="none, mock or gz, not isaac"):
        expand(XACRO, {"sim": "isaac"})


@pytest.mark.parametrize("sim", ["mock", "gz"])
def test_controlled_joints_start_at_home(sim: str) -> None:
    initial = {
        joint.attrib["name"]: float(joint.findtext("state_interface/param", "nan"))
        for joint in urdf(sim).iterfind("ros2_control/joint")
    }
    gripper = ROBOT.gripper
    fingers = dict.fromkeys(gripper.joints, gripper.open_position)
    expected = dict(zip(ROBOT.arm_joints, ROBOT.home, strict=True)) | fingers
    assert initial == expected


def test_gazebos_cameras_see_as_wide_as_the_simulators() -> None:
    for sensor in urdf("gz").iter("sensor"):
        name = sensor.attrib["name"].removesuffix("_camera")
        fov = float(sensor.findtext("camera/horizontal_fov", "nan"))
        spec = CONFIG.cameras[name]
        assert fov == pytest.approx(np.deg2rad(spec.fovy))
        assert float(sensor.findtext("camera/image/width", "nan")) == spec.width
        assert float(sensor.findtext("camera/image/height", "nan")) == spec.height


def test_srdf_names_links_and_joints_of_the_urdf() -> None:
    root = ElementTree.parse(resolve(ROBOT.srdf)).getroot()
    description = urdf("none")
    links = {link.attrib["name"] for link in description.iter("link")}
    joints = {joint.attrib["name"] for joint in description.iter("joint")}
    assert {name for pair in disabled_collisions(ROBOT.srdf) for name in pair} <= links
    assert {e.attrib["name"] for e in root.iterfind("group/link")} <= links
    assert {e.attrib["name"] for e in root.iter("joint")} <= joints
    chain = root.find("group[@name='arm']/chain")
    assert chain is not None
    assert (chain.attrib["base_link"], chain.attrib["tip_link"]) == (ROBOT.base_frame, ROBOT.tool_frame)


def test_srdf_home_is_the_robots_home() -> None:
    root = ElementTree.parse(resolve(ROBOT.srdf)).getroot()
    home = root.find("group_state[@name='home']")
    assert home is not None
    values = {e.attrib["name"]: float(e.attrib["value"]) for e in home}
    assert values == dict(zip(ROBOT.arm_joints, ROBOT.home, strict=True))


def test_mujocos_joints_have_the_urdfs_limits_and_efforts() -> None:
    world = World(ROBOT, CONFIG)
    world.reset(sample_scene(CONFIG, "train", 0, ROBOT.bin), settle=False)
    model, _ = world.mujoco_state
    for joint in urdf("none").iter("joint"):
        limit = joint.find("limit")
        if limit is None:
            continue
        found = model.joint(joint.attrib["name"])
        assert found.range == pytest.approx([float(limit.attrib["lower"]), float(limit.attrib["upper"])])
        effort = float(limit.attrib["effort"])
        assert model.jnt_actfrcrange[found.id] == pytest.approx([-effort, effort])


def test_mujoco_and_kinematics_agree_on_every_frame() -> None:
    world = World(ROBOT, CONFIG)
    world.reset(sample_scene(CONFIG, "train", 0, ROBOT.bin), settle=False)
    model, data = world.mujoco_state
    kinematics = Kinematics(
        expand(ROBOT.urdf, ROBOT.xacro_args), ROBOT.base_frame, ROBOT.tool_frame, ROBOT.arm_joints
    )
    rng = np.random.default_rng(0)
    links = [link.attrib["name"] for link in urdf("none").iter("link") if link.attrib["name"] != "world"]
    for _ in range(5):
        q = rng.uniform(kinematics.lower, kinematics.upper)
        data.qpos[:9] = [*q, 0.0, 0.0]
        mujoco.mj_kinematics(model, data)
        for link in links:
            pose = kinematics.frame_pose(q, link)
            assert np.allclose(data.body(link).xpos, pose.position, atol=1e-9)
            assert np.allclose(data.body(link).xmat.reshape(3, 3), pose.rotation(), atol=1e-9)


def test_srdfs_exclusions_reach_mujoco() -> None:
    world = World(ROBOT, CONFIG)
    world.reset(sample_scene(CONFIG, "train", 0, ROBOT.bin), settle=False)
    model, data = world.mujoco_state
    assert model.nexclude == len(disabled_collisions(ROBOT.srdf))
    mujoco.mj_forward(model, data)
    arm = {model.body(i).id for i in range(model.nbody) if not model.body(i).name.startswith("object")}
    pairs = model.geom_bodyid[data.contact.geom]
    assert not [pair for pair in pairs if set(pair.tolist()) <= arm]


def test_tool_at_home_points_down_above_the_bin() -> None:
    kinematics = Kinematics(
        expand(ROBOT.urdf, ROBOT.xacro_args), ROBOT.base_frame, ROBOT.tool_frame, ROBOT.arm_joints
    )
    home = kinematics.forward(np.array(ROBOT.home))
    assert np.allclose(home.position, [ROBOT.bin.centre[0], ROBOT.bin.centre[1], 0.18], atol=1e-4)
    assert np.allclose(home.rotation(), np.diag([1.0, -1.0, -1.0]), atol=1e-4)


def test_finger_length_and_opening_are_those_of_the_urdf() -> None:
    root = urdf("none")
    tcp = next(j for j in root.iter("joint") if j.attrib["name"] == "hand_to_tcp")
    finger = next(j for j in root.iter("joint") if j.attrib["name"] == "finger_joint1")
    tcp_z, palm = (float(j.find("origin").attrib["xyz"].split()[2]) for j in (tcp, finger))  # type: ignore[union-attr]
    assert ROBOT.gripper.finger_length == pytest.approx(tcp_z - palm + ROBOT.limits.tip_offset)
    upper = float(finger.find("limit").attrib["upper"])  # type: ignore[union-attr]
    assert ROBOT.gripper.open_position == upper
    assert ROBOT.gripper.aperture(upper) == pytest.approx(ROBOT.gripper.max_aperture)
