"""What runs beside Gazebo's server, as a list of nodes: description, arm, controllers, bridge."""

import shlex
from pathlib import Path

from grasp_bringup.node_spec import NodeSpec
from qtopt_policy import topics
from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import RobotConfig
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand

WORLD_FILE = Path("worlds/bin.sdf")
WORLD = "bin"  # its name in the file, and in Gazebo's topics and services
CONTROLLERS_FILE = Path("config/gazebo/controllers.yaml")
BRIDGE_FILE = Path("config/gazebo/bridge.yaml")
BROADCASTER = "joint_state_broadcaster"
PLUGIN = "gz_ros2_control::GazeboSimROS2ControlPlugin"
SPAWN_ARM = "spawn_arm"


def server_arguments(headless: bool) -> str:
    """Return gz_args of ros_gz_sim's gz_sim.launch.py: `gz sim`'s arguments, for a shell.

    -r runs at once; -s leaves the window out; cameras render without a display with --headless-rendering.
    """
    world = shlex.quote(str(resolve(WORLD_FILE).absolute()))
    return f"-r -s --headless-rendering {world}" if headless else f"-r {world}"


def gazebo_nodes(robot: RobotConfig, camera: str) -> tuple[NodeSpec, ...]:
    """Return the nodes between Gazebo's server and the graph; controllers start one after the other.

    Args:
        robot: whose xacro takes `sim:=gz` and `controllers_file`.
        camera: the active one, which the bridge publishes on camera/image_raw and camera/camera_info.

    Raises:
        ConfigError: the description does not load gz_ros2_control.
    """
    controllers = str(resolve(CONTROLLERS_FILE).absolute())
    description = _description(robot, controllers)
    names = (BROADCASTER, robot.driver.arm_controller, robot.driver.gripper_controller)
    before = (SPAWN_ARM, *map(_spawner_name, names))
    return (
        NodeSpec(
            "robot_state_publisher",
            "robot_state_publisher",
            "robot_state_publisher",  # where controller_manager asks for the description
            {"robot_description": description, "use_sim_time": True},
        ),
        _bridge(camera),
        NodeSpec(
            "ros_gz_sim",
            "create",
            SPAWN_ARM,
            {"world": WORLD, "topic": "robot_description", "name": robot.name},
            task=True,
        ),
        *(_spawner(name, controllers, after) for name, after in zip(names, before, strict=False)),
    )


def _description(robot: RobotConfig, controllers: str) -> str:
    urdf = expand(robot.urdf, {**robot.xacro_args, "sim": "gz", "controllers_file": controllers})
    if PLUGIN not in urdf:
        raise ConfigError(
            f"{robot.urdf}: with xacro arguments sim:=gz and controllers_file it does not load {PLUGIN}; "
            "urdf/arm.urdf.xacro shows how"
        )
    return urdf


def _bridge(camera: str) -> NodeSpec:
    remappings = (
        (f"{camera}_camera/image_raw", topics.IMAGE),
        (f"{camera}_camera/camera_info", topics.CAMERA_INFO),
    )
    parameters = {"config_file": str(resolve(BRIDGE_FILE).absolute())}
    return NodeSpec("ros_gz_bridge", "parameter_bridge", "gazebo_bridge", parameters, remappings)


def _spawner_name(controller: str) -> str:
    return f"spawn_{controller}"


def _spawner(controller: str, file: str, after: str) -> NodeSpec:
    return NodeSpec(
        "controller_manager",
        "spawner",
        _spawner_name(controller),
        arguments=(controller, "--param-file", file),
        after=after,
        task=True,
    )
