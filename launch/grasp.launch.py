"""Collect episodes: the robot or its simulation, guard, executor, policy and collector.

ros2 launch qtopt_grasping grasp.launch.py robot:=my_arm.yaml checkpoint:=policy.safetensors
ros2 launch qtopt_grasping grasp.launch.py episodes:=10 bags:=bags       # the simulated cell, scripted
"""

from launch import LaunchDescription

from grasp_bringup.launching import launch_description
from grasp_bringup.system import system_nodes


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` executes; `--show-args` lists the arguments."""
    return launch_description(system_nodes)
