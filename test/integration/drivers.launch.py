"""Gazebo with the arm and its controllers, camera, clock and resets; none of the nodes that move the arm."""

from launch import LaunchDescription

from grasp_bringup.launching import launch_description
from grasp_bringup.system import driver_nodes


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` executes."""
    return launch_description(driver_nodes, ("camera", "headless"), {"system": "gazebo"})
