"""What a robot's drivers are called and what they allow: the part of a robot YAML that no task depends on."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from qtopt_policy import topics
from qtopt_policy.errors import ConfigError


@dataclass(frozen=True)
class CameraTopics:
    """Where a camera driver publishes.

    Attributes:
        image: topic of sensor_msgs/Image; with `compressed` its base, as image_transport counts it.
        info: topic of sensor_msgs/CameraInfo.
        transport: `raw`, or `compressed`: sensor_msgs/CompressedImage on `<image>/compressed`.
        encoding: what the driver is expected to send (`rgb8`, `bgr8`, ...), for `qtopt doctor`; "" expects
            nothing. The nodes take every encoding that preprocess.ENCODINGS lists.
    """

    image: str = topics.IMAGE
    info: str = topics.CAMERA_INFO
    transport: Literal["raw", "compressed"] = "raw"
    encoding: str = ""

    @property
    def topic(self) -> str:
        """The topic to subscribe to."""
        return self.image if self.transport == "raw" else f"{self.image}/compressed"


@dataclass(frozen=True)
class MoveItFiles:
    """Files of a MoveIt package, where they are not called as MoveIt's Setup Assistant calls them.

    Each is absolute, relative to this package's share folder, or package://<package>/<path>. None takes the
    file of the name below from the MoveIt package's config/.

    Attributes:
        kinematics: solvers of the planning groups; kinematics.yaml.
        joint_limits: joint_limits.yaml.
        controllers: moveit_controllers.yaml; or a bare list of controllers, as Franka's packages have it.
        pilz_cartesian_limits: pilz_cartesian_limits.yaml.
    """

    kinematics: Path | None = None
    joint_limits: Path | None = None
    controllers: Path | None = None
    pilz_cartesian_limits: Path | None = None


@dataclass(frozen=True)
class DriverConfig:
    """Names of a robot's drivers and controllers, and their limits.

    Attributes:
        name: package and version of the driver that the names are taken from.
        tested: where this file has been run: `hardware`, `simulation` (the embedded simulator), or `no`.
        simulated: whether there is no such robot: the embedded simulator stands for its drivers.
        arm_controller, gripper_controller: names in ros2_control, for MoveIt and `qtopt doctor`; "" where the
            gripper's driver is no controller.
        moveit_package: package that holds the MoveIt configuration; "" takes urdf/ of this package.
        moveit_files: files of that package with names of their own.
        planning_group: MoveIt's name of the arm.
        gripper_message: with gripper_command `topic`: what the gripper's topic takes.
        stroke_time: time that a JointTrajectory gives the fingers for a stroke [s].
        gripper_deadline: time in which the fingers must rest, or the action must have a result, after a
            command [s].
        gripper_reaction_time: fingers that have not moved so long after a command do not move any more [s]:
            above the delay from a command to the first joint state that shows a motion.
        max_joint_acceleration: what the driver allows a streamed motion [rad/s2]; None keeps the servo's own.
        max_joint_effort: efforts beyond which the guard stops the arm, gravity and friction included; as
            RobotConfig.arm_joints, in the unit of the driver's joint states (Nm, or A where it sends motor
            currents); 0 for a joint that is not watched. Empty watches none.
        min_grip_effort: least effort of closed fingers that hold something, in the unit of the gripper's
            joint states or of its action's result; 0 judges without it (many drivers measure none).
        cameras: by name, as in RobotConfig.cameras; one that is missing publishes on the standard topics.
    """

    name: str = ""
    tested: Literal["hardware", "simulation", "no"] = "no"
    simulated: bool = False
    arm_controller: str = "arm_controller"
    gripper_controller: str = "gripper_controller"
    moveit_package: str = ""
    moveit_files: MoveItFiles = field(default_factory=MoveItFiles)
    planning_group: str = "arm"
    gripper_message: Literal["Float64MultiArray", "JointTrajectory"] = "Float64MultiArray"
    stroke_time: float = 0.5
    gripper_deadline: float = 1.0
    gripper_reaction_time: float = 0.1
    max_joint_acceleration: float | None = None
    max_joint_effort: tuple[float, ...] = ()
    min_grip_effort: float = 0.0
    cameras: dict[str, CameraTopics] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("stroke_time", "gripper_deadline", "gripper_reaction_time"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} {getattr(self, name)}: must be above 0")
        if self.max_joint_acceleration is not None and not self.max_joint_acceleration > 0.0:
            raise ConfigError(f"max_joint_acceleration {self.max_joint_acceleration}: must be above 0")
        if not 0.0 <= self.min_grip_effort < math.inf:
            raise ConfigError(f"min_grip_effort {self.min_grip_effort}: must be 0 (not judged) or above")
        if not all(0.0 <= effort < math.inf for effort in self.max_joint_effort):
            raise ConfigError(
                f"max_joint_effort {list(self.max_joint_effort)}: each must be 0 (not watched) or above"
            )
