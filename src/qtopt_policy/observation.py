"""What a policy sees at one decision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose


@dataclass(frozen=True, eq=False)
class Observation:
    """State of the MDP at the image's stamp.

    Attributes:
        image: RGB after crop and resize, uint8, shape (height, width, 3).
        gripper_closed: last command to the gripper.
        height_to_bottom: height of the tool point above the bin floor [m].
        aperture: distance between the fingertips [m].
        tool_pose: measured pose of `tcp` in the base frame.
        camera: intrinsics after crop and resize, and the pose of the camera in its mount frame.
        stamp: time of the image [s].
    """

    image: NDArray[np.uint8]
    gripper_closed: bool
    height_to_bottom: float
    aperture: float
    tool_pose: Pose
    camera: CameraModel
    stamp: float

    def __post_init__(self) -> None:
        expected = (self.camera.height, self.camera.width, 3)
        if self.image.dtype != np.uint8 or self.image.shape != expected:
            raise ShapeError(f"image {self.image.shape} {self.image.dtype}, expected {expected} uint8")

    def scalars(self) -> NDArray[np.float32]:
        """Return gripper_closed, height_to_bottom, aperture, shape (3,), as MdpConfig.observation_spec."""
        values = [float(self.gripper_closed), self.height_to_bottom, self.aperture]
        return np.array(values, dtype=np.float32)
