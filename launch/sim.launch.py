"""Start the simulated cell alone: simulator, guard, executor and gripper, for a policy of your own.

ros2 launch qtopt_grasping sim.launch.py rtf:=1.0 camera:=wrist
"""

from launch import LaunchDescription

from grasp_bringup.launching import launch_description
from grasp_bringup.system import CELL_OPTIONS, cell_nodes


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` executes; `--show-args` lists the arguments."""
    return launch_description(cell_nodes, CELL_OPTIONS, fixed={"system": "sim"})
