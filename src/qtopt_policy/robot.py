"""One YAML describes an arm: frames, joints, gripper, camera, workspace, poses (config/robots/*.yaml)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.config import load_config
from qtopt_policy.drivers import CameraTopics, DriverConfig
from qtopt_policy.errors import ConfigError, ShapeError
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import TILT_TOLERANCE, Limits, Vector3, clip, tilt

Pose7 = tuple[float, float, float, float, float, float, float]
GripperDrive = Literal["topic", "gripper_command", "parallel_gripper_command"]


@dataclass(frozen=True)
class GripperConfig:
    """A parallel gripper and how its joint position maps to an aperture.

    aperture = aperture_scale * position(joints[0]) + aperture_offset, clipped to [0, max_aperture]

    Attributes:
        joints: names in joint_states; the first one gives the aperture.
        aperture_scale, aperture_offset: the map above [m per joint unit, m].
        max_aperture: distance of the fingertips when open [m].
        open_position, closed_position: joint positions commanded [m or rad].
        max_effort: grip force limit [N].
        finger_length: from the palm to the fingertips [m]; part of the checkpoint's envelope.
        held_aperture: above this, closed fingers hold something [m].
    """

    joints: tuple[str, ...]
    aperture_scale: float = 2.0
    aperture_offset: float = 0.0
    max_aperture: float = 0.08
    open_position: float = 0.04
    closed_position: float = 0.0
    max_effort: float = 40.0
    finger_length: float = 0.05
    held_aperture: float = 0.004

    def __post_init__(self) -> None:
        if not self.joints:
            raise ConfigError("joints is empty: name the joint that tells the aperture first")
        if self.aperture_scale == 0.0:
            raise ConfigError("aperture_scale 0.0: the joint's position must tell the aperture")
        closed, opened = self.aperture(self.closed_position), self.aperture(self.open_position)
        if not closed <= self.held_aperture < opened:
            raise ConfigError(
                f"held_aperture {self.held_aperture} m: must lie between the apertures that the map "
                f"gives for closed_position ({closed:.4f} m) and open_position ({opened:.4f} m)"
            )

    def aperture(self, position: float) -> float:
        """Return the distance of the fingertips [m] for a joint position [m or rad]."""
        raw = self.aperture_scale * position + self.aperture_offset
        return float(np.clip(raw, 0.0, self.max_aperture))

    def position(self, aperture: float) -> float:
        """Return the joint position [m or rad] for a distance of the fingertips [m]: the map's inverse."""
        wanted = float(np.clip(aperture, 0.0, self.max_aperture))
        return (wanted - self.aperture_offset) / self.aperture_scale


@dataclass(frozen=True)
class CameraConfig:
    """The active camera and how its image becomes the network's.

    Attributes:
        mount: frame of the extrinsics, `tool` (wrist) or `base` (over the shoulder).
        frame: optical frame in the URDF; its pose in the mount frame is read from there
            unless `pose` is given.
        pose: x y z qx qy qz qw of the optical frame in the mount frame.
        crop: left, top, width, height [px]; None means the largest centred square.
    """

    mount: Mount = "tool"
    frame: str = "wrist_camera_optical_frame"
    pose: Pose7 | None = None
    crop: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class BinConfig:
    """The bin: centre of its floor in the base frame [m] and inner size x, y and wall height [m]."""

    centre: Vector3
    size: Vector3


@dataclass(frozen=True)
class TableConfig:
    """The table that the bin stands on, as MoveIt's collision scene has it.

    Attributes:
        centre: of its surface, in the base frame [m].
        size: edges x and y, and thickness z below the surface [m].
    """

    centre: Vector3
    size: Vector3

    def __post_init__(self) -> None:
        if not min(self.size) > 0.0:
            raise ConfigError(f"size {list(self.size)}: every edge must be above 0")
        if not np.isfinite([*self.centre, *self.size]).all():
            raise ConfigError(f"centre {list(self.centre)}, size {list(self.size)}: must be finite")


