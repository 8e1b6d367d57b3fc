"""Links and joints of a URDF as data, and the URDF without what kinematics does not need (meshes)."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass

from qtopt_policy.errors import ConfigError, UnknownNameError

_ONE_DOF = ("revolute", "continuous", "prismatic")
# For MuJoCo's URDF reader: keep links that fixed joints hold (frames!), accept links without mass.
_COMPILER = {
    "discardvisual": "true",
    "fusestatic": "false",
    "balanceinertia": "true",
    "boundmass": "0.001",
    "boundinertia": "0.000001",
}


@dataclass(frozen=True)
class UrdfJoint:
    """One joint: its type and links, and its speed limit [rad/s or m/s] or None."""

    name: str
    kind: str
    parent: str
    child: str
    velocity: float | None

    @property
    def movable(self) -> bool:
        """Whether the joint has a degree of freedom."""
        return self.kind != "fixed"


class UrdfTree:
    """The tree of links and joints of one URDF.

    Raises:
        ConfigError: the text is not a URDF.
    """

    def __init__(self, urdf_xml: str) -> None:
        self.root = parse(urdf_xml)
        self.links = tuple(_name(link) for link in self.root.findall("link"))
        self.joints = {_name(joint): _joint(joint) for joint in self.root.findall("joint")}
        self._above = {joint.child: joint for joint in self.joints.values()}

    def require_link(self, name: str) -> None:
        """Raise UnknownNameError, which lists the frames, unless `name` is a link."""
        if name not in self.links:
            raise UnknownNameError("frame of the URDF", name, self.links)

    def require_joint(self, name: str) -> UrdfJoint:
        """Return the movable joint `name`; the error lists those that exist."""
        joint = self.joints.get(name)
        if joint is None or not joint.movable:
            movable = [other.name for other in self.joints.values() if other.movable]
            raise UnknownNameError("movable joint of the URDF", name, movable)
        return joint

    def joints_above(self, link: str) -> tuple[UrdfJoint, ...]:
        """Return the joints between the root and `link`, root first."""
        chain: list[UrdfJoint] = []
        while link in self._above:
            chain.append(self._above[link])
            link = self._above[link].parent
        return tuple(reversed(chain))

    def links_below(self, joints: Iterable[str]) -> set[str]:
        """Return the links that move when any of `joints` moves."""
        moving = set(joints)
        return {link for link in self.links if any(j.name in moving for j in self.joints_above(link))}

    def check_chain(self, base: str, tool: str, joints: tuple[str, ...]) -> None:
        """Check that exactly `joints` move `tool` relative to `base`.

        Raises:
            UnknownNameError: a frame or a joint is not in the URDF.
            ConfigError: a joint is not between the frames, or one between them is not listed.
        """
        self.require_link(base)
        self.require_link(tool)
        for name in joints:
            self.require_joint(name)
        above_base = {joint.name for joint in self.joints_above(base)}
        moving = [j.name for j in self.joints_above(tool) if j.movable and j.name not in above_base]
        if odd := [name for name in joints if self.joints[name].kind not in _ONE_DOF]:
            raise ConfigError(
                f"joints {odd} do not have one degree of freedom. Valid types: {list(_ONE_DOF)}"
            )
        if extra := [name for name in joints if name not in moving]:
            raise ConfigError(f"joints {extra} do not move '{tool}' in '{base}'. Those that do: {moving}")
        if lacking := [name for name in moving if name not in joints]:
            raise ConfigError(f"joints {lacking} move '{tool}' in '{base}' but are not among {list(joints)}")

    def velocity_limits(self, joints: tuple[str, ...]) -> list[float]:
        """Return the speed limits [rad/s or m/s] of `joints`; a missing one is a ConfigError."""
        limits: list[float] = []
        for name in joints:
            velocity = self.require_joint(name).velocity
            if velocity is None or velocity <= 0.0:
                raise ConfigError(f"joint '{name}': <limit velocity> is {velocity}, expected above 0")
            limits.append(velocity)
        return limits


def parse(urdf_xml: str) -> ET.Element:
    """Return the <robot> element. Raises ConfigError if the text is not a URDF."""
    try:
        root = ET.fromstring(urdf_xml)
    except ET.ParseError as error:
        raise ConfigError(f"URDF is not XML: {error}") from error
    if root.tag != "robot" or root.find("link") is None:
        raise ConfigError(f"URDF: expected <robot> with links, found <{root.tag}>")
    return root


def kinematic_urdf(urdf_xml: str) -> str:
    """Return the URDF with joints, frames and primitive collision shapes only.

    Meshes go because their files need not be on this machine; a link that has nothing but meshes keeps its
    frame and loses its shape.
    """
    root = parse(urdf_xml)
    for child in list(root):
        if child.tag not in ("link", "joint"):
            root.remove(child)
    for link in root.findall("link"):
        for part in list(link):
            if part.tag == "visual" or (part.tag == "collision" and part.find("geometry/mesh") is not None):
                link.remove(part)
            part.attrib.pop("name", None)  # MuJoCo refuses a shape's name that occurs twice
    extension = ET.SubElement(root, "mujoco")
    ET.SubElement(extension, "compiler", _COMPILER)
    return ET.tostring(root, encoding="unicode")


def _name(element: ET.Element) -> str:
    name = element.get("name")
    if not name:
        raise ConfigError(f"URDF: <{element.tag}> without a name")
    return name


def _joint(element: ET.Element) -> UrdfJoint:
    name = _name(element)
    ends = [element.find(tag) for tag in ("parent", "child")]
    links = [end.get("link") if end is not None else None for end in ends]
    if not links[0] or not links[1]:
        raise ConfigError(f"URDF: joint '{name}' needs a parent and a child link, found {links}")
    limit = element.find("limit")
    velocity = limit.get("velocity") if limit is not None else None
    try:
        speed = None if velocity is None else float(velocity)
    except ValueError as error:
        raise ConfigError(f"URDF: joint '{name}': velocity limit {velocity!r} is not a number") from error
    return UrdfJoint(name, element.get("type", ""), links[0], links[1], speed)
