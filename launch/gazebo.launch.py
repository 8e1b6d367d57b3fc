"""Collect episodes in Gazebo: its server, the arm with its controllers, and the nodes that run on a robot.

ros2 launch qtopt_grasping gazebo.launch.py policy:=scripted episodes:=10 bags:=bags
"""

from launch import LaunchDescription

from grasp_bringup.launching import launch_description
from grasp_bringup.system import system_nodes


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` executes; `--show-args` lists the arguments."""
    return launch_description(system_nodes, fixed={"system": "gazebo"})
