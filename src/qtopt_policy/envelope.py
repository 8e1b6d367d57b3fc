"""The range of robots on which a network was trained: cameras, gripper and action bounds.

A network is trusted inside it and refused by name outside. Intervals have a margin for calibration that is
not exact; training with jittered cameras widens them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import GripperConfig

Interval = tuple[float, float]
Quaternion = tuple[float, float, float, float]

# Margins on both sides of what was seen.
FOCAL_MARGIN = 0.02  # share of the focal length
CENTRE_MARGIN = 1.0  # [px]
POSITION_MARGIN = 0.01  # [m], camera
HAND_MARGIN = 0.005  # [m], opening and finger length
ANGLE_MARGIN = 0.05  # [rad], camera
# Bounds are compared after a journey through JSON.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Envelope:
    """What was seen in training, margins included.

    Attributes:
        ranges: intervals of fx, fy, cx, cy [px] after crop and resize, camera_x, camera_y, camera_z [m] in
            the mount frame, opening and finger_length [m].
        camera_rotation: a reference orientation of the camera in its mount frame (x, y, z, w).
        camera_angle: largest angle from that orientation [rad].
        max_translation: bound of dx, dy, dz [m].
        max_yaw: bound of the yaw change [rad].
    """

    ranges: dict[str, Interval]
    camera_rotation: Quaternion
    camera_angle: float
    max_translation: float
    max_yaw: float

    @classmethod
    def around(
        cls, cameras: Sequence[CameraModel], grippers: Sequence[GripperConfig], mdp: MdpConfig
    ) -> "Envelope":
        """Return the envelope of all cameras (after crop and resize) and grippers of a training set.

        Raises:
            ConfigError: there is no camera or no gripper.
        """
        if not cameras or not grippers:
            raise ConfigError(f"an envelope of {len(cameras)} cameras and {len(grippers)} grippers")
        rows = [measure_camera(camera) for camera in cameras]
        hands = [measure_gripper(gripper) for gripper in grippers]
        reference = cameras[0].pose
        x, y, z, w = (float(value) for value in reference.quaternion)
        return cls(
            ranges=_ranges(rows) | _ranges(hands),
            camera_rotation=(x, y, z, w),
            camera_angle=max(camera.pose.angle(reference) for camera in cameras) + ANGLE_MARGIN,
            max_translation=mdp.max_translation,
            max_yaw=mdp.max_yaw,
        )

    def outside_camera(self, camera: CameraModel) -> list[str]:
        """Return a sentence for each quantity of the camera that lies outside."""
        found = self._outside(measure_camera(camera))
        reference = Pose(camera.pose.position, np.array(self.camera_rotation))
        angle = camera.pose.angle(reference)
        if angle > self.camera_angle:
            found.append(f"camera angle {angle:.3f} rad exceeds the trained {self.camera_angle:.3f}")
        return found

    def outside_gripper(self, gripper: GripperConfig) -> list[str]:
        """Return a sentence for each quantity of the gripper that lies outside."""
        return self._outside(measure_gripper(gripper))

    def outside_bounds(self, mdp: MdpConfig) -> list[str]:
        """Return a sentence for each action bound that exceeds the trained one."""
        pairs = {
            "max_translation": (mdp.max_translation, self.max_translation),
            "max_yaw": (mdp.max_yaw, self.max_yaw),
        }
        return [
            f"{name} {found:g} exceeds the trained {trained:g}"
            for name, (found, trained) in pairs.items()
            if found > trained + ROUNDING
        ]

    def _outside(self, values: dict[str, float]) -> list[str]:
        found = []
        for name, value in values.items():
            if name not in self.ranges:
                raise ConfigError(f"envelope: no range of '{name}'")
            low, high = self.ranges[name]
            if not low <= value <= high:
                found.append(f"{name} {value:.4g} is not in the trained {low:.4g} to {high:.4g}")
        return found


def measure_camera(camera: CameraModel) -> dict[str, float]:
    """Return the quantities of a camera that an envelope bounds."""
    x, y, z = (float(value) for value in camera.pose.position)
    intrinsics = {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}
    return intrinsics | {"camera_x": x, "camera_y": y, "camera_z": z}


def measure_gripper(gripper: GripperConfig) -> dict[str, float]:
    """Return the quantities of a gripper that an envelope bounds."""
    return {"opening": gripper.max_aperture, "finger_length": gripper.finger_length}


def _ranges(rows: Sequence[dict[str, float]]) -> dict[str, Interval]:
    return {name: _interval(name, [row[name] for row in rows]) for name in rows[0]}


def _interval(name: str, values: Sequence[float]) -> Interval:
    low, high = min(values), max(values)
    margins = {
        "fx": FOCAL_MARGIN * high,
        "fy": FOCAL_MARGIN * high,
        "cx": CENTRE_MARGIN,
        "cy": CENTRE_MARGIN,
        "opening": HAND_MARGIN,
        "finger_length": HAND_MARGIN,
    }
    margin = margins.get(name, POSITION_MARGIN)
    return low - margin, high + margin
