"""config/moveit against the keys that MoveIt documents, and what becomes of it for a robot."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from grasp_bringup.moveit_config import (
    LINE_REQUEST,
    flat,
    limited,
    moveit_parameters,
    own_parameters,
    servo_parameters,
    write_parameters,
)
from grasp_bringup.moveit_files import FOLDER, PIPELINES, load_yaml, moveit_file
from grasp_bringup.urdf_tree import UrdfTree
from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand

REQUEST = {
    "planning_pipeline": str,
    "planner_id": str,
    "planning_attempts": int,
    "planning_time": float,
    "max_velocity_scaling_factor": float,
    "max_acceleration_scaling_factor": float,
}
PIPELINE = {"planning_plugins": list, "request_adapters": list, "response_adapters": list}
# Documented keys and their types, by file; `*` is any name. From moveit2 8fcb5d23:
# kinematics_parameters.yaml, cartesian_limits_parameters.yaml, planning_pipeline_parameters.yaml,
# trajectory_execution_manager.cpp, moveit_cpp.hpp, planning_component.hpp, servo_parameters.yaml.
SCHEMAS: dict[str, dict[str, Any]] = {
    "kinematics.yaml": {
        "*": {
            "kinematics_solver": str,
            "kinematics_solver_search_resolution": float,
            "kinematics_solver_timeout": float,
        }
    },
    "joint_limits.yaml": {
        "joint_limits": {
            "*": {
                "has_velocity_limits": bool,
                "max_velocity": float,
                "has_acceleration_limits": bool,
                "max_acceleration": float,
            }
        }
    },
    "no_joint_limits.yaml": {"joint_limits": {}},
    "pilz_cartesian_limits.yaml": {
        "cartesian_limits": {
            "max_trans_vel": float,
            "max_trans_acc": float,
            "max_trans_dec": float,
            "max_rot_vel": float,
        }
    },
    "ompl_planning.yaml": PIPELINE
    | {
        "planner_configs": {"*": {"type": str, "range": float}},
        "arm": {"planner_configs": list},
    },
    "pilz_industrial_motion_planner_planning.yaml": PIPELINE | {"default_planner_config": str},
    "controllers.yaml": {
        "trajectory_execution": {
            "execution_duration_monitoring": bool,
            "allowed_execution_duration_scaling": float,
            "allowed_goal_duration_margin": float,
            "allowed_start_tolerance": float,
        },
        "moveit_controller_manager": str,
        "moveit_simple_controller_manager": {
            "controller_names": list,
            "*": {"type": str, "action_ns": str, "default": bool, "joints": list},
        },
    },
    "moveit_py.yaml": {
        "planning_scene_monitor_options": {
            "name": str,
            "robot_description": str,
            "joint_state_topic": str,
            "attached_collision_object_topic": str,
            "publish_planning_scene_topic": str,
            "monitored_planning_scene_topic": str,
            "wait_for_initial_state_timeout": float,
        },
        "planning_pipelines": {"pipeline_names": list},
        "plan_request_params": REQUEST,
        "pilz_lin": {"plan_request_params": REQUEST},
    },
    "servo.yaml": {
        "publish_period": float,
        "max_expected_latency": float,
        "command_in_type": str,
        "scale": {"linear": float, "rotational": float, "joint": float},
        "incoming_command_timeout": float,
        "pose_tracking": {"linear_tolerance": float, "angular_tolerance": float},
        "pose_command_in_topic": str,
        "status_topic": str,
        "joint_topic": str,
        "monitored_planning_scene_topic": str,
        "command_out_topic": str,
        "command_out_type": str,
        "publish_joint_positions": bool,
        "publish_joint_velocities": bool,
        "publish_joint_accelerations": bool,
        "use_smoothing": bool,
        "smoothing_filter_plugin_name": str,
        "is_primary_planning_scene_monitor": bool,
        "check_octomap_collisions": bool,
        "check_collisions": bool,
        "collision_check_rate": float,
        "self_collision_proximity_threshold": float,
        "scene_collision_proximity_threshold": float,
        "lower_singularity_threshold": float,
        "hard_stop_singularity_threshold": float,
        "leaving_singularity_threshold_multiplier": float,
        "joint_limit_margins": list,
        "move_group_name": str,
    },
}


def problems(data: Any, schema: Any, where: str) -> list[str]:
    """Return what differs from the documented keys and types; ROS tells 1 from 1.0."""
    if isinstance(schema, type):
        return [] if type(data) is schema else [f"{where}: {data!r} is no {schema.__name__}"]
    if not isinstance(data, dict):
        return [f"{where}: {data!r} is no mapping"]
    found = [f"{where}: missing {key}" for key in schema if key != "*" and key not in data]
    for key, value in data.items():
        if key not in schema and "*" not in schema:
            found.append(f"{where}: unknown key {key}")
        else:
            found += problems(value, schema.get(key, schema.get("*")), f"{where}.{key}")
    return found


@pytest.fixture(scope="module")
def robot() -> RobotConfig:
    return load_robot(resolve(Path("config/robots/sim.yaml")))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_has_the_documented_keys_with_their_types(name: str) -> None:
    assert problems(load_yaml(moveit_file(name)), SCHEMAS[name], name) == []


def test_the_check_finds_what_is_wrong() -> None:
    schema = SCHEMAS["pilz_cartesian_limits.yaml"]
    data = {"cartesian_limits": {"max_trans_vel": 1, "max_trans_acc": 1.0, "max_rot_vel": 1.0, "max": 1.0}}
    assert problems(data, schema, "f") == [
        "f.cartesian_limits: missing max_trans_dec",
        "f.cartesian_limits.max_trans_vel: 1 is no float",
        "f.cartesian_limits: unknown key max",
    ]


def test_every_file_is_checked() -> None:
    assert {path.name for path in resolve(Path(FOLDER)).iterdir()} == set(SCHEMAS)


def test_lines_are_planned_by_pilz_lin_and_nothing_else() -> None:
    requests = load_yaml(moveit_file("moveit_py.yaml"))
    for request in (requests["plan_request_params"], requests[LINE_REQUEST]["plan_request_params"]):
        assert request["planning_pipeline"] == "pilz_industrial_motion_planner"
        assert request["planner_id"] == "LIN"
        assert request["planning_attempts"] == 1
        assert request["planning_time"] <= 0.2
    assert set(requests["planning_pipelines"]["pipeline_names"]) == set(PIPELINES)


def test_names_are_those_of_urdf_srdf_and_robot(robot: RobotConfig) -> None:
    parameters = own_parameters(robot)
    tree = UrdfTree(parameters["robot_description"])
    group = robot.driver.planning_group
    assert set(parameters["robot_description_kinematics"]) == {group}
    assert f'<group name="{group}">' in parameters["robot_description_semantic"]
    manager = parameters["moveit_simple_controller_manager"]
    assert manager["controller_names"] == [robot.driver.arm_controller]
    assert manager[robot.driver.arm_controller]["joints"] == list(robot.arm_joints)
    limits = parameters["robot_description_planning"]["joint_limits"]
    velocities = tree.velocity_limits(robot.arm_joints)
    assert [limits[name]["max_velocity"] for name in robot.arm_joints] == list(velocities)


def test_speeds_are_lowered_to_the_robots_limits(robot: RobotConfig) -> None:
    slow = replace(
        robot,
        limits=replace(robot.limits, max_tool_speed=0.1, max_tool_yaw_speed=0.7, joint_speed_fraction=0.25),
        driver=replace(robot.driver, max_joint_acceleration=2.0),
    )
    planning = moveit_parameters(slow)["robot_description_planning"]
    assert planning["cartesian_limits"]["max_trans_vel"] == 0.1
    assert planning["cartesian_limits"]["max_rot_vel"] == 0.7
    assert planning["joint_limits"]["joint1"]["max_velocity"] == pytest.approx(0.25 * 2.175)
    assert planning["joint_limits"]["joint2"]["max_acceleration"] == 1.875
    assert planning["joint_limits"]["joint6"]["max_acceleration"] == 2.0


def test_limits_are_never_raised(robot: RobotConfig) -> None:
    parameters = own_parameters(robot)
    parameters["robot_description_planning"]["joint_limits"]["joint1"]["max_velocity"] = 0.2
    parameters["robot_description_planning"]["cartesian_limits"]["max_trans_vel"] = 0.05
    planning = limited(parameters, robot)["robot_description_planning"]
    assert planning["joint_limits"]["joint1"]["max_velocity"] == 0.2
    assert planning["cartesian_limits"]["max_trans_vel"] == 0.05


def test_a_joint_without_acceleration_limit_is_refused_by_name(robot: RobotConfig) -> None:
    parameters = own_parameters(robot)
    parameters["robot_description_planning"]["joint_limits"]["joint3"]["has_acceleration_limits"] = False
    with pytest.raises(ConfigError, match=r"joint3 has no max_acceleration.*driver\.max_joint_acceleration"):
        limited(parameters, robot)
    known = replace(robot, driver=replace(robot.driver, max_joint_acceleration=4.0))
    entry = limited(parameters, known)["robot_description_planning"]["joint_limits"]["joint3"]
    assert (entry["has_acceleration_limits"], entry["max_acceleration"]) == (True, 4.0)


def test_servos_parameters_are_flat_and_of_types_that_ros_knows(robot: RobotConfig) -> None:
    parameters = servo_parameters(robot)
    for name, value in parameters.items():
        items = value if isinstance(value, list) else [value]
        assert items, name
        assert {type(item) for item in items} <= {bool, int, float, str}, name
        assert len({type(item) for item in items}) == 1, name
    assert parameters["moveit_servo.move_group_name"] == parameters["planning_group_name"] == "arm"
    assert parameters["moveit_servo.publish_period"] == parameters["update_period"]
    assert parameters["robot_description_planning.joint_limits.joint1.max_velocity"] <= 0.5 * 2.175


def test_nested_names_get_dots() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": [1.0]}, "e": ""}) == {"a.b.c": 1, "a.d": [1.0], "e": ""}


def test_parameters_are_written_for_every_node(tmp_path: Path) -> None:
    path = write_parameters({"a": {"b": 1.5}}, tmp_path / "p.yaml")
    assert yaml.safe_load(path.read_text()) == {"/**": {"ros__parameters": {"a": {"b": 1.5}}}}


@pytest.mark.parametrize("text", [None, "- 1", "a: ["])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "x.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        load_yaml(path)


def test_own_parameters_hold_the_expanded_robot(robot: RobotConfig) -> None:
    assert own_parameters(robot)["robot_description"] == expand(robot.urdf, robot.xacro_args)
