"""A small Panda-like arm as URDF text: what motion tests need, independent of the package's own xacro."""

import math

ARM_JOINTS = tuple(f"joint{i}" for i in range(1, 8))
HOME = (0.0, -0.3, 0.0, -2.2, 0.0, 1.9, 0.785)

# a, d, alpha as in the modified Denavit-Hartenberg table of the Panda; limits, speed.
_DH = (
    (0.0, 0.333, 0.0, -2.8973, 2.8973, 2.175),
    (0.0, 0.0, -math.pi / 2, -1.7628, 1.7628, 2.175),
    (0.0, 0.316, math.pi / 2, -2.8973, 2.8973, 2.175),
    (0.0825, 0.0, math.pi / 2, -3.0718, -0.0698, 2.175),
    (-0.0825, 0.384, -math.pi / 2, -2.8973, 2.8973, 2.61),
    (0.0, 0.0, math.pi / 2, -0.0175, 3.7525, 2.61),
    (0.088, 0.0, math.pi / 2, -2.8973, 2.8973, 2.61),
)


def _link(name: str) -> str:
    mesh = '<visual><geometry><mesh filename="package://nowhere/missing.dae"/></geometry></visual>'
    box = '<collision name="same"><geometry><box size="0.05 0.05 0.05"/></geometry></collision>'
    return f'<link name="{name}">{mesh}{box}</link>'


def _revolute(index: int) -> str:
    a, d, alpha, low, high, speed = _DH[index]
    y, z = -d * math.sin(alpha), d * math.cos(alpha)
    return (
        f'<joint name="joint{index + 1}" type="revolute"><parent link="link{index}"/>'
        f'<child link="link{index + 1}"/><origin xyz="{a} {y} {z}" rpy="{alpha} 0 0"/><axis xyz="0 0 1"/>'
        f'<limit lower="{low}" upper="{high}" velocity="{speed}" effort="87"/></joint>'
    )


def _fixed(parent: str, child: str, xyz: str, rpy: str = "0 0 0") -> str:
    return (
        f'<joint name="{child}_mount" type="fixed"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{xyz}" rpy="{rpy}"/></joint>'
    )


def arm_urdf() -> str:
    """Return a seven-joint arm on a turned base_link, with a finger, `tcp` and a camera frame."""
    links = ["world", "base_link", *(f"link{i}" for i in range(8)), "finger", "camera"]
    parts = [_link(name) for name in links]
    parts.append('<link name="tcp"/>')
    parts.append(_fixed("world", "base_link", "0.2 -0.1 0.3", "0 0 0.4"))
    parts.append(_fixed("base_link", "link0", "-0.5 0 0"))
    parts += [_revolute(i) for i in range(7)]
    parts.append(_fixed("link7", "tcp", "0 0 0.2", "0 0 -0.785398"))
    parts.append(_fixed("link7", "camera", "0.05 0 0.1"))
    parts.append(
        '<joint name="finger_joint1" type="prismatic"><parent link="tcp"/><child link="finger"/>'
        '<axis xyz="0 1 0"/><limit lower="0" upper="0.04" velocity="0.2" effort="20"/></joint>'
    )
    return f'<robot name="test_arm">{"".join(parts)}</robot>'
