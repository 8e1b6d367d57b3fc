import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grasp_bringup.moveit_scene import TABLE_GAP, Box, scene_boxes
from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import CameraConfig, RobotConfig, load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand


@pytest.fixture(scope="module")
def robot() -> RobotConfig:
    return load_robot(resolve(Path("config/robots/sim.yaml")))


@pytest.fixture(scope="module")
def boxes(robot: RobotConfig) -> dict[str, Box]:
    return {box.name: box for box in scene_boxes(robot, expand(robot.urdf, robot.xacro_args))}


def test_table_and_bin_are_those_of_the_gazebo_world(boxes: dict[str, Box]) -> None:
    world = ElementTree.parse(resolve(Path("worlds/bin.sdf"))).getroot()
    for collision in world.iter("collision"):
        name = collision.attrib["name"].removesuffix("_collision")
        box = boxes.pop("table" if name == "top" else f"bin_{name}")
        pose = [float(value) for value in collision.findtext("pose", "").split()[:3]]
        size = [float(value) for value in collision.findtext(".//size", "").split()]
        gap = TABLE_GAP if name == "top" else 0.0
        np.testing.assert_allclose(box.size, size, atol=1e-9)
        np.testing.assert_allclose(box.centre, np.array(pose) - [0.0, 0.0, gap], atol=1e-9)
    assert set(boxes) == {"shoulder_stand"}


def test_the_stand_reaches_from_the_table_to_below_the_camera(robot: RobotConfig) -> None:
    (box,) = [b for b in scene_boxes(robot, expand(robot.urdf, {})) if b.name == "shoulder_stand"]
    assert box.centre[:2] == (0.02, -0.45)  # shoulder_camera of urdf/arm.urdf.xacro
    assert box.centre[2] - box.size[2] / 2 == pytest.approx(0.0)
    assert box.centre[2] + box.size[2] / 2 == pytest.approx(0.62 - 0.05)


def test_a_wrist_camera_has_no_stand(robot: RobotConfig) -> None:
    one = replace(robot, cameras={"wrist": robot.cameras["wrist"]})
    assert not [b for b in scene_boxes(one, expand(robot.urdf, {})) if b.name.endswith("stand")]


def test_a_camera_without_a_place_is_refused_by_name(robot: RobotConfig) -> None:
    lost = replace(robot, cameras={"top": CameraConfig(mount="base", frame="nowhere")})
    with pytest.raises(ConfigError, match=r"robot sim: camera top: .*nowhere"):
        scene_boxes(lost, expand(robot.urdf, {}))
