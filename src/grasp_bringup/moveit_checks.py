"""Whether MoveIt and MoveIt Servo can be configured for a robot, and what to do (no ROS)."""

from collections.abc import Iterator

from grasp_bringup.finding import Finding, Level
from grasp_bringup.moveit_config import DESCRIPTION, SEMANTIC, moveit_parameters
from grasp_bringup.moveit_group import check_group, check_servo_group
from qtopt_policy.errors import ConfigError, MissingDependencyError
from qtopt_policy.robot import RobotConfig


def check_moveit(robot: RobotConfig) -> Iterator[Finding]:
    """MoveIt's files are there, and its planning group moves the tool.

    What cannot be used is `wrong` where the robot names a MoveIt package, else `absent`.
    """
    mend = "correct srdf, driver.planning_group or driver.moveit_files; arm:=embedded needs no MoveIt"
    try:
        found = moveit_parameters(robot)
        chain = check_group(robot, found[DESCRIPTION], found[SEMANTIC])
    except MissingDependencyError as error:
        yield Finding("MoveIt", "absent", f"{error}; needed for arm:=moveit and arm:=moveit_servo", mend)
        return
    except ConfigError as error:
        level: Level = "wrong" if robot.driver.moveit_package else "absent"
        yield Finding("MoveIt", level, str(error), mend)
        return
    group = robot.driver.planning_group
    yield Finding("MoveIt", "ok", f"group {group} moves {robot.tool_frame} by {len(chain.joints)} joints")
    try:
        check_servo_group(robot, found[DESCRIPTION], found[SEMANTIC])
    except ConfigError as error:
        yield Finding("MoveIt Servo", "absent", str(error))
