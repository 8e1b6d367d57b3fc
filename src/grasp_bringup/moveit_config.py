"""MoveIt's parameters: this package's own (config/moveit), and a robot's limits on top of any (no ROS)."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from grasp_bringup.moveit_files import PIPELINES, Parameters, load_yaml, moveit_file
from grasp_bringup.moveit_group import check_group, check_servo_group
from grasp_bringup.moveit_package import package_parameters
from grasp_bringup.urdf_tree import UrdfTree
from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import RobotConfig
from qtopt_policy.urdf import expand

DESCRIPTION = "robot_description"  # begins the names of all that describes the robot
SEMANTIC = "robot_description_semantic"
LINE_REQUEST = "pilz_lin"  # namespace of the plan request for straight lines in moveit_py.yaml
PLANNING = "robot_description_planning"
SCENE_MONITOR = {
    "publish_planning_scene": True,
    "publish_geometry_updates": True,
    "publish_state_updates": True,
    "publish_transforms_updates": True,
    "publish_robot_description": False,
    "publish_robot_description_semantic": False,
}


def moveit_parameters(robot: RobotConfig) -> Parameters:
    """Return MoveIt's parameters for a robot: its MoveIt package's, or config/moveit of this package.

    Raises:
        MissingDependencyError: the package, or moveit_configs_utils, is not installed.
        ConfigError: as `package_parameters`, `check_group` and `limited`.
    """
    found = package_parameters(robot) if robot.driver.moveit_package else own_parameters(robot)
    check_group(robot, found[DESCRIPTION], found[SEMANTIC])
    return limited(found, robot)


def own_parameters(robot: RobotConfig) -> Parameters:
    """Return what MoveItConfigsBuilder would make of config/moveit, for an arm without a MoveIt package.

    Not by the builder itself: that needs a package in ament's index, launch and moveit_configs_utils, where
    this must run without. A test compares the two.
    """
    return {
        DESCRIPTION: expand(robot.urdf, robot.xacro_args),
        SEMANTIC: expand(robot.srdf, robot.xacro_args),
        "robot_description_kinematics": load_yaml(moveit_file("kinematics.yaml")),
        PLANNING: {
            **load_yaml(moveit_file("joint_limits.yaml")),
            **load_yaml(moveit_file("pilz_cartesian_limits.yaml")),
        },
        "moveit_manage_controllers": False,
        **load_yaml(moveit_file("controllers.yaml")),
        **SCENE_MONITOR,
        **load_yaml(moveit_file("moveit_py.yaml")),
        **{name: load_yaml(moveit_file(f"{name}_planning.yaml")) for name in PIPELINES},
    }


def limited(parameters: Mapping[str, Any], robot: RobotConfig) -> Parameters:
    """Return the parameters with no speed above the robot's limits.

    Joint speeds are bound by `joint_speed_fraction` of the URDF's, the tool's by `max_tool_speed` and
    `max_tool_yaw_speed`, accelerations by the driver's `max_joint_acceleration` where it names one.

    Raises:
        ConfigError: an arm joint has no acceleration limit, which Pilz needs, or a part is missing.
    """
    result = deepcopy(dict(parameters))
    planning = result.get(PLANNING, {})
    if not {"joint_limits", "cartesian_limits"} <= set(planning):
        raise ConfigError(f"MoveIt parameters: {PLANNING} needs joint_limits and cartesian_limits")
    velocities = UrdfTree(result["robot_description"]).velocity_limits(robot.arm_joints)
    for joint, velocity in zip(robot.arm_joints, velocities, strict=True):
        _limit_joint(planning["joint_limits"], joint, robot, float(velocity))
    tool = planning["cartesian_limits"]
    tool["max_trans_vel"] = min(tool["max_trans_vel"], robot.limits.max_tool_speed)
    tool["max_rot_vel"] = min(tool["max_rot_vel"], robot.limits.max_tool_yaw_speed)
    return result


def _limit_joint(limits: Parameters, joint: str, robot: RobotConfig, velocity: float) -> None:
    entry = limits.setdefault(joint, {})
    allowed = robot.limits.joint_speed_fraction * velocity
    entry["has_velocity_limits"] = True
    entry["max_velocity"] = min(float(entry.get("max_velocity", allowed)), allowed)
    most = robot.driver.max_joint_acceleration
    given = entry.get("max_acceleration") if entry.get("has_acceleration_limits") else None
    if given is None and most is None:
        raise ConfigError(
            f"MoveIt parameters: {PLANNING}.joint_limits.{joint} has no max_acceleration, which Pilz needs: "
            "set it in the MoveIt package's joint limits (joint_limits.yaml, or what "
            "driver.moveit_files.joint_limits names), or driver.max_joint_acceleration of the robot"
        )
    entry["has_acceleration_limits"] = True
    entry["max_acceleration"] = min(float(value) for value in (given, most) if value is not None)


def servo_parameters(robot: RobotConfig) -> Parameters:
    """Return the parameters of MoveIt Servo's node, flat: servo.yaml with the robot's names and speeds.

    Raises:
        MissingDependencyError, ConfigError: as `moveit_parameters`; ConfigError also as `check_servo_group`.
    """
    servo = load_yaml(moveit_file("servo.yaml"))
    servo["move_group_name"] = robot.driver.planning_group
    servo["command_out_topic"] = robot.arm_topic
    servo["scale"]["linear"] = robot.limits.max_tool_speed
    servo["scale"]["rotational"] = robot.limits.max_tool_yaw_speed
    model = {name: value for name, value in moveit_parameters(robot).items() if name.startswith(DESCRIPTION)}
    check_servo_group(robot, model[DESCRIPTION], model[SEMANTIC])
    smoothing = {"update_period": servo["publish_period"], "planning_group_name": servo["move_group_name"]}
    return flat({"moveit_servo": servo, **smoothing, **model})


def flat(parameters: Mapping[str, Any], prefix: str = "") -> Parameters:
    """Return nested parameters with dots in their names."""
    result: Parameters = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value
    return result


def write_parameters(parameters: Mapping[str, Any], path: Path) -> Path:
    """Write parameters for every node of a process, as `--params-file` takes them; return the path.

    The key `/**` is what lets moveit_py take `use_sim_time` (moveit2 issue 2940).
    """
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(parameters)}}, sort_keys=False))
    return path
