"""Objects of a scene as SDF models, so that Gazebo drops the same ones as the embedded simulator. SI units.

SDF 1.9 (http://sdformat.org/spec?ver=1.9): poses are `x y z qx qy qz qw` with rotation_format quat_xyzw.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.sim.objects import Part
from grasp_bringup.sim.scene import Colour, SceneObject
from qtopt_policy.geometry import Pose

Array = NDArray[np.float64]

SDF_VERSION = "1.9"


def model_sdf(name: str, item: SceneObject) -> str:
    """Return the SDF document of one object: a model `name` of one link, at the pose where it is dropped."""
    root = ElementTree.Element("sdf", version=SDF_VERSION)
    model = ElementTree.SubElement(root, "model", name=name)
    _add_pose(model, item.pose)
    link = ElementTree.SubElement(model, "link", name="link")
    _add_inertial(link, item)
    for index, part in enumerate(item.shape.parts):
        visual = _add_part(link, "visual", f"part{index}", part)
        _add_material(visual, item.colour)
        collision = _add_part(link, "collision", f"part{index}_collision", part)
        _add_friction(collision, item.friction)
    return ElementTree.tostring(root, encoding="unicode")


def part_mass(part: Part, density: float) -> tuple[float, Array]:
    """Return mass [kg] and principal inertia [kg m^2], shape (3,), of a solid primitive in its own frame."""
    volume, unit = _VOLUMES[part.kind](*part.size)
    return density * volume, density * volume * unit


def object_inertia(item: SceneObject) -> tuple[float, Array, Array]:
    """Return mass [kg], centre of mass [m] (3,) and inertia about it [kg m^2] (3, 3), in the object's frame.

    Where parts overlap both count, as in MuJoCo. Parallel axis theorem: I + m (|d|^2 1 - d d^T).
    """
    masses, centres, inertias = [], [], []
    for part in item.shape.parts:
        mass, principal = part_mass(part, item.density)
        pose = _pose(part)
        rotation = pose.rotation()
        masses.append(mass)
        centres.append(pose.position)
        inertias.append(rotation @ np.diag(principal) @ rotation.T)
    total = float(sum(masses))
    centre = np.average(centres, axis=0, weights=masses)
    inertia = np.zeros((3, 3))
    for mass, position, own in zip(masses, centres, inertias, strict=True):
        d = position - centre
        inertia += own + mass * (d @ d * np.eye(3) - np.outer(d, d))
    return total, centre, inertia


def _box(x: float, y: float, z: float) -> tuple[float, Array]:
    return 8.0 * x * y * z, np.array([y * y + z * z, x * x + z * z, x * x + y * y]) / 3.0


def _cylinder(radius: float, half: float) -> tuple[float, Array]:
    side = (3.0 * radius**2 + 4.0 * half**2) / 12.0
    return 2.0 * np.pi * radius**2 * half, np.array([side, side, radius**2 / 2.0])


def _ellipsoid(x: float, y: float, z: float) -> tuple[float, Array]:
    return 4.0 / 3.0 * np.pi * x * y * z, np.array([y * y + z * z, x * x + z * z, x * x + y * y]) / 5.0


def _capsule(radius: float, half: float) -> tuple[float, Array]:
    """Return a cylinder and two half spheres; a half sphere's centre lies 3/8 r beyond the cylinder."""
    tube, unit = _cylinder(radius, half)
    ball = 4.0 / 3.0 * np.pi * radius**3
    turn = 2.0 / 5.0 * radius**2
    side = turn + half**2 + 3.0 / 4.0 * half * radius
    total = tube + ball
    return total, (tube * unit + ball * np.array([side, side, turn])) / total


_VOLUMES: dict[str, Callable[..., tuple[float, Array]]] = {
    "box": _box,
    "cylinder": _cylinder,
    "ellipsoid": _ellipsoid,
    "capsule": _capsule,
}


def _pose(part: Part) -> Pose:
    return Pose(np.array(part.position), np.array(part.quaternion))


def _numbers(values: Array) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _add_text(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text


def _add_pose(parent: ElementTree.Element, pose: Pose) -> None:
    element = ElementTree.SubElement(parent, "pose", rotation_format="quat_xyzw")
    element.text = _numbers(pose.as_array())


def _add_inertial(link: ElementTree.Element, item: SceneObject) -> None:
    mass, centre, inertia = object_inertia(item)
    inertial = ElementTree.SubElement(link, "inertial")
    _add_text(inertial, "mass", f"{mass:.9g}")
    _add_text(inertial, "pose", f"{_numbers(centre)} 0 0 0")
    tensor = ElementTree.SubElement(inertial, "inertia")
    for row, column in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
        _add_text(tensor, f"i{'xyz'[row]}{'xyz'[column]}", f"{inertia[row, column]:.9g}")


def _add_part(link: ElementTree.Element, tag: str, name: str, part: Part) -> ElementTree.Element:
    element = ElementTree.SubElement(link, tag, name=name)
    _add_pose(element, _pose(part))
    shape = ElementTree.SubElement(ElementTree.SubElement(element, "geometry"), part.kind)
    size = np.array(part.size)
    if part.kind == "box":
        _add_text(shape, "size", _numbers(2.0 * size))
    elif part.kind == "ellipsoid":
        _add_text(shape, "radii", _numbers(size))
    else:
        _add_text(shape, "radius", f"{size[0]:.9g}")
        _add_text(shape, "length", f"{2.0 * size[1]:.9g}")
    return element


def _add_material(visual: ElementTree.Element, colour: Colour) -> None:
    material = ElementTree.SubElement(visual, "material")
    for tag in ("ambient", "diffuse"):
        _add_text(material, tag, f"{_numbers(np.array(colour))} 1")


def _add_friction(collision: ElementTree.Element, friction: float) -> None:
    surface = ElementTree.SubElement(collision, "surface")
    ode = ElementTree.SubElement(ElementTree.SubElement(surface, "friction"), "ode")
    for tag in ("mu", "mu2"):
        _add_text(ode, tag, f"{friction:.9g}")
