"""Objects as SDF: valid for `ign sdf`, and with the masses and shapes that MuJoCo gives them."""

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import mujoco
import numpy as np
import pytest

from grasp_bringup.gazebo.models import model_sdf, object_inertia
from grasp_bringup.sim.model import arm_spec, object_name, scene_spec
from grasp_bringup.sim.objects import FAMILIES, make_shape
from grasp_bringup.sim.scene import SceneObject, load_scene_config, sample_scene
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

TOOL = shutil.which("ign") or shutil.which("gz")
if TOOL is None and os.environ.get("CI") == "true":
    raise RuntimeError("continuous integration needs `ign sdf`; make setup installs it")
needs_sdf = pytest.mark.skipif(TOOL is None, reason="neither ign nor gz is installed: make setup")

SCENES = 2  # per split: the tool takes long over many models in one file
CONFIG = load_scene_config()
ROBOT = load_robot(resolve(Path("config/robots/sim.yaml")))


def sample(family: str, seed: int = 3) -> SceneObject:
    shape = make_shape(family, CONFIG.sizes, np.random.default_rng(seed))
    pose = Pose(np.array([0.5, 0.1, 0.04]), np.array([0.0, 0.0, 0.6, 0.8]))
    return SceneObject(shape, pose, 400.0, 0.7, (0.9, 0.2, 0.1))


def assert_valid(path: Path) -> None:
    """Assert that Gazebo's parser takes a file."""
    assert TOOL is not None
    result = subprocess.run([TOOL, "sdf", "-k", str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "Valid." in result.stdout, result.stderr


@needs_sdf
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_valid_sdf(family: str, tmp_path: Path) -> None:
    path = tmp_path / f"{family}.sdf"
    path.write_text(model_sdf(family, sample(family)))
    assert_valid(path)


@needs_sdf
def test_whole_scenes_are_valid_sdf(tmp_path: Path) -> None:
    # One world with the objects of all these scenes: one start of the tool.
    world = ElementTree.Element("world", name="scenes")
    families = set()
    for split in ("train", "test"):
        for seed in range(SCENES):
            for index, item in enumerate(sample_scene(CONFIG, split, seed, ROBOT.bin).objects):
                families.add(item.shape.family)
                root = ElementTree.fromstring(model_sdf(f"{split}{seed}_{object_name(index)}", item))
                world.extend(root.findall("model"))
    assert len(families) >= 4
    assert len(world) > 2 * SCENES
    document = ElementTree.Element("sdf", root.attrib)
    document.append(world)
    path = tmp_path / "scenes.sdf"
    ElementTree.ElementTree(document).write(path)
    assert_valid(path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_masses_are_those_of_the_embedded_simulator(split: str) -> None:
    for seed in range(4):
        scene = sample_scene(CONFIG, split, seed, ROBOT.bin)
        model = scene_spec(arm_spec(ROBOT, CONFIG), ROBOT, CONFIG, scene).compile()
        for index, item in enumerate(scene.objects):
            body = model.body(object_name(index)).id
            mass, centre, inertia = object_inertia(item)
            assert mass == pytest.approx(model.body_mass[body])
            np.testing.assert_allclose(centre, model.body_ipos[body], atol=1e-6)
            flat = np.zeros(9)
            mujoco.mju_quat2Mat(flat, model.body_iquat[body])
            rotation = flat.reshape(3, 3)
            expected = rotation @ np.diag(model.body_inertia[body]) @ rotation.T
            np.testing.assert_allclose(inertia, expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_part_is_drawn_and_touched_where_it_is(family: str) -> None:
    item = sample(family)
    link = ElementTree.fromstring(model_sdf("thing", item)).find("model/link")
    assert link is not None
    for tag in ("visual", "collision"):
        found = [[float(v) for v in (e.findtext("pose") or "").split()] for e in link.findall(tag)]
        expected = [[*part.position, *part.quaternion] for part in item.shape.parts]
        np.testing.assert_allclose(found, expected, atol=1e-8)
        assert [e.tag for e in link.findall(f"{tag}/geometry/*")] == [p.kind for p in item.shape.parts]


def test_pose_and_name_are_those_of_the_scene() -> None:
    model = ElementTree.fromstring(model_sdf("thing", sample("box"))).find("model")
    assert model is not None
    assert model.attrib["name"] == "thing"
    pose = model.find("pose")
    assert pose is not None
    assert pose.attrib == {"rotation_format": "quat_xyzw"}
    assert [float(v) for v in (pose.text or "").split()] == [0.5, 0.1, 0.04, 0.0, 0.0, 0.6, 0.8]
