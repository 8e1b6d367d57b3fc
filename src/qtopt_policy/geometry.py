"""Rigid-body poses in SI units, quaternions in the order x, y, z, w (REP 103, geometry_msgs)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtopt_policy.errors import ShapeError

Array = NDArray[np.float64]


def readonly(values: ArrayLike, shape: tuple[int, ...], name: str) -> Array:
    """Copy `values` into a read-only float64 array.

    Raises:
        ShapeError: the shape differs from `shape` or a value is not finite.
    """
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise ShapeError(f"{name}: shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise ShapeError(f"{name}: not finite: {array.tolist()}")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Pose:
    """Position and orientation of one frame in another.

    Attributes:
        position: x, y, z in [m], shape (3,).
        quaternion: unit quaternion (x, y, z, w), shape (4,); normalised on construction.
    """

    position: Array
    quaternion: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", readonly(self.position, (3,), "Pose.position"))
        quaternion = readonly(self.quaternion, (4,), "Pose.quaternion")
        norm = float(np.linalg.norm(quaternion))
        if norm < 1e-9:
            raise ShapeError("Pose.quaternion: zero length")
        object.__setattr__(self, "quaternion", readonly(quaternion / norm, (4,), "quaternion"))

    @classmethod
    def identity(cls) -> "Pose":
        """Return the pose that changes nothing."""
        return cls(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))

    @classmethod
    def from_array(cls, values: ArrayLike) -> "Pose":
        """Read x, y, z, qx, qy, qz, qw, shape (7,)."""
        array = readonly(values, (7,), "Pose")
        return cls(array[:3], array[3:])

    @classmethod
    def from_matrix(cls, matrix: ArrayLike) -> "Pose":
        """Read a homogeneous matrix, shape (4, 4)."""
        array = readonly(matrix, (4, 4), "Pose matrix")
        return cls(array[:3, 3], quaternion_from_matrix(array[:3, :3]))

    def as_array(self) -> Array:
        """Return x, y, z, qx, qy, qz, qw, shape (7,)."""
        return np.concatenate([self.position, self.quaternion])

    def rotation(self) -> Array:
        """Return the rotation matrix, shape (3, 3)."""
        return matrix_from_quaternion(self.quaternion)

    def as_matrix(self) -> Array:
        """Return the homogeneous matrix, shape (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation()
        matrix[:3, 3] = self.position
        return matrix

    def __matmul__(self, other: "Pose") -> "Pose":
        """Compose: T_ac = T_ab @ T_bc."""
        position = self.position + self.rotation() @ other.position
        return Pose(position, multiply(self.quaternion, other.quaternion))

    def inverse(self) -> "Pose":
        """Return T_ba for T_ab."""
        conjugate = self.quaternion * np.array([-1.0, -1.0, -1.0, 1.0])
        return Pose(-(matrix_from_quaternion(conjugate) @ self.position), conjugate)

    def transform(self, points: ArrayLike) -> Array:
        """Map points of shape (..., 3) from the child frame into the parent frame."""
        mapped: Array = np.asarray(points, dtype=np.float64) @ self.rotation().T + self.position
        return mapped

    def distance(self, other: "Pose") -> float:
        """Return the distance of the two origins in [m]."""
        return float(np.linalg.norm(self.position - other.position))

    def angle(self, other: "Pose") -> float:
        """Return the angle of the rotation between the two in [rad], 0 to pi."""
        dot = abs(float(self.quaternion @ other.quaternion))
        return float(2.0 * np.arccos(min(1.0, dot)))

    def yaw(self) -> float:
        """Return the rotation about the parent's +z of the child's x axis in [rad]."""
        x_axis = self.rotation()[:, 0]
        return float(np.arctan2(x_axis[1], x_axis[0]))

    def interpolate(self, other: "Pose", fraction: float) -> "Pose":
        """Return the pose at `fraction` of the way (0: self, 1: other); rotation by slerp."""
        position = (1.0 - fraction) * self.position + fraction * other.position
        return Pose(position, slerp(self.quaternion, other.quaternion, fraction))


def matrix_from_quaternion(quaternion: Array) -> Array:
    """Return the rotation matrix (3, 3) of a unit quaternion (x, y, z, w)."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(matrix: Array) -> Array:
    """Return the unit quaternion (x, y, z, w) of a rotation matrix (3, 3); w >= 0 where possible.

    Bar-Itzhack's method: the eigenvector of the largest eigenvalue of a symmetric 4x4 matrix,
    stable for every rotation.
    """
    m = np.asarray(matrix, dtype=np.float64)
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    _, vectors = np.linalg.eigh(k / 3.0)
    quaternion: Array = vectors[:, -1]
    return -quaternion if quaternion[3] < 0 else quaternion


def multiply(a: Array, b: Array) -> Array:
    """Return the quaternion product a b (rotate by b first, then by a)."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def quaternion_about_z(yaw: float) -> Array:
    """Return the rotation by `yaw` [rad] about +z."""
    return np.array([0.0, 0.0, np.sin(yaw / 2.0), np.cos(yaw / 2.0)])


def slerp(a: Array, b: Array, fraction: float) -> Array:
    """Interpolate two unit quaternions along the shorter arc."""
    dot = float(a @ b)
    end = -b if dot < 0 else b
    angle = float(np.arccos(min(1.0, abs(dot))))
    if angle < 1e-6:
        mixed: Array = (1.0 - fraction) * a + fraction * end
        return mixed
    weights = np.sin([(1.0 - fraction) * angle, fraction * angle]) / np.sin(angle)
    result: Array = weights[0] * a + weights[1] * end
    return result


def wrap_angle(angle: float) -> float:
    """Return the same angle in (-pi, pi]."""
    return float(-((-angle + np.pi) % (2.0 * np.pi) - np.pi))


def pointing_down(position: ArrayLike, yaw: float) -> Pose:
    """Return the pose of a tool whose z axis points straight down, x axis at heading `yaw` [rad]."""
    half_turn_about_x = np.array([1.0, 0.0, 0.0, 0.0])
    return Pose(np.asarray(position), multiply(quaternion_about_z(yaw), half_turn_about_x))
