"""Robot files: what is shipped loads, says where it was tested, and what is wrong in one is named."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from grasp_bringup.kinematics import Kinematics, kinematics_of
from grasp_bringup.reach import workspace_reach
from qtopt_policy.config import from_mapping
from qtopt_policy.errors import ConfigError, MissingDependencyError, UnknownKeyError
from qtopt_policy.preprocess import lookup_encoding
from qtopt_policy.robot import GripperConfig, RobotConfig, load_robot
from qtopt_policy.share import share_directory

FOLDER = share_directory() / "config" / "robots"
FILES = sorted(FOLDER.glob("*.yaml"))
PANDA_FINGER = GripperConfig(joints=("panda_finger_joint1",), max_aperture=0.08)
ROBOTIQ = load_robot(FOLDER / "ur5e_robotiq.yaml").gripper


def test_the_robots_of_the_documentation_are_shipped() -> None:
    assert {path.stem for path in FILES} >= {"sim", "fr3", "panda", "ur5e_robotiq"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_robot_loads_and_fits_together(path: Path) -> None:
    robot = load_robot(path)
    assert robot.name == path.stem
    start, drop = robot.start_pose.position, robot.drop_pose.position
    for pose in (start, drop):
        assert np.all(pose >= robot.limits.workspace_min)
        assert np.all(pose <= robot.limits.workspace_max)
        assert pose[2] > robot.limits.min_height
    assert robot.limits.surface_height == pytest.approx(robot.bin.centre[2])
    for name in robot.cameras:
        if robot.camera_topics(name).encoding:
            lookup_encoding(robot.camera_topics(name).encoding)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_robot_says_truthfully_whether_it_was_tested(path: Path) -> None:
    robot, text = load_robot(path), path.read_text()
    assert robot.driver.tested == ("simulation" if robot.name == "sim" else "no")
    assert robot.driver.simulated == (robot.name == "sim")
    assert ("NOT TESTED on hardware" in text) == (robot.driver.tested == "no")
    if robot.driver.tested == "no":
        assert "https://github.com/" in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_only_simulated_fingers_are_taken_to_react_at_once(path: Path) -> None:
    driver = load_robot(path).driver
    if driver.simulated:
        assert driver.gripper_reaction_time == 0.1  # the benchmark's results rest on it
    else:
        assert driver.gripper_reaction_time > 0.2
        assert "gripper_reaction_time: 0.5  # a guess" in path.read_text()


def described(path: Path) -> tuple[RobotConfig, Kinematics]:
    """Return a shipped robot with its kinematics; skip where its description is not installed."""
    robot = load_robot(path)
    try:
        return robot, kinematics_of(robot)
    except (MissingDependencyError, ConfigError) as error:
        if robot.name == "sim":
            raise
        pytest.skip(f"no description of {robot.name} here: {error}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_home_gives_the_start_pose_where_the_description_is_installed(path: Path) -> None:
    robot, kinematics = described(path)
    reached = kinematics.forward(robot.home)
    assert reached.distance(robot.start_pose) < 1e-4
    assert reached.angle(robot.start_pose) < 1e-3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_workspaces_corners_are_reachable_where_the_description_is_installed(path: Path) -> None:
    robot, kinematics = described(path)
    reach = workspace_reach(kinematics, robot, (2, 2, 2))
    assert len(reach.points) == 8
    assert reach.missed == ()


def test_half_the_opening_maps_to_the_aperture_and_back() -> None:
    assert PANDA_FINGER.aperture(0.02) == pytest.approx(0.04)
    assert PANDA_FINGER.position(0.04) == pytest.approx(0.02)
    assert PANDA_FINGER.position(1.0) == pytest.approx(0.04)


def test_an_angle_with_zero_open_maps_to_the_aperture_and_back() -> None:
    assert ROBOTIQ.aperture(0.0) == pytest.approx(0.085)
    assert ROBOTIQ.aperture(0.7929) == pytest.approx(0.001, abs=1e-4)
    assert ROBOTIQ.aperture(0.4) == pytest.approx(0.0426, abs=1e-3)
    for aperture in (0.002, 0.04, 0.085):
        assert ROBOTIQ.aperture(ROBOTIQ.position(aperture)) == pytest.approx(aperture)
    assert ROBOTIQ.position(0.085) < ROBOTIQ.position(0.01)


def raw() -> dict[str, object]:
    return dict(yaml.safe_load((FOLDER / "sim.yaml").read_text()))


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("gripper", "aperture_scale"), -2.0, "held_aperture 0.004 m: must lie between the apertures"),
        (("gripper", "aperture_scale"), 0.0, "aperture_scale 0.0"),
        (("gripper", "joints"), [], "joints is empty"),
        (("gripper", "joints"), ["joint1"], r"joints \['joint1'\] are both"),
        (("gripper_command",), "modbus", "'modbus' is not one of 'topic', 'gripper_command'"),
        (("home",), [0.0] * 6, "home has 6 values for 7 arm_joints"),
        (("home",), [float("nan")] * 7, r"my_arm.yaml: home \[nan, .*must be finite"),
        (("drop",), [0.5, 0.0, float("nan"), 1.0, 0.0, 0.0, 0.0], "drop .*not finite"),
        (("drop",), [0.5, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0], "drop .*zero length"),
        (("drop",), [0.5, 0.3, 0.12, 1.0, 0.0, 0.0, 0.0], r"drop .*\(workspace\), .*0.15, 0.12\]"),
        (("start",), [0.5, 0.0, 0.01, 1.0, 0.0, 0.0, 0.0], r"start .*\(table_clearance\)"),
        (("start",), [0.5, 0.0, 0.18, 0.0, 0.0, 0.0, 1.0], "start .*3.142 rad from pointing straight down"),
        (("limits", "surface_height"), float("nan"), "my_arm.yaml: limits: surface_height nan"),
        (("driver", "stroke_time"), 0.0, "stroke_time 0.0: must be above 0"),
        (("driver", "gripper_reaction_time"), 0.0, "gripper_reaction_time 0.0: must be above 0"),
        (("driver", "max_joint_acceleration"), -1.0, "max_joint_acceleration -1.0"),
        (("driver", "max_joint_effort"), [80.0, 80.0], "max_joint_effort has 2 values for 7 arm_joints"),
        (("driver", "max_joint_effort"), [-1.0] * 7, "max_joint_effort .*each must be 0"),
        (("driver", "min_grip_effort"), -1.0, "min_grip_effort -1.0: must be 0"),
        (("driver", "min_grip_effort"), float("nan"), "min_grip_effort nan: must be 0"),
        (("driver", "cameras"), {"ceiling": {}}, r"cameras \['ceiling'\] are not among"),
    ],
)
def test_what_is_wrong_in_a_robot_file_is_named(path: tuple[str, ...], value: object, text: str) -> None:
    data = raw()
    place = data
    for key in path[:-1]:
        place[key] = dict(place[key])  # type: ignore[call-overload]
        place = place[key]  # type: ignore[assignment]
    place[path[-1]] = value
    with pytest.raises(ConfigError, match=text):
        from_mapping(data, RobotConfig, "my_arm.yaml")


@pytest.mark.parametrize("section", ["driver", "gripper", "limits"])
def test_an_unknown_key_is_refused_by_name(section: str) -> None:
    data = raw()
    data[section] = {**data[section], "sped": 1.0}  # type: ignore[dict-item]
    with pytest.raises(UnknownKeyError, match=f"my_arm.yaml: {section}: unknown key 'sped'. Valid keys: "):
        from_mapping(data, RobotConfig, "my_arm.yaml")


def test_a_camera_without_topics_of_its_own_publishes_on_the_standard_ones() -> None:
    robot = load_robot(FOLDER / "sim.yaml")
    assert robot.camera_topics("wrist").topic == "camera/image_raw"
    driver = {"cameras": {"wrist": {"image": "cam/color/image_raw", "transport": "compressed"}}}
    other = from_mapping({**raw(), "driver": driver}, RobotConfig, "my_arm.yaml")
    assert other.camera_topics("wrist").topic == "cam/color/image_raw/compressed"
