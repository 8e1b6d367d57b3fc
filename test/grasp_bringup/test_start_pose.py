import numpy as np

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.sim.env import ROBOT_FILE
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve


def test_episodes_over_ros_start_where_those_of_the_environment_do() -> None:
    robot = load_robot(resolve(ROBOT_FILE))
    home = kinematics_of(robot).forward(np.array(robot.home))
    assert home.distance(robot.start_pose) < 1e-3
    assert home.angle(robot.start_pose) < 5e-3
