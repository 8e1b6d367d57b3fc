import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grasp_bringup.moveit_scene import FOOT, TABLE_GAP, Box, scene_boxes
from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import CameraConfig, RobotConfig, TableConfig, load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand

PEDESTAL = """<link name="floor"/><joint name="pedestal" type="fixed">
<parent link="floor"/><child link="world"/><origin xyz="0 0 0.3"/></joint></robot>"""


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


def test_a_table_of_the_robots_file_replaces_the_one_below_the_bin(robot: RobotConfig) -> None:
    own = TableConfig(centre=(0.6, 0.1, -0.1), size=(0.5, 0.8, 0.03))
    boxes = {box.name: box for box in scene_boxes(replace(robot, table=own), expand(robot.urdf, {}))}
    assert boxes["table"].size == own.size
    assert boxes["table"].centre == pytest.approx((0.6, 0.1, -0.1 - TABLE_GAP - 0.015))
    stand = boxes["shoulder_stand"]
    assert stand.centre[2] - stand.size[2] / 2 == pytest.approx(-0.1)


def raised(robot: RobotConfig, height: float) -> RobotConfig:
    """Return the robot with its bin so much higher [m]."""
    x, y, z = robot.bin.centre
    return replace(robot, bin=replace(robot.bin, centre=(x, y, z + height)))


def test_a_bin_above_the_arms_foot_needs_a_table_of_its_own(robot: RobotConfig) -> None:
    high, urdf = raised(robot, 0.2), expand(robot.urdf, {})
    with pytest.raises(
        ConfigError, match=r"robot sim: table \(absent.*surface at z 0\.2 m.*: give .* a `table`"
    ):
        scene_boxes(high, urdf)
    pedestal = TableConfig(centre=(0.5, 0.0, 0.2), size=(0.4, 0.4, 0.2))
    assert scene_boxes(replace(high, table=pedestal), urdf)[0].name == "table"


@pytest.mark.parametrize(("edge", "refused"), [(FOOT - 0.01, True), (FOOT + 0.01, False)])
def test_a_table_above_the_foot_ends_beside_it(robot: RobotConfig, edge: float, refused: bool) -> None:
    high = TableConfig(centre=(edge + 0.2, 0.0, 0.3), size=(0.4, 1.0, 0.02))
    given = replace(robot, table=high)
    if refused:
        with pytest.raises(ConfigError, match=r"robot sim: table: 0\.4 m by 1\.0 m .* z 0\.3 m"):
            scene_boxes(given, expand(robot.urdf, {}))
    else:
        assert scene_boxes(given, expand(robot.urdf, {}))[0].name == "table"


def test_the_foot_is_looked_for_in_the_base_frame(robot: RobotConfig) -> None:
    """An arm that stands on a pedestal of 0.3 m in its base frame."""
    urdf = expand(robot.urdf, {}).replace("</robot>", PEDESTAL)
    standing = replace(raised(robot, 0.3), base_frame="floor", cameras={})
    assert scene_boxes(standing, urdf)[0].centre[2] == pytest.approx(0.3 - TABLE_GAP - 0.025)
    with pytest.raises(ConfigError, match=r"foot is at \[0\.0, 0\.0, 0\.3\] m in floor"):
        scene_boxes(raised(standing, 0.01), urdf)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{centre: [0.5, 0.0, 0.0], size: [1.0, 0.0, 0.05]}", "table: size .*: every edge must be above 0"),
        ("{centre: [0.5, 0.0, .nan], size: [1.0, 1.0, 0.05]}", "table: centre .*: must be finite"),
        ("{centre: [0.5, 0.0, 0.0]}", "table: missing key 'size'"),
    ],
)
def test_a_bad_table_is_refused_by_name(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "my_arm.yaml"
    path.write_text(resolve(Path("config/robots/sim.yaml")).read_text() + f"table: {text}\n")
    with pytest.raises(ConfigError, match=found):
        load_robot(path)
