"""Points and outward normals on the surfaces of primitives: what the oracle and the placement look at."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.sim.objects import Part, Shape
from qtopt_policy.geometry import matrix_from_quaternion

Array = NDArray[np.float64]
Points = tuple[Array, Array]  # positions and unit normals, both (N, 3)


@lru_cache(maxsize=256)
def shape_points(shape: Shape, spacing: float = 0.005) -> Points:
    """Sample the surface of every part about every `spacing` [m], in the object's frame."""
    sampled = [part_points(part, spacing) for part in shape.parts]
    return np.concatenate([p for p, _ in sampled]), np.concatenate([n for _, n in sampled])


def part_points(part: Part, spacing: float) -> Points:
    """Sample the surface of one part, in the object's frame."""
    points, normals = _SAMPLERS[part.kind](part.size, spacing)
    rotation = matrix_from_quaternion(np.array(part.quaternion))
    return points @ rotation.T + np.array(part.position), normals @ rotation.T


def _steps(half: float, spacing: float) -> Array:
    count = max(1, int(np.ceil(2 * half / spacing)))
    return np.asarray(np.arange(count + 1) * (2 * half / count) - half, dtype=np.float64)


def _angles(radius: float, spacing: float) -> Array:
    count = max(12, int(2 * np.pi * radius / spacing))
    return np.asarray(np.arange(count) * (2 * np.pi / count), dtype=np.float64)


def _box(size: tuple[float, ...], spacing: float) -> Points:
    points, normals = [], []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        grid_u, grid_v = np.meshgrid(_steps(size[u], spacing), _steps(size[v], spacing))
        for sign in (-1.0, 1.0):
            face = np.empty((grid_u.size, 3))
            face[:, axis], face[:, u], face[:, v] = sign * size[axis], grid_u.ravel(), grid_v.ravel()
            points.append(face)
            normals.append(np.tile(sign * np.eye(3)[axis], (len(face), 1)))
    return np.concatenate(points), np.concatenate(normals)


def _tube(radius: float, half: float, spacing: float) -> Points:
    angle, z = (a.ravel() for a in np.meshgrid(_angles(radius, spacing), _steps(half, spacing)))
    normals = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    return normals * radius + np.outer(z, [0.0, 0.0, 1.0]), normals


def _cylinder(size: tuple[float, ...], spacing: float) -> Points:
    radius, half = size
    points, normals = _tube(radius, half, spacing)
    grid = _steps(radius, spacing)
    disc = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    disc = disc[(disc**2).sum(axis=1) <= radius**2]
    caps = [np.column_stack([disc, np.full(len(disc), s * half)]) for s in (-1.0, 1.0)]
    up = [np.tile([0.0, 0.0, s], (len(disc), 1)) for s in (-1.0, 1.0)]
    return np.concatenate([points, *caps]), np.concatenate([normals, *up])


def _ellipsoid(size: tuple[float, ...], spacing: float) -> Points:
    axes = np.array(size)
    polar = np.linspace(0.05, np.pi - 0.05, max(8, int(np.pi * axes.max() / spacing)))
    angle, theta = (a.ravel() for a in np.meshgrid(_angles(float(axes.max()), spacing), polar))
    unit = np.stack([np.sin(theta) * np.cos(angle), np.sin(theta) * np.sin(angle), np.cos(theta)], axis=1)
    normals = unit / axes
    return unit * axes, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _capsule(size: tuple[float, ...], spacing: float) -> Points:
    radius, half = size
    tube, tube_normals = _tube(radius, half, spacing)
    ball, normals = _ellipsoid((radius, radius, radius), spacing)
    ends = ball + np.outer(np.sign(ball[:, 2]), [0.0, 0.0, half])
    return np.concatenate([tube, ends]), np.concatenate([tube_normals, normals])


_SAMPLERS = {"box": _box, "cylinder": _cylinder, "ellipsoid": _ellipsoid, "capsule": _capsule}
