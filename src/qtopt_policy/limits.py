"""The limits of a move, applied by the guard and, before recording, by the policy: the same function."""

from dataclasses import dataclass, fields

import numpy as np

from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose, multiply, pointing_down, quaternion_about_z, wrap_angle

Vector3 = tuple[float, float, float]

# How far a target may be from pointing straight down [rad]: min_height counts on fingers that do.
TILT_TOLERANCE = 0.1


@dataclass(frozen=True)
class Limits:
    """Bounds on what may be asked of the arm, in SI units, in the base frame.

    Attributes:
        workspace_min, workspace_max: corners of the box for the tool point [m].
        max_step_length: longest displacement of one wish from the measured pose [m].
        max_step_yaw: largest rotation of one wish [rad].
        yaw_centre, max_yaw: the tool's yaw stays within max_yaw of yaw_centre [rad], so that moves that add
            up cannot wind the wrist up, and turning back never leads over the far side. A parallel gripper
            needs no more than a quarter turn to either side.
        max_tool_speed: [m/s].
        max_tool_yaw_speed: [rad/s].
        joint_speed_fraction: share of the URDF's joint velocity limits.
        surface_height: height of the table or bin floor [m].
        table_clearance: least distance of the fingertips from that surface [m].
        tip_offset: distance from the tool point to the end of the fingertips along the tool's z [m].
    """

    workspace_min: Vector3
    workspace_max: Vector3
    max_step_length: float = 0.07
    max_step_yaw: float = 0.55
    yaw_centre: float = 0.0
    max_yaw: float = 2.8
    max_tool_speed: float = 0.25
    max_tool_yaw_speed: float = 1.5
    joint_speed_fraction: float = 0.5
    surface_height: float = 0.0
    table_clearance: float = 0.005
    tip_offset: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):  # first: a NaN passes comparisons, and max() drops it
            if not np.isfinite(getattr(self, entry.name)).all():
                raise ConfigError(f"{entry.name} {getattr(self, entry.name)}: must be finite")
        if not np.less(self.workspace_min, self.workspace_max).all():
            raise ConfigError(f"workspace_min {self.workspace_min} is not below {self.workspace_max}")
        for name in ("max_step_length", "max_step_yaw", "max_tool_speed", "max_tool_yaw_speed"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} {getattr(self, name)}: must be above 0")
        if not 0.0 < self.max_yaw < np.pi:
            raise ConfigError(f"max_yaw {self.max_yaw}: must be in (0, pi)")
        if not 0.0 < self.joint_speed_fraction <= 1.0:
            raise ConfigError(f"joint_speed_fraction {self.joint_speed_fraction}: must be in (0, 1]")
        for name in ("table_clearance", "tip_offset"):
            if getattr(self, name) < 0.0:
                raise ConfigError(f"{name} {getattr(self, name)}: must be 0 or above")
        if not self.min_height < self.workspace_max[2]:
            raise ConfigError(
                f"workspace_max {self.workspace_max}: z must be above {self.min_height:g}, the lowest height "
                f"with surface_height {self.surface_height}, table_clearance {self.table_clearance} and "
                f"tip_offset {self.tip_offset}"
            )

    @property
    def min_height(self) -> float:
        """Lowest allowed height of the tool point [m]: the box, or the clearance above the surface."""
        return max(self.workspace_min[2], self.surface_height + self.table_clearance + self.tip_offset)


def tilt(tool: Pose) -> float:
    """Return the angle [rad] from `tool` to a tool of the same yaw that points straight down."""
    return tool.angle(pointing_down(tool.position, tool.yaw()))


@dataclass(frozen=True)
class Clipped:
    """A target after clipping, and the names of the limits that changed it, in a fixed order."""

    target: Pose
    reasons: tuple[str, ...]


def clip(measured: Pose, target: Pose, limits: Limits) -> Clipped:
    """Bring `target` within one step of the measured pose and into the workspace box.

    The order is fixed: step length, yaw, then box and clearance, so that the box always holds.
    """
    reasons: list[str] = []
    offset = target.position - measured.position
    length = float(np.linalg.norm(offset))
    if length > limits.max_step_length + 1e-9:
        offset = offset * (limits.max_step_length / length)
        reasons.append("step_length")
    quaternion = target.quaternion
    wanted = wrap_angle(target.yaw() - measured.yaw())
    turn = _clip_turn(wrap_angle(measured.yaw() - limits.yaw_centre), wanted, limits, reasons)
    if turn != wanted:
        quaternion = multiply(quaternion_about_z(turn - wanted), quaternion)
    position = measured.position + offset
    low = np.array([*limits.workspace_min[:2], limits.min_height])
    boxed = np.clip(position, low, limits.workspace_max)
    if abs(boxed - position).max() > 1e-9:
        below = position[2] < limits.min_height and limits.min_height > limits.workspace_min[2]
        reasons.append("table_clearance" if below else "workspace")
    return Clipped(Pose(boxed, quaternion), tuple(reasons))


def _clip_turn(yaw: float, wanted: float, limits: Limits, reasons: list[str]) -> float:
    """Return the turn [rad] of a tool at `yaw` from the centre that is allowed instead of the one wanted."""
    turn = wanted
    if abs(turn) > limits.max_step_yaw + 1e-9:
        if abs(yaw + turn) > np.pi:  # the far side is closed: a goal beyond it is reached the other way round
            turn = -turn
        turn = float(np.sign(turn)) * limits.max_step_yaw
        reasons.append("step_yaw")
    end = yaw + turn
    if abs(end) > limits.max_yaw + 1e-9 and abs(end) > abs(yaw):
        reasons.append("max_yaw")
        turn = float(np.sign(yaw)) * max(limits.max_yaw - abs(yaw), 0.0)
    return turn
