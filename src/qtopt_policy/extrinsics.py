"""Where the camera sits on the robot: fixed transforms read out of the URDF, without kinematics."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np

from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.geometry import Pose, multiply
from qtopt_policy.robot import CameraConfig, RobotConfig


@dataclass(frozen=True, eq=False)
class Link:
    """How one link hangs on its parent: the joint's name, its type and the pose of its origin."""

    parent: str
    joint: str
    kind: str
    pose: Pose


def static_transform(urdf_xml: str, parent: str, child: str) -> Pose:
    """Return the pose of frame `child` in frame `parent`; only fixed joints may lie between them.

    Raises:
        UnknownNameError: the URDF has no such frame; the message lists those that it has.
        ConfigError: the text is no URDF, or a movable joint lies between the two frames.
    """
    root = _parse(urdf_xml)
    frames = [link.get("name", "") for link in root.findall("link")]
    for name in (parent, child):
        if name not in frames:
            raise UnknownNameError("frame of the URDF", name, frames)
    links = {_attribute(joint, "child", "link"): _link(joint) for joint in root.findall("joint")}
    up_parent, up_child = _ancestors(links, parent), _ancestors(links, child)
    common = next((name for name in up_child if name in up_parent), None)
    if common is None:
        raise ConfigError(f"URDF: frames '{parent}' and '{child}' are not connected")
    return _pose_in(links, parent, common).inverse() @ _pose_in(links, child, common)


def camera_pose(urdf_xml: str, robot: RobotConfig, camera: CameraConfig) -> Pose:
    """Return the pose of the camera's optical frame in its mount frame: configured, or from the URDF."""
    if camera.pose is not None:
        return Pose.from_array(camera.pose)
    mount = robot.tool_frame if camera.mount == "tool" else robot.base_frame
    return static_transform(urdf_xml, mount, camera.frame)


def _parse(urdf_xml: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(urdf_xml)
    except ElementTree.ParseError as error:
        raise ConfigError(f"URDF is not XML: {error}") from error


def _attribute(joint: ElementTree.Element, tag: str, name: str) -> str:
    element = joint.find(tag)
    value = element.get(name) if element is not None else None
    if not value:
        raise ConfigError(f"URDF: joint '{joint.get('name')}' has no <{tag} {name}=...>")
    return value


def _link(joint: ElementTree.Element) -> Link:
    name, kind = joint.get("name", ""), joint.get("type", "")
    return Link(_attribute(joint, "parent", "link"), name, kind, _origin(joint.find("origin"), name))


def _origin(element: ElementTree.Element | None, joint: str) -> Pose:
    if element is None:
        return Pose.identity()
    try:
        xyz = [float(value) for value in element.get("xyz", "0 0 0").split()]
        roll, pitch, yaw = (float(value) for value in element.get("rpy", "0 0 0").split())
    except ValueError as error:
        raise ConfigError(f"URDF: joint '{joint}': origin {element.attrib} is not numbers") from error
    # Fixed axes: R = Rz(yaw) Ry(pitch) Rx(roll)
    turn = multiply(multiply(_about(2, yaw), _about(1, pitch)), _about(0, roll))
    return Pose(np.array(xyz), turn)


def _about(axis: int, angle: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    quaternion = np.zeros(4)
    quaternion[axis], quaternion[3] = np.sin(angle / 2.0), np.cos(angle / 2.0)
    return quaternion


def _ancestors(links: dict[str, Link], frame: str) -> list[str]:
    chain = [frame]
    while chain[-1] in links and len(chain) <= len(links):
        chain.append(links[chain[-1]].parent)
    return chain


def _pose_in(links: dict[str, Link], frame: str, ancestor: str) -> Pose:
    pose = Pose.identity()
    while frame != ancestor:
        link = links[frame]
        if link.kind != "fixed":
            raise ConfigError(f"URDF: joint '{link.joint}' ({link.kind}) moves '{frame}' in '{ancestor}'")
        pose = link.pose @ pose
        frame = link.parent
    return pose
