"""MoveIt packages with the files that the shipped robots' drivers have at the commits that they cite."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from grasp_bringup.moveit_files import load_yaml, moveit_file
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from support.packages import Prefix

MANAGER = "moveit_simple_controller_manager"


def shipped(name: str) -> RobotConfig:
    return load_robot(resolve(Path(f"config/robots/{name}.yaml")))


def chain_urdf(name: str, links: tuple[str, ...], joints: tuple[str, ...]) -> str:
    """Return a URDF of one chain: `joints` are revolute, the links after the last of them fixed."""
    parts = [f'<link name="{link}"/>' for link in links]
    for index, (parent, child) in enumerate(itertools.pairwise(links)):
        kind = "revolute" if index < len(joints) else "fixed"
        label = joints[index] if index < len(joints) else f"{child}_mount"
        parts.append(
            f'<joint name="{label}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
            '<axis xyz="0 0 1"/><limit lower="-2.9" upper="2.9" velocity="2.0" effort="87"/></joint>'
        )
    return f'<robot name="{name}">{"".join(parts)}</robot>'


def srdf(name: str, groups: Mapping[str, tuple[str, str]]) -> str:
    chains = [
        f'<group name="{group}"><chain base_link="{base}" tip_link="{tip}"/></group>'
        for group, (base, tip) in groups.items()
    ]
    return f'<robot name="{name}">{"".join(chains)}</robot>'


def controllers(arm: str, joints: tuple[str, ...], gripper: str, fingers: tuple[str, ...]) -> dict[str, Any]:
    """Return what Franka's *_controllers.yaml hold: the list itself, not what MoveIt wants around it."""
    trajectory = {"action_ns": "follow_joint_trajectory", "type": "FollowJointTrajectory", "default": True}
    command = {"action_ns": "gripper_action", "type": "GripperCommand", "default": True}
    return {
        "controller_names": [arm, gripper],
        arm: {**trajectory, "joints": list(joints)},
        gripper: {**command, "joints": list(fingers)},
    }


def solver(*groups: str) -> dict[str, Any]:
    return {group: {"kinematics_solver": "their/Solver"} for group in groups}


def install_franka(prefix: Prefix, robot: RobotConfig, description: dict[str, str], limits: bool) -> None:
    """Install franka_description and the MoveIt package with Franka's file names (franka_ros2 29cb85a)."""
    name, package = robot.name, robot.driver.moveit_package
    held = controllers(robot.driver.arm_controller, robot.arm_joints, f"{name}_gripper", robot.gripper.joints)
    files = {
        f"config/{name}_controllers.yaml": yaml.safe_dump(held),
        f"config/{name}_ros_controllers.yaml": "controller_manager: {ros__parameters: {update_rate: 1000}}",
        "config/kinematics.yaml": yaml.safe_dump(solver(f"{name}_arm")),
        "config/ompl_planning.yaml": "planner_configs: {RRT: {type: geometric::RRT, range: 0.0}}",
    }
    if limits:
        each = {"has_acceleration_limits": True, "max_acceleration": 3.75}
        table = {"joint_limits": {joint: dict(each) for joint in robot.arm_joints}}
        files[f"config/{name}_joint_limits.yaml"] = yaml.safe_dump(table)
    prefix.package("franka_description", {k: v for k, v in description.items() if not k.startswith("srdf")})
    prefix.package(package, files | {k: v for k, v in description.items() if k.startswith("srdf")})


def franka(prefix: Prefix, name: str) -> RobotConfig:
    """Return the shipped file of an arm of Franka's, its packages installed as at the cited commits."""
    robot = shipped(name)
    arm = tuple(f"{name}_link{i}" for i in range(9))
    urdf = chain_urdf(name, (*arm, f"{name}_hand", f"{name}_hand_tcp"), robot.arm_joints)
    groups = {f"{name}_arm": (arm[0], arm[8])}
    if name == "fr3":
        files = {"robots/fr3/fr3.urdf.xacro": urdf, "robots/fr3/fr3.srdf.xacro": srdf(name, groups)}
    else:
        groups["panda_manipulator"] = (arm[0], "panda_hand_tcp")
        files = {"robots/panda_arm.urdf.xacro": urdf, "srdf/panda_arm.srdf.xacro": srdf(name, groups)}
    install_franka(prefix, robot, files, limits=name == "fr3")
    return robot


def ur(prefix: Prefix, folder: Path) -> RobotConfig:
    """Return the shipped UR5e with a short URDF in `folder`, ur_moveit_config installed as at a16a2687."""
    robot = shipped("ur5e_robotiq")
    links = ("shoulder_link", "upper_arm_link", "forearm_link", "wrist_1_link", "wrist_2_link")
    chain = ("base_link", *links, "wrist_3_link", "tool0", "robotiq_85_base_link", "tcp")
    urdf = folder / "ur5e.urdf"
    urdf.write_text(chain_urdf("ur5e_robotiq", chain, robot.arm_joints))
    limits = {joint: {"has_acceleration_limits": True, "max_acceleration": 5.0} for joint in robot.arm_joints}
    execution = {
        MANAGER: controllers(robot.driver.arm_controller, robot.arm_joints, "none", ()),
        "moveit_controller_manager": load_yaml(moveit_file("controllers.yaml"))["moveit_controller_manager"],
        "trajectory_execution": {"allowed_start_tolerance": 0.01},
    }
    prefix.package(
        "ur_moveit_config",
        {
            "config/kinematics.yaml": yaml.safe_dump(solver("ur_manipulator")),
            "config/joint_limits.yaml": yaml.safe_dump({"joint_limits": limits}),
            "config/moveit_controllers.yaml": yaml.safe_dump(execution),
            "config/pilz_cartesian_limits.yaml": moveit_file("pilz_cartesian_limits.yaml").read_text(),
        },
    )
    # The shipped URDF needs ur_description and robotiq_description.
    return replace(robot, urdf=urdf)
