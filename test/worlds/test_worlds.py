"""The Gazebo world against the embedded simulator, and the robot as Gazebo reads it."""

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import mujoco
import numpy as np
import pytest

from grasp_bringup.sim.model import TABLE_SIZE, arm_spec, scene_spec
from grasp_bringup.sim.scene import SceneConfig, sample_scene
from grasp_bringup.urdf import expand
from qtopt_policy.config import load_config
from qtopt_policy.robot import RobotConfig, load_robot

ROOT = Path(__file__).resolve().parents[2]
WORLD = ROOT / "worlds" / "bin.sdf"
VARIANTS = ("none", "mock", "gz")
SYSTEMS = {"physics", "user-commands", "scene-broadcaster", "sensors"}

TOOL = shutil.which("ign") or shutil.which("gz")
if TOOL is None and os.environ.get("CI") == "true":
    raise RuntimeError("continuous integration needs `ign sdf`; make setup installs it")
needs_sdf = pytest.mark.skipif(TOOL is None, reason="neither ign nor gz is installed: make setup")


def sdf(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    assert TOOL is not None
    command = [TOOL, "sdf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def robot_sdf(variant: str, folder: Path) -> ElementTree.Element:
    """Return the model that Gazebo makes of the robot's URDF."""
    urdf = folder / f"{variant}.urdf"
    urdf.write_text(expand(ROOT / "urdf/arm.urdf.xacro", {"sim": variant}))
    result = sdf("-p", urdf)
    assert result.returncode == 0, result.stderr
    model = ElementTree.fromstring(result.stdout).find("model")
    assert model is not None
    return model


def numbers(text: str | None) -> list[float]:
    return [float(value) for value in (text or "").split()]


def boxes(model: str) -> dict[str, tuple[list[float], list[float]]]:
    """Return size and position of every collision box of a model of the world."""
    found = {}
    for collision in ElementTree.parse(WORLD).findall(f".//model[@name='{model}']/link/collision"):
        size = numbers(collision.findtext("geometry/box/size"))
        name = collision.attrib["name"].removesuffix("_collision")
        found[name] = (size, numbers(collision.findtext("pose"))[:3])
    return found


@pytest.fixture(scope="module")
def robot() -> RobotConfig:
    return load_robot(ROOT / "config/robots/sim.yaml")


@pytest.fixture(scope="module")
def scene_config() -> SceneConfig:
    return load_config(ROOT / "config/scene.yaml", SceneConfig)


@needs_sdf
def test_world_is_valid_sdf() -> None:
    result = sdf("-k", WORLD)
    assert result.returncode == 0, result.stderr
    assert "Valid." in result.stdout


@needs_sdf
def test_a_broken_world_is_noticed(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sdf"
    broken.write_text(WORLD.read_text().replace("_collision", ""))
    result = sdf("-k", broken)
    assert result.returncode != 0
    assert "Non-unique names" in result.stderr


def test_world_has_the_systems_that_the_robot_needs() -> None:
    plugins = ElementTree.parse(WORLD).findall("world/plugin")
    assert {plugin.attrib["filename"] for plugin in plugins} == {f"gz-sim-{name}-system" for name in SYSTEMS}


def test_bin_is_that_of_the_embedded_simulator(robot: RobotConfig, scene_config: SceneConfig) -> None:
    scene = sample_scene(scene_config, "train", 1, robot.bin)
    model = scene_spec(arm_spec(robot, scene_config), robot, scene_config, scene).compile()
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_GEOM, index) or "" for index in range(model.ngeom)]
    expected = {name for name in names if name.startswith("bin_")}
    assert {f"bin_{name}" for name in boxes("bin")} == expected
    for name, (size, position) in boxes("bin").items():
        geom = names.index(f"bin_{name}")
        np.testing.assert_allclose(size, 2 * model.geom_size[geom], atol=1e-9)
        np.testing.assert_allclose(position, model.geom_pos[geom], atol=1e-9)


def test_table_is_that_of_the_embedded_simulator(robot: RobotConfig, scene_config: SceneConfig) -> None:
    scene = sample_scene(scene_config, "train", 1, robot.bin)
    model = scene_spec(arm_spec(robot, scene_config), robot, scene_config, scene).compile()
    size, position = boxes("table")["top"]
    np.testing.assert_allclose(size[:2], 2 * np.array(TABLE_SIZE))
    plane = np.array(model.geom("table").pos)
    np.testing.assert_allclose([*position[:2], position[2] + size[2] / 2], plane, atol=1e-9)


def test_physics_step_is_that_of_the_embedded_simulator(scene_config: SceneConfig) -> None:
    step = ElementTree.parse(WORLD).findtext("world/physics/max_step_size")
    assert numbers(step) == [scene_config.physics.timestep]


def test_what_is_drawn_is_what_is_touched() -> None:
    for link in ElementTree.parse(WORLD).findall(".//link"):
        drawn = {item.attrib["name"]: item.findtext("pose") for item in link.findall("visual")}
        touched = {
            item.attrib["name"].removesuffix("_collision"): item.findtext("pose")
            for item in link.findall("collision")
        }
        assert drawn == touched


@needs_sdf
@pytest.mark.parametrize("variant", VARIANTS)
def test_gazebo_reads_the_robot_with_all_its_joints(variant: str, tmp_path: Path, robot: RobotConfig) -> None:
    model = robot_sdf(variant, tmp_path)
    moving = {
        joint.attrib["name"]
        for joint in model.findall("joint")
        if joint.attrib["type"] in ("revolute", "prismatic")
    }
    assert moving == {*robot.arm_joints, *robot.gripper.joints}


@needs_sdf
def test_gazebo_has_each_camera_once_with_the_lens_of_the_embedded_simulator(
    tmp_path: Path, scene_config: SceneConfig
) -> None:
    sensors = robot_sdf("gz", tmp_path).findall(".//sensor[@type='camera']")
    in_world = ElementTree.parse(WORLD).findall(".//sensor")
    assert sorted(sensor.attrib["name"] for sensor in (*sensors, *in_world)) == [
        "shoulder_camera",
        "wrist_camera",
    ]
    for sensor in sensors:
        camera = scene_config.cameras[sensor.attrib["name"].removesuffix("_camera")]
        image = [numbers(sensor.findtext(f"camera/image/{side}"))[0] for side in ("width", "height")]
        assert image == [camera.width, camera.height]
        # Square pixels: the vertical field of view follows from the horizontal one.
        horizontal = numbers(sensor.findtext("camera/horizontal_fov"))[0]
        vertical = 2 * np.arctan(np.tan(horizontal / 2) * camera.height / camera.width)
        assert np.degrees(vertical) == pytest.approx(camera.fovy, abs=1e-3)


@needs_sdf
def test_only_the_gazebo_variant_loads_the_gazebo_plugin(tmp_path: Path) -> None:
    plugins = {
        variant: [plugin.attrib["filename"] for plugin in robot_sdf(variant, tmp_path).findall("plugin")]
        for variant in VARIANTS
    }
    assert plugins == {"none": [], "mock": [], "gz": ["gz_ros2_control-system"]}


@pytest.mark.parametrize(
    ("variant", "hardware"),
    [("none", None), ("mock", "mock_components/GenericSystem"), ("gz", "gz_ros2_control/GazeboSimSystem")],
)
def test_every_variant_expands_with_its_own_hardware(variant: str, hardware: str | None) -> None:
    root = ElementTree.fromstring(expand(ROOT / "urdf/arm.urdf.xacro", {"sim": variant}))
    assert root.findtext("ros2_control/hardware/plugin") == hardware
