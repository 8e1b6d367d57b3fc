"""config/gazebo against the documented keys, the robot's description, its file and the nodes' topics."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml

from grasp_bringup.urdf import expand
from qtopt_policy import topics
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

ROBOT = load_robot(resolve(Path("config/robots/sim.yaml")))
URDF = ElementTree.fromstring(expand(ROBOT.urdf, {"sim": "gz", "controllers_file": "/controllers.yaml"}))
BRIDGE: list[dict[str, str]] = yaml.safe_load(resolve(Path("config/gazebo/bridge.yaml")).read_text())
CONTROLLERS: dict[str, Any] = yaml.safe_load(resolve(Path("config/gazebo/controllers.yaml")).read_text())
MANAGER: dict[str, Any] = CONTROLLERS["controller_manager"]["ros__parameters"]

# Pairs of types that ros_gz_bridge a4d00a9 converts (ros_gz_bridge/README.md).
CONVERTED = {
    "rosgraph_msgs/msg/Clock": "gz.msgs.Clock",
    "sensor_msgs/msg/Image": "gz.msgs.Image",
    "sensor_msgs/msg/CameraInfo": "gz.msgs.CameraInfo",
}
# Documented parameters of each type of controller, those that are used here (ros2_controllers 94e74de).
DOCUMENTED: dict[str, dict[str, type]] = {
    "joint_state_broadcaster/JointStateBroadcaster": {},
    "joint_trajectory_controller/JointTrajectoryController": {
        "joints": list,
        "command_interfaces": list,
        "state_interfaces": list,
        "interpolate_from_desired_state": bool,
    },
    "forward_command_controller/ForwardCommandController": {"joints": list, "interface_name": str},
}
# Topic of each type of controller, below its name.
TOPICS = {
    "joint_trajectory_controller/JointTrajectoryController": "joint_trajectory",
    "forward_command_controller/ForwardCommandController": "commands",
}
KINDS: dict[str, str] = {
    name: entry["type"] for name, entry in MANAGER.items() if isinstance(entry, dict) and "type" in entry
}


def parameters(name: str) -> dict[str, Any]:
    found: dict[str, Any] = CONTROLLERS.get(name, {}).get("ros__parameters", {})
    return found


def interfaces(kind: str) -> dict[str, set[str]]:
    """Return the command or state interfaces of each joint in the description."""
    joints = URDF.iterfind("ros2_control/joint")
    return {
        joint.attrib["name"]: {found.attrib["name"] for found in joint.iterfind(f"{kind}_interface")}
        for joint in joints
    }


@pytest.mark.parametrize("entry", BRIDGE, ids=lambda entry: entry["ros_topic_name"])
def test_a_bridged_topic_has_the_documented_keys_and_a_known_pair_of_types(entry: dict[str, str]) -> None:
    keys = {"ros_topic_name", "gz_topic_name", "ros_type_name", "gz_type_name", "direction"}
    assert set(entry) == keys
    assert entry["gz_type_name"] == CONVERTED[entry["ros_type_name"]]
    assert entry["direction"] == "GZ_TO_ROS"


def test_the_bridge_carries_the_clock_and_what_each_camera_of_the_description_publishes() -> None:
    expected = {"/clock"}
    for sensor in URDF.iter("sensor"):
        for tag in ("topic", "camera/camera_info_topic"):
            name = str(sensor.findtext(tag))
            expected.add("/" + name.lstrip("/"))
    assert len(expected) == 5
    assert {entry["gz_topic_name"] for entry in BRIDGE} == expected


def test_every_camera_of_the_robot_has_an_image_and_its_camera_info() -> None:
    found = {entry["ros_topic_name"]: entry["ros_type_name"] for entry in BRIDGE}
    for camera in ROBOT.cameras:
        assert found[f"{camera}_camera/image_raw"] == "sensor_msgs/msg/Image"
        assert found[f"{camera}_camera/camera_info"] == "sensor_msgs/msg/CameraInfo"


def test_names_of_the_bridge_are_relative_but_the_clock_s() -> None:
    assert [e["ros_topic_name"] for e in BRIDGE if e["ros_topic_name"].startswith("/")] == ["/clock"]


def test_image_and_camera_info_are_in_the_robot_s_frame() -> None:
    for sensor in URDF.iter("sensor"):
        name = sensor.attrib["name"].removesuffix("_camera")
        assert sensor.findtext("camera/optical_frame_id") == ROBOT.cameras[name].frame


@pytest.mark.parametrize("name", KINDS)
def test_a_controller_has_documented_parameters_of_their_types(name: str) -> None:
    known = DOCUMENTED[KINDS[name]]
    given = parameters(name)
    assert {key: type(value) for key, value in given.items()} == known


def test_nothing_is_configured_for_a_controller_that_is_not_there() -> None:
    assert set(CONTROLLERS) <= {"controller_manager", *KINDS}


def test_controllers_are_those_of_the_robot_and_listen_where_the_nodes_publish() -> None:
    arm, gripper = ROBOT.driver.arm_controller, ROBOT.driver.gripper_controller
    listened = {name: f"{name}/{TOPICS[KINDS[name]]}" for name in (arm, gripper)}
    assert listened == {arm: ROBOT.arm_topic, gripper: ROBOT.gripper_topic}
    assert set(listened.values()) == {topics.ARM_COMMAND, topics.GRIPPER_COMMAND}


def test_arm_controller_takes_the_robot_s_joints_in_their_order() -> None:
    assert parameters(ROBOT.driver.arm_controller)["joints"] == list(ROBOT.arm_joints)


def test_gripper_controller_takes_one_position_of_the_joint_that_tells_the_aperture() -> None:
    assert parameters(ROBOT.driver.gripper_controller)["joints"] == [ROBOT.gripper.joints[0]]


@pytest.mark.parametrize("name", [ROBOT.driver.arm_controller, ROBOT.driver.gripper_controller])
def test_controllers_claim_interfaces_that_the_description_has(name: str) -> None:
    given = parameters(name)
    wanted = set(given.get("command_interfaces", [given.get("interface_name")]))
    for joint in given["joints"]:
        assert interfaces("command")[joint] == wanted
        assert set(given.get("state_interfaces", [])) <= interfaces("state")[joint]


def test_a_joint_that_mimics_has_states_but_takes_no_commands() -> None:
    mimicking = [joint.attrib["name"] for joint in URDF.iter("joint") if joint.find("mimic") is not None]
    assert mimicking == ["finger_joint2"]
    assert interfaces("command")["finger_joint2"] == set()
    assert interfaces("state")["finger_joint2"] == {"position", "velocity"}


def test_the_joint_states_are_published_as_often_as_by_the_embedded_simulator() -> None:
    assert MANAGER["update_rate"] == 100


def test_moveit_s_controller_is_gazebo_s() -> None:
    moveit = yaml.safe_load(resolve(Path("config/moveit/controllers.yaml")).read_text())
    manager = moveit["moveit_simple_controller_manager"]
    (name,) = manager["controller_names"]
    assert KINDS[name] == "joint_trajectory_controller/JointTrajectoryController"
    assert manager[name]["joints"] == parameters(name)["joints"]


def test_gazebo_loads_the_controllers_file_that_it_is_given() -> None:
    plugin = URDF.find("gazebo/plugin")
    assert plugin is not None
    assert plugin.findtext("parameters") == "/controllers.yaml"
    assert 0.0 < float(plugin.findtext("position_proportional_gain", "nan")) < 1.0
