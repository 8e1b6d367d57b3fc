"""Pinhole camera: intrinsics, pose in its mount frame, projection, crop and resize.

Optical frame (REP 103): x right, y down, z forward. Pixel centres lie at whole numbers, as in OpenCV and
sensor_msgs/CameraInfo.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtopt_policy.config import convert
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose

Mount = Literal["base", "tool"]


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A pinhole camera without distortion (rectify before: image_proc).

    Attributes:
        width, height: image size [px].
        fx, fy, cx, cy: intrinsics [px].
        mount: frame in which `pose` is given: the base frame or the tool frame.
        pose: pose of the optical frame in the mount frame.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    mount: Mount
    pose: Pose

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ConfigError(f"camera image of {self.width} x {self.height} pixels")
        if not (self.fx > 0.0 and self.fy > 0.0):
            raise ConfigError(f"camera focal lengths fx {self.fx}, fy {self.fy}: must be above 0")

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The intrinsic matrix K, shape (3, 3)."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def pose_in_base(self, tool_pose: Pose) -> Pose:
        """Return the pose of the optical frame in the base frame."""
        return tool_pose @ self.pose if self.mount == "tool" else self.pose

    def project(self, points: ArrayLike, tool_pose: Pose) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project points of the base frame, shape (..., 3), into the image.

        u = fx x / z + cx, v = fy y / z + cy

        Returns:
            Pixels, shape (..., 2), and depths z [m], shape (...); a point with z <= 0 is behind the
            camera and its pixel means nothing.
        """
        local = self.pose_in_base(tool_pose).inverse().transform(points)
        depth = local[..., 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        u = self.fx * local[..., 0] / safe + self.cx
        v = self.fy * local[..., 1] / safe + self.cy
        return np.stack([u, v], axis=-1), depth

    def unproject(self, pixels: ArrayLike, depth: ArrayLike, tool_pose: Pose) -> NDArray[np.float64]:
        """Return the points in the base frame, shape (..., 3), of pixels (..., 2) at depths (...)."""
        uv, z = np.asarray(pixels, dtype=np.float64), np.asarray(depth, dtype=np.float64)
        x = (uv[..., 0] - self.cx) / self.fx * z
        y = (uv[..., 1] - self.cy) / self.fy * z
        return self.pose_in_base(tool_pose).transform(np.stack([x, y, z], axis=-1))

    def cropped(self, left: int, top: int, width: int, height: int) -> "CameraModel":
        """Return the camera of a crop of this image.

        Raises:
            ConfigError: the crop does not lie within the image.
        """
        if left < 0 or top < 0 or left + width > self.width or top + height > self.height:
            raise ConfigError(
                f"crop {width} x {height} at ({left}, {top}) exceeds the image {self.width} x {self.height}"
            )
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def resized(self, width: int, height: int) -> "CameraModel":
        """Return the camera of this image resized, pixel centres at whole numbers.

        u' = (u + 0.5) s - 0.5 with s = width' / width
        """
        sx, sy = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        return replace(self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy, cx=cx, cy=cy)

    def to_mapping(self) -> dict[str, object]:
        """Return plain JSON types: the numbers by name, `mount`, and `pose` as x y z qx qy qz qw."""
        names = ("width", "height", "fx", "fy", "cx", "cy", "mount")
        return {name: getattr(self, name) for name in names} | {"pose": self.pose.as_array().tolist()}

    @classmethod
    def from_mapping(cls, data: object, source: str) -> "CameraModel":
        """Read what `to_mapping` wrote; `source` names where it came from in errors.

        Raises:
            ConfigError: a key is missing, unknown or of the wrong type.
        """
        kinds: dict[str, object] = {"width": int, "height": int, "mount": Mount, "pose": tuple[float, ...]}
        kinds |= dict.fromkeys(("fx", "fy", "cx", "cy"), float)
        if not isinstance(data, dict) or set(data) != set(kinds):
            raise ConfigError(f"{source}: camera {data!r}, expected the keys {', '.join(sorted(kinds))}")
        values = {key: convert(data[key], kind, f"{source}: camera {key}") for key, kind in kinds.items()}
        return cls(**(values | {"pose": Pose.from_array(values["pose"])}))