@dataclass(frozen=True)
class RobotConfig:
    """Everything the nodes must know about one robot.

    Attributes:
        name: information only; never part of a match.
        urdf: xacro or URDF file: absolute, relative to the package's share folder, or
            package://<package>/<path> in the share folder of another package.
        xacro_args: arguments for xacro.
        srdf: SRDF file, like `urdf`.
        base_frame, tool_frame: frames of all tool poses.
        arm_joints: in the order of the trajectory controller.
        cameras: by name (`wrist`, `shoulder`); the parameter `camera` of the nodes picks the active one.
        home: joint positions of the start of an episode [rad], as arm_joints.
        drop: tool pose above the bin from which a held object is dropped.
        start: tool pose at the start of an episode: that of `home`; None takes `drop`.
        arm_topic: the arm controller's topic, trajectory_msgs/JointTrajectory.
        gripper_topic: the gripper controller's topic, or the name of its action.
        gripper_command: how the gripper is driven: `topic` (driver.gripper_message), or by the action
            control_msgs/action/GripperCommand or control_msgs/action/ParallelGripperCommand.
        driver: names that the robot's drivers use, and what they allow.
        table: the table in the collision scene; None takes one of 1.2 m by 1.2 m below the bin's floor.
    """

    name: str
    urdf: Path
    srdf: Path
    arm_joints: tuple[str, ...]
    home: tuple[float, ...]
    gripper: GripperConfig
    cameras: dict[str, CameraConfig]
    bin: BinConfig
    limits: Limits
    drop: Pose7
    base_frame: str = "base_link"
    tool_frame: str = "tcp"
    arm_topic: str = "arm_controller/joint_trajectory"
    gripper_topic: str = "gripper_controller/commands"
    gripper_command: GripperDrive = "topic"
    xacro_args: dict[str, str] = field(default_factory=dict)
    start: Pose7 | None = None
    driver: DriverConfig = field(default_factory=DriverConfig)
    table: TableConfig | None = None

    def __post_init__(self) -> None:
        if len(self.home) != len(self.arm_joints):
            raise ConfigError(f"home has {len(self.home)} values for {len(self.arm_joints)} arm_joints")
        if not np.isfinite(self.home).all():
            raise ConfigError(f"home {list(self.home)}: must be finite")
        for name, values in (("drop", self.drop), ("start", self.start)):
            if values is not None:
                _check_target(name, values, self.limits)
        if len(self.driver.max_joint_effort) not in (0, len(self.arm_joints)):
            raise ConfigError(
                f"driver: max_joint_effort has {len(self.driver.max_joint_effort)} values for "
                f"{len(self.arm_joints)} arm_joints"
            )
        if shared := set(self.arm_joints) & set(self.gripper.joints):
            raise ConfigError(f"joints {sorted(shared)} are both among arm_joints and the gripper's")
        if extra := [name for name in self.driver.cameras if name not in self.cameras]:
            raise ConfigError(f"driver: cameras {extra} are not among {list(self.cameras)}")

    def camera_topics(self, name: str) -> CameraTopics:
        """Return where the images of the camera `name` are published."""
        return self.driver.cameras.get(name, CameraTopics())

    @property
    def drop_pose(self) -> Pose:
        """Tool pose above the bin in the base frame."""
        return Pose.from_array(self.drop)

    @property
    def start_pose(self) -> Pose:
        """Tool pose at the start of an episode in the base frame."""
        return Pose.from_array(self.drop if self.start is None else self.start)


def _check_target(name: str, values: Pose7, limits: Limits) -> None:
    """Check that the guard lets the tool reach the pose `values` of the key `name`.

    Raises:
        ConfigError: it is no pose, lies outside the workspace or does not point down.
    """
    try:
        pose = Pose.from_array(values)
    except ShapeError as error:
        raise ConfigError(f"{name} {list(values)}: {error}") from error
    clipped = clip(pose, pose, limits)
    if clipped.reasons:
        nearest = np.round(clipped.target.position, 4).tolist()
        raise ConfigError(
            f"{name} {list(values)}: beyond limits ({', '.join(clipped.reasons)}), which end at {nearest}"
        )
    if tilt(pose) > TILT_TOLERANCE:
        raise ConfigError(
            f"{name} {list(values)}: {tilt(pose):.3f} rad from pointing straight down, "
            f"at most {TILT_TOLERANCE} rad"
        )


def load_robot(path: Path) -> RobotConfig:
    """Read a robot YAML; errors as `config.load_config`."""
    return load_config(path, RobotConfig)


def camera_model(config: CameraConfig, width: int, height: int, k: ArrayLike, pose: Pose) -> CameraModel:
    """Return the camera of CameraInfo's size and K (row-major 3x3) at `pose` in its mount frame."""
    m = np.asarray(k, dtype=np.float64).reshape(3, 3)
    return CameraModel(width, height, m[0, 0], m[1, 1], m[0, 2], m[1, 2], config.mount, pose)
