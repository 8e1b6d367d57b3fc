"""`qtopt doctor --robot my_arm.yaml`: a robot's live graph against its file: what is wrong, what to do."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
from rich.console import Console
from rich.prompt import Confirm
from rich.table import Table

from grasp_bringup.camera_checks import check_camera, check_envelope, extrinsics, seen_camera
from grasp_bringup.environment import ros_environment
from grasp_bringup.finding import STYLES, Finding
from grasp_bringup.kinematics import Kinematics, kinematics_of
from grasp_bringup.moveit_checks import check_moveit
from grasp_bringup.observed import Observed
from grasp_bringup.reach import ReachMap, draw_reach, workspace_reach
from grasp_bringup.robot_checks import (
    check_controllers,
    check_joints,
    check_reach,
    check_strokes,
    check_tool,
)
from qtopt_policy.checkpoint_info import CheckpointInfo
from qtopt_policy.config import load_config
from qtopt_policy.errors import ConfigError, QtoptError, UnknownNameError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve

Look = Callable[[Kinematics], tuple[ReachMap, str]]

QUESTION = "The gripper will open, close and open again. Is it free, and nothing in its fingers?"


@dataclass(frozen=True)
class DoctorOptions:
    """How to examine a robot.

    Attributes:
        camera: name of the active one.
        checkpoint: weights whose envelope is compared, or None.
        mdp: definition of steps.
        seconds: to listen [s].
        gripper: whether to open and close it; `ask` asks on the terminal.
        picture: PNG file of the reachable workspace, to be written.
        one_machine: all nodes run on this machine.
        namespace: of the robot's nodes.
    """

    camera: str = "wrist"
    checkpoint: Path | None = None
    mdp: Path = Path("config/mdp.yaml")
    seconds: float = 5.0
    gripper: Literal["ask", "yes", "no"] = "ask"
    picture: Path = Path("reach.png")
    one_machine: bool = False
    namespace: str = ""


def judge_robot(
    robot: RobotConfig,
    camera: str,
    mdp: MdpConfig,
    observed: Observed,
    look: Look,
    checkpoint: CheckpointInfo | None = None,
) -> tuple[Finding, ...]:
    """Return all findings, in the order in which they are best mended.

    Args:
        robot: its file.
        camera: name of the active one.
        mdp: definition of steps.
        observed: the live graph.
        look: finds out which part of the workspace is reached, and returns also where it is drawn.
        checkpoint: weights to compare the robot with, or None.
    """
    return tuple(_findings(robot, camera, mdp, observed, look, checkpoint))


def _findings(
    robot: RobotConfig,
    camera: str,
    mdp: MdpConfig,
    observed: Observed,
    look: Look,
    checkpoint: CheckpointInfo | None,
) -> Iterator[Finding]:
    yield Finding("robot file", "ok", f"{robot.name}, tested: {robot.driver.tested}")
    yield from check_joints(robot, mdp, observed)
    yield from check_controllers(robot, observed)
    yield from check_strokes(robot, mdp, observed)
    try:
        kinematics = kinematics_of(robot)
    except QtoptError as error:
        mend = "install the description, or correct urdf, base_frame, tool_frame, arm_joints"
        yield Finding("description", "wrong", str(error), mend)
    else:
        yield from check_tool(robot, observed, kinematics)
        yield from check_reach(*look(kinematics))
        yield from check_moveit(robot)
    yield from check_camera(robot, camera, observed)
    pose, finding = extrinsics(robot, camera)
    yield finding
    if checkpoint is not None:
        seen = None if pose is None else seen_camera(robot, camera, observed, mdp, pose)
        yield from check_envelope(checkpoint, robot, mdp, seen)


def look_at_workspace(robot: RobotConfig, picture: Path, kinematics: Kinematics) -> tuple[ReachMap, str]:
    """Return which part of the workspace is reached, drawn into `picture`; ConfigError if that fails."""
    reach = workspace_reach(kinematics, robot)
    if not cv2.imwrite(str(picture), cv2.cvtColor(draw_reach(reach), cv2.COLOR_RGB2BGR)):
        raise ConfigError(f"{picture}: cannot be written")
    return reach, str(picture)


def consent(answer: str) -> Callable[[], str]:
    """Return what tells why the gripper may not move, "" if it may: by `answer`, or `ask` asks somebody."""

    def ask() -> str:
        if answer != "ask":
            return "" if answer == "yes" else "not moved: --gripper no"
        if not sys.stdin.isatty():
            return "not moved: nobody to ask"
        return "" if Confirm.ask(QUESTION) else "not moved: the answer was no"

    return ask


def show(robot: RobotConfig, findings: tuple[Finding, ...], console: Console) -> None:
    """Print the findings as a table, what is wrong with its mend below it."""
    table = Table("", "what", "found", title=f"qtopt doctor: {robot.name}", title_justify="left")
    for finding in findings:
        mend = f"\n-> {finding.mend}" if finding.mend else ""
        style = STYLES[finding.level]
        table.add_row(f"[{style}]{finding.level}[/]", finding.subject, _plain(finding.text + mend))
    console.print(table)
    wrong = sum(finding.level == "wrong" for finding in findings)
    console.print(f"{wrong} to mend" if wrong else "nothing to mend", style="bold red" if wrong else "green")


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def run(path: Path, options: DoctorOptions) -> int:
    """Examine the robot of a file in the running graph; return 1 if something must be mended, else 0.

    Raises:
        QtoptError: a file cannot be used, or the gripper's driver does not answer.
    """
    robot = load_robot(resolve(path))
    if options.camera not in robot.cameras:
        raise UnknownNameError("camera", options.camera, robot.cameras)
    mdp = load_config(resolve(options.mdp), MdpConfig)
    info = None
    if options.checkpoint is not None:
        from qtopt_policy.checkpoint import read_info  # torch

        info = read_info(options.checkpoint)
    os.environ.update(ros_environment(os.environ, options.one_machine))
    from grasp_bringup.doctor_node import examine  # rclpy

    may_move = consent(options.gripper)
    observed = examine(robot, options.camera, options.seconds, may_move, options.namespace)
    look = partial(look_at_workspace, robot, options.picture)
    findings = judge_robot(robot, options.camera, mdp, observed, look, info)
    show(robot, findings, Console(highlight=False))
    return int(any(finding.level == "wrong" for finding in findings))
