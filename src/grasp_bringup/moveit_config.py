"""MoveIt's parameters: this package's own (config/moveit), and a robot's limits on top of any (no ROS)."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from grasp_bringup.urdf_tree import UrdfTree
from qtopt_policy.errors import ConfigError, MissingDependencyError
from qtopt_policy.robot import RobotConfig
from qtopt_policy.share import package_share, resolve, share_directory
from qtopt_policy.urdf import expand

Parameters = dict[str, Any]

FOLDER = "config/moveit"
DESCRIPTION = "robot_description"  # begins the names of all that describes the robot
LINE_REQUEST = "pilz_lin"  # namespace of the plan request for straight lines in moveit_py.yaml
PIPELINES = ("ompl", "pilz_industrial_motion_planner")
PLANNING = "robot_description_planning"
SCENE_MONITOR = {
    "publish_planning_scene": True,
    "publish_geometry_updates": True,
    "publish_state_updates": True,
    "publish_transforms_updates": True,
    "publish_robot_description": False,
    "publish_robot_description_semantic": False,
}


def moveit_file(name: str) -> Path:
    """Return the path of a file in config/moveit."""
    return share_directory() / FOLDER / name


def load_yaml(path: Path) -> Parameters:
    """Read a YAML mapping; ConfigError if the file is missing or is something else."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping, found {type(data).__name__}")
    return data


def moveit_parameters(robot: RobotConfig) -> Parameters:
    """Return MoveIt's parameters for a robot: its MoveIt package's, or config/moveit of this package.

    Raises:
        MissingDependencyError: the package, or moveit_configs_utils, is not installed.
        ConfigError: as `limited`.
    """
    found = package_parameters(robot) if robot.driver.moveit_package else own_parameters(robot)
    return limited(found, robot)


def own_parameters(robot: RobotConfig) -> Parameters:
    """Return what MoveItConfigsBuilder would make of config/moveit, for an arm without a MoveIt package."""
    return {
        "robot_description": expand(robot.urdf, robot.xacro_args),
        "robot_description_semantic": expand(robot.srdf, {}),
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


def package_parameters(robot: RobotConfig) -> Parameters:
    """Return the parameters of the robot's MoveIt package, with this package's requests (moveit_py.yaml).

    A package without pilz_cartesian_limits.yaml gets this package's: `limited` lowers them anyway.

    Raises:
        MissingDependencyError: the package, or moveit_configs_utils, is not installed.
    """
    try:
        from moveit_configs_utils import MoveItConfigsBuilder
    except ImportError as error:
        raise MissingDependencyError(
            "moveit_configs_utils is not installed: apt install ros-$ROS_DISTRO-moveit-configs-utils"
        ) from error
    package, limits = robot.driver.moveit_package, "config/pilz_cartesian_limits.yaml"
    builder = (
        MoveItConfigsBuilder(robot.name, package_name=package)
        .robot_description(file_path=str(resolve(robot.urdf)), mappings=robot.xacro_args)
        .robot_description_semantic(file_path=str(resolve(robot.srdf)), mappings=robot.xacro_args)
        .planning_pipelines(pipelines=list(PIPELINES))
        .moveit_cpp(file_path=str(moveit_file("moveit_py.yaml")))
    )
    if not (package_share(package) / limits).is_file():
        builder = builder.pilz_cartesian_limits(file_path=str(moveit_file("pilz_cartesian_limits.yaml")))
    return builder.to_moveit_configs().to_dict()


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
            "set it in the MoveIt package's joint_limits.yaml, or driver.max_joint_acceleration of the robot"
        )
    entry["has_acceleration_limits"] = True
    entry["max_acceleration"] = min(float(value) for value in (given, most) if value is not None)


def servo_parameters(robot: RobotConfig) -> Parameters:
    """Return the parameters of MoveIt Servo's node, flat: servo.yaml with the robot's names and speeds.

    Errors as `moveit_parameters`.
    """
    servo = load_yaml(moveit_file("servo.yaml"))
    servo["move_group_name"] = robot.driver.planning_group
    servo["command_out_topic"] = robot.arm_topic
    servo["scale"]["linear"] = robot.limits.max_tool_speed
    servo["scale"]["rotational"] = robot.limits.max_tool_yaw_speed
    model = {name: value for name, value in moveit_parameters(robot).items() if name.startswith(DESCRIPTION)}
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
