"""Procedural objects: families of shapes made of primitives, lying on their base as a hand would put them.

Every shape has at least one pair of opposite sides between 1.5 and 7 cm apart that two fingers from above
can close on; `Shape.widths` lists these distances.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.limits import Vector3

Kind = Literal["box", "cylinder", "capsule", "ellipsoid"]
Quaternion = tuple[float, float, float, float]
Range = tuple[float, float]

UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)
ALONG_X: Quaternion = (0.0, float(np.sqrt(0.5)), 0.0, float(np.sqrt(0.5)))

RING_SEGMENTS = 10
# Every second segment is lower by twice this [m], so that a ring rests on half as many contacts.
RING_STEP = 0.0003


@dataclass(frozen=True)
class Part:
    """One primitive in the object's frame.

    Attributes:
        kind: as in MuJoCo.
        size: box: half sides; cylinder, capsule: radius, half length; ellipsoid: half axes [m].
        position: [m].
        quaternion: x y z w; cylinders and capsules lie along their own z.
    """

    kind: Kind
    size: tuple[float, ...]
    position: Vector3 = (0.0, 0.0, 0.0)
    quaternion: Quaternion = UPRIGHT


@dataclass(frozen=True)
class Shape:
    """An object: its parts, the widths that fingers from above can close on [m], its height at rest [m].

    The origin lies in the middle of that height, so the object rests with its origin at height / 2.
    """

    family: str
    parts: tuple[Part, ...]
    widths: tuple[float, ...]
    height: float


@dataclass(frozen=True)
class SizeRanges:
    """Bounds of the uniform distributions that sizes come from [m].

    Attributes:
        width: the narrow horizontal side of convex shapes.
        bar: width of the bars of compounds and of handles.
        length: the long horizontal side.
        height: vertical side at rest.
    """

    width: Range = (0.018, 0.068)
    bar: Range = (0.015, 0.028)
    length: Range = (0.045, 0.11)
    height: Range = (0.02, 0.05)

    def __post_init__(self) -> None:
        for name in ("width", "bar", "length", "height"):
            low, high = getattr(self, name)
            if not 0.0 < low < high:
                raise ConfigError(f"sizes.{name}: [{low}, {high}] is not an interval of positive lengths")


def make_shape(family: str, sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    """Draw one shape of a family.

    Raises:
        UnknownNameError: there is no such family.
    """
    if family not in FAMILIES:
        raise UnknownNameError("object family", family, FAMILIES)
    return FAMILIES[family](sizes, rng)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, max(low, high)))


def _turned(yaw: float) -> Quaternion:
    return (0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2)))


def _box(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    width = _between(rng, *sizes.width)
    length = _between(rng, max(width, sizes.length[0]), sizes.length[1])
    height = _between(rng, sizes.height[0], min(sizes.height[1], 1.5 * width))
    part = Part("box", (length / 2, width / 2, height / 2))
    return Shape("box", (part,), (width,), height)


def _cylinder(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    if rng.random() < 0.5:
        diameter = _between(rng, max(0.025, sizes.width[0]), sizes.width[1])
        height = _between(rng, sizes.height[0], min(sizes.height[1], 1.3 * diameter))
        return Shape("cylinder", (Part("cylinder", (diameter / 2, height / 2)),), (diameter,), height)
    diameter = _between(rng, *sizes.height)
    length = _between(rng, max(diameter, sizes.length[0]), sizes.length[1])
    part = Part("cylinder", (diameter / 2, length / 2), quaternion=ALONG_X)
    return Shape("cylinder", (part,), (diameter,), diameter)


def _capsule(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    diameter = _between(rng, *sizes.height)
    length = _between(rng, max(diameter + 0.02, sizes.length[0]), sizes.length[1])
    part = Part("capsule", (diameter / 2, (length - diameter) / 2), quaternion=ALONG_X)
    return Shape("capsule", (part,), (diameter,), diameter)


def _ellipsoid(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    width = _between(rng, max(0.025, sizes.width[0]), sizes.width[1])
    length = _between(rng, max(1.2 * width, sizes.length[0]), sizes.length[1])
    height = _between(rng, max(0.025, sizes.height[0]), min(sizes.height[1], width))
    part = Part("ellipsoid", (length / 2, width / 2, height / 2))
    return Shape("ellipsoid", (part,), (width,), height)


def _bar_height(bar: float, sizes: SizeRanges, rng: np.random.Generator) -> float:
    return _between(rng, sizes.height[0], min(sizes.height[1], 2.0 * bar))


def _l(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    bar = _between(rng, *sizes.bar)
    height = _bar_height(bar, sizes, rng)
    first, second = (_between(rng, 0.055, min(0.09, sizes.length[1])) for _ in range(2))
    parts = (
        Part("box", (first / 2, bar / 2, height / 2), ((first - bar) / 2, 0.0, 0.0)),
        Part("box", (bar / 2, (second - bar) / 2, height / 2), (0.0, second / 2, 0.0)),
    )
    return Shape("l", parts, (bar,), height)


def _t(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    bar = _between(rng, *sizes.bar)
    height = _bar_height(bar, sizes, rng)
    top, stem = (_between(rng, 0.06, min(0.1, sizes.length[1])) for _ in range(2))
    parts = (
        Part("box", (top / 2, bar / 2, height / 2)),
        Part("box", (bar / 2, (stem - bar) / 2, height / 2), (0.0, stem / 2, 0.0)),
    )
    return Shape("t", parts, (bar,), height)


def _cross(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    bar = _between(rng, *sizes.bar)
    height = _bar_height(bar, sizes, rng)
    first, second = (_between(rng, 0.07, min(0.11, sizes.length[1])) for _ in range(2))
    side = (second - bar) / 4
    parts = (
        Part("box", (first / 2, bar / 2, height / 2)),
        Part("box", (bar / 2, side, height / 2), (0.0, bar / 2 + side, 0.0)),
        Part("box", (bar / 2, side, height / 2), (0.0, -bar / 2 - side, 0.0)),
    )
    return Shape("cross", parts, (bar,), height)


def _dumbbell(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    bar = _between(rng, *sizes.bar)
    handle = _between(rng, 0.04, 0.055)
    end = _between(rng, bar + 0.01, min(sizes.height[1], bar + 0.025))
    thickness = _between(rng, 0.015, 0.025)
    offset = (handle + thickness) / 2
    if rng.random() < 0.5:
        ends = tuple(Part("box", (thickness / 2, end / 2, end / 2), (s * offset, 0.0, 0.0)) for s in (-1, 1))
    else:
        ends = tuple(
            Part("cylinder", (end / 2, thickness / 2), (s * offset, 0.0, 0.0), ALONG_X) for s in (-1, 1)
        )
    return Shape(
        "dumbbell", (Part("cylinder", (bar / 2, handle / 2), quaternion=ALONG_X), *ends), (bar,), end
    )


def _ring(sizes: SizeRanges, rng: np.random.Generator) -> Shape:
    """Draw a ring of straight segments with a handle: graspable at the handle and at its wall."""
    bar = _between(rng, *sizes.bar)
    wall = _between(rng, 0.015, 0.018)
    radius = _between(rng, 0.03, 0.036)
    height = _bar_height(wall, sizes, rng)
    chord = 2 * (radius + wall / 2) * np.tan(np.pi / RING_SEGMENTS)
    angles = 2 * np.pi * np.arange(RING_SEGMENTS) / RING_SEGMENTS
    segments = tuple(
        Part(
            "box",
            (wall / 2, float(chord / 2), height / 2 - RING_STEP * (index % 2)),
            (float(radius * np.cos(a)), float(radius * np.sin(a)), 0.0),
            _turned(float(a)),
        )
        for index, a in enumerate(angles)
    )
    handle = _between(rng, 0.04, 0.05)
    grip = Part("box", (handle / 2, bar / 2, height / 2), (radius + handle / 2, 0.0, 0.0))
    return Shape("ring", (*segments, grip), (bar, wall), height)


FAMILIES: dict[str, Callable[[SizeRanges, np.random.Generator], Shape]] = {
    "box": _box,
    "cylinder": _cylinder,
    "capsule": _capsule,
    "ellipsoid": _ellipsoid,
    "l": _l,
    "t": _t,
    "cross": _cross,
    "dumbbell": _dumbbell,
    "ring": _ring,
}
