"""What a planning group's solver moves in MoveIt, and whether that is the robot's tool (no ROS)."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

from grasp_bringup.urdf_tree import UrdfJoint, UrdfTree
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.robot import RobotConfig


@dataclass(frozen=True)
class Chain:
    """The chain of a planning group: base and tip of its solver, and its movable joints from base to tip."""

    base: str
    tip: str
    joints: tuple[str, ...]


class Groups:
    """The planning groups of an SRDF over a URDF, as moveit_core's RobotModel makes them (moveit2 8fcb5d23).

    Raises:
        ConfigError: one of the texts is not XML, or the first is not a URDF.
    """

    def __init__(self, urdf_xml: str, srdf_xml: str) -> None:
        self.tree = UrdfTree(urdf_xml)
        try:
            root = ET.fromstring(srdf_xml)
        except ET.ParseError as error:
            raise ConfigError(f"SRDF is not XML: {error}") from error
        self._groups = {group.get("name", ""): group for group in root.findall("group")}

    def chain(self, name: str) -> Chain:
        """Return the chain of a group.

        The solver's base is the parent of the group's first link, its tip the group's last link: for
        `<chain>` the two links named there (kinematics_plugin_loader.cpp).

        Raises:
            UnknownNameError: there is no such group.
            ConfigError: the group is no single chain, so no solver of MoveIt moves its tip.
        """
        joints = self._joints(name, ())
        children = {joint.child for joint in joints}
        parents = {joint.parent for joint in joints}
        bases, tips = sorted(parents - children), sorted(children - parents)
        if len(bases) != 1 or len(tips) != 1:
            raise ConfigError(
                f"planning group '{name}' is no single chain: it begins at {bases} and ends at {tips}"
            )
        inside = [joint for joint in self.tree.joints_above(tips[0]) if joint in joints]
        return Chain(bases[0], tips[0], tuple(joint.name for joint in inside if joint.movable))

    def matching(self, wanted: Callable[[Chain], bool]) -> list[str]:
        """Return the names of the groups whose chain is wanted."""
        found = []
        for name in self._groups:
            try:
                chain = self.chain(name)
            except ConfigError:
                continue  # a gripper's group, for one
            if wanted(chain):
                found.append(name)
        return found

    def _joints(self, name: str, above: tuple[str, ...]) -> set[UrdfJoint]:
        """Return a group's joints, fixed ones too; names that the URDF lacks are skipped, as MoveIt does."""
        if name not in self._groups or name in above:
            raise UnknownNameError("planning group of the SRDF", name, self._groups)
        group, joints = self._groups[name], set()
        for chain in group.findall("chain"):
            base = set(self.tree.joints_above(chain.get("base_link", "")))
            joints |= set(self.tree.joints_above(chain.get("tip_link", ""))) - base
        for link in group.findall("link"):
            joints |= set(self.tree.joints_above(link.get("name", ""))[-1:])
        for joint in group.findall("joint"):
            joints |= {self.tree.joints[n] for n in (joint.get("name", ""),) if n in self.tree.joints}
        for subgroup in group.findall("group"):
            joints |= self._joints(subgroup.get("name", ""), (*above, name))
        return joints

    def fixed(self, first: str, second: str) -> bool:
        """Return whether no movable joint lies between two links."""
        movable = [[j for j in self.tree.joints_above(link) if j.movable] for link in (first, second)]
        return movable[0] == movable[1]


def check_group(robot: RobotConfig, urdf_xml: str, srdf_xml: str) -> Chain:
    """Check that MoveIt moves the robot's arm and tool with its planning group; return the group's chain.

    MoveIt's set_from_ik and Pilz LIN take poses of any link that is fixed to the solver's tip.

    Raises:
        UnknownNameError: the SRDF has no such group, or the URDF no such frame.
        ConfigError: the group moves other joints than `arm_joints`, or `tool_frame` moves against its tip.
    """
    groups, name = Groups(urdf_xml, srdf_xml), robot.driver.planning_group
    chain = groups.chain(name)
    for frame in (robot.base_frame, robot.tool_frame):
        groups.tree.require_link(frame)
    if set(chain.joints) != set(robot.arm_joints):
        raise ConfigError(
            f"planning group '{name}' of {robot.srdf} moves {list(chain.joints)}, arm_joints are "
            f"{list(robot.arm_joints)}. "
            + _groups_that_do(groups, lambda other: set(other.joints) == set(robot.arm_joints))
        )
    if not groups.fixed(chain.tip, robot.tool_frame):
        raise ConfigError(
            f"planning group '{name}' of {robot.srdf} ends at '{chain.tip}', to which tool_frame "
            f"'{robot.tool_frame}' is not fixed. "
            + _groups_that_do(groups, lambda other: groups.fixed(other.tip, robot.tool_frame))
        )
    return chain


def check_servo_group(robot: RobotConfig, urdf_xml: str, srdf_xml: str) -> None:
    """Check that MoveIt Servo moves the robot's tool itself: it takes every pose for its solver's tip.

    By its sources it would transform poses out of another base frame; that is refused all the same, untried.

    Raises:
        UnknownNameError, ConfigError: as `check_group`.
        ConfigError: the group's tip is not `tool_frame`, or its base not `base_frame`.
    """
    chain = check_group(robot, urdf_xml, srdf_xml)
    if (chain.base, chain.tip) == (robot.base_frame, robot.tool_frame):
        return
    groups = Groups(urdf_xml, srdf_xml)
    raise ConfigError(
        f"arm:=moveit_servo: planning group '{robot.driver.planning_group}' of {robot.srdf} goes from "
        f"'{chain.base}' to '{chain.tip}', the robot's poses are of tool_frame '{robot.tool_frame}' in "
        f"base_frame '{robot.base_frame}', and MoveIt Servo brings '{chain.tip}' to every pose. "
        + _groups_that_do(groups, lambda c: (c.base, c.tip) == (robot.base_frame, robot.tool_frame))
        + f' Or give the SRDF a group with <chain base_link="{robot.base_frame}" '
        f'tip_link="{robot.tool_frame}"/> and name that; arm:=moveit needs none'
    )


def _groups_that_do(groups: Groups, wanted: Callable[[Chain], bool]) -> str:
    """Return what to set, out of what there is."""
    return f"Set driver.planning_group to one that fits: {groups.matching(wanted) or 'there is none'}."
