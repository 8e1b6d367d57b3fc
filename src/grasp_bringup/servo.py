"""The embedded executor's motion: absolute tool poses into jerk-limited joint motion, one tick at a time.

Each tick moves a *lead* (joint positions) along the straight line towards the target by one step of inverse
kinematics, as fast as the tool's and the joints' limits allow, and passes it through two moving averages
(smoothing.py). What comes out keeps the joints' position, speed, acceleration and jerk limits and the tool's
speed limit, whatever targets come in, cannot overshoot, and rests `settling_time` after the lead rests.
No ROS: GraspEnv and servo_node run this same code.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_bringup.dls import bounded_step
from grasp_bringup.kinematics import Aim, Kinematics
from grasp_bringup.smoothing import JointMotion, MovingAverages
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import Limits

Array = NDArray[np.float64]

# The average of joint positions on a straight tool path lies off that path by up to 0.2 mm, and its speed
# differs by under 3 %: the lead keeps that far below the tool's limits.
_SPEED_MARGIN = 0.97
_ARRIVED_POSITION = 1e-5  # [m]
_ARRIVED_ANGLE = 1e-4  # [rad]
_DAMPING = 0.01  # [m] of the least squares: what it leaves of one tick's error, the next ones remove
# The target counts as out of reach when it is farther than this [m or rad] and progress is below this share.
_STUCK_ERROR = 1e-3
_STUCK_SHARE = 0.05
# A rotation may move the tool point off its place by this [m]: no turn out of reach is bought with more.
_STRAY = 2e-3


@dataclass(frozen=True)
class ServoConfig:
    """How the embedded executor shapes motion.

    Attributes:
        acceleration_time: length of the first moving average [s].
        jerk_time: length of the second one [s].
        max_acceleration: bound of every joint [rad/s2 or m/s2]; the jerk's is 2 max_acceleration / jerk_time,
            by default 1,500 rad/s3 (the Panda allows 7.5 to 20 rad/s2 and 3,750 to 10,000 rad/s3).
        joint_margin: distance kept from the URDF's position limits [rad or m].
        posture_rate: speed of the null-space motion towards the comfortable posture [1/s].
    """

    acceleration_time: float = 0.07
    jerk_time: float = 0.02
    max_acceleration: float = 15.0
    joint_margin: float = 0.02
    posture_rate: float = 1.0

    def __post_init__(self) -> None:
        for name in ("acceleration_time", "jerk_time", "max_acceleration"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} {getattr(self, name)}: must be above 0")

    def capped(self, acceleration: float | None) -> "ServoConfig":
        """Return this with at most `acceleration` [rad/s2], the driver's limit; None sets none."""
        if acceleration is None or acceleration >= self.max_acceleration:
            return self
        return replace(self, max_acceleration=acceleration)


@dataclass(frozen=True, eq=False)
class ServoSample:
    """What the joints are to do now: position, velocity, acceleration, shape (n,) each, and why it is less.

    `reasons` are names out of `joint_speed`, `joint_acceleration`, `table_clearance`, `unreachable`.
    """

    q: Array
    dq: Array
    ddq: Array
    reasons: tuple[str, ...]


class ServoCore:
    """Follows the latest target; call `tick` once per `period`.

    Deterministic: the same calls give bitwise the same samples.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        limits: Limits,
        period: float = 0.01,
        config: ServoConfig | None = None,
    ) -> None:
        self._config = config = ServoConfig() if config is None else config
        self._kinematics = kinematics
        self.period = period
        counts = [max(1, round(t / period)) for t in (config.acceleration_time, config.jerk_time)]
        self._averages = MovingAverages(counts[0], counts[1], period)
        self._tool_step = _SPEED_MARGIN * limits.max_tool_speed * period
        self._turn_step = _SPEED_MARGIN * limits.max_tool_yaw_speed * period
        # The lead may rest at any tick without breaking the acceleration limit if it is no faster than this.
        self._change = config.max_acceleration * counts[0] * period * period
        speed = limits.joint_speed_fraction * kinematics.velocity_limits * period
        self._joint_step = np.minimum(speed, self._change)
        # Half the clearance: the guard keeps the tool point above all of it, the servo the real shapes.
        self._floor = limits.surface_height + 0.5 * limits.table_clearance
        self._aim: Aim | None = None
        self._target: Pose | None = None
        self.reset(np.clip(kinematics.posture, kinematics.lower, kinematics.upper))

    @property
    def settling_time(self) -> float:
        """Time in which the motion comes to rest after the target was taken away [s]."""
        return self._averages.settling_samples * self.period

    def to_rest(self) -> Array:
        """Return the joint positions of the next ticks if the target were taken away now, shape (m, n).

        m periods make `settling_time`; the last position is the one of the rest.
        """
        return self._averages.to_rest()

    @property
    def target(self) -> Pose | None:
        """The target of now; None means hold."""
        return self._target

    def reset(self, q: ArrayLike, dq: ArrayLike | None = None) -> None:
        """Start at joint positions `q` moving with `dq` [rad/s] (default: at rest), without a target."""
        q = np.array(q, dtype=np.float64)
        fastest = self._joint_step / self.period
        speed = (
            np.zeros_like(q) if dq is None else np.clip(np.asarray(dq, dtype=np.float64), -fastest, fastest)
        )
        self._averages.reset(q, speed)
        self._lowest = self._kinematics.lowest_point(q)
        self.set_target(None)

    def set_target(self, target: Pose | None) -> None:
        """Move to `target` (base frame) from now on; None: come to rest."""
        self._target = target
        self._aim = None if target is None else self._kinematics.aim(target)

    def tick(self, hold: bool = False) -> ServoSample:
        """Advance by one period; with `hold` as if there were no target."""
        reasons: list[str] = []
        lead = self._averages.newest
        step = np.zeros_like(lead) if hold or self._aim is None else self._lead_step(lead, self._aim, reasons)
        motion: JointMotion = self._averages.push(lead + step)
        return ServoSample(motion.q, motion.dq, motion.ddq, tuple(reasons))

    def _lead_step(self, lead: Array, aim: Aim, reasons: list[str]) -> Array:
        rest = np.zeros_like(lead)
        error, jacobian = self._kinematics.linearise(lead, aim)
        distance, angle = float(np.sqrt(error[:3] @ error[:3])), float(np.sqrt(error[3:] @ error[3:]))
        if distance <= _ARRIVED_POSITION and angle <= _ARRIVED_ANGLE:
            return rest
        share = min(1.0, self._tool_step / max(distance, 1e-12), self._turn_step / max(angle, 1e-12))
        step = self._joint_motion(lead, share * error, jacobian)
        moved = jacobian @ step
        strays = np.linalg.norm(error[:3] - moved[:3]) > max(distance, _STRAY)
        slow = np.linalg.norm(moved) < _STUCK_SHARE * share * (distance + angle)
        if strays or (slow and max(distance, angle) > _STUCK_ERROR):
            reasons.append("unreachable")
        if strays:
            return rest
        step = self._limited(step, reasons)
        return rest if self._too_low(lead + step, reasons) else step

    def _joint_motion(self, lead: Array, error: Array, jacobian: Array) -> Array:
        kinematics, margin = self._kinematics, self._config.joint_margin
        # A start within the margin is accepted: from there the joint may only move away from its limit.
        room = (
            np.minimum(kinematics.lower + margin - lead, 0.0),
            np.maximum(kinematics.upper - margin - lead, 0.0),
        )
        posture = self._config.posture_rate * self.period * (kinematics.posture - lead)
        return bounded_step(jacobian, error, np.clip(posture, *room), room, _DAMPING)

    def _limited(self, step: Array, reasons: list[str]) -> Array:
        """Shorten `step`, keeping its direction, to the joints' speed and acceleration limits."""
        size = np.maximum(np.abs(step), 1e-15)
        by_speed = float((self._joint_step / size).min())
        change = self._change + np.sign(step) * self._averages.outgoing_step
        by_acceleration = float((np.maximum(change, 0.0) / size).min())
        if by_speed < min(1.0, by_acceleration):
            reasons.append("joint_speed")
        elif by_acceleration < 1.0:
            reasons.append("joint_acceleration")
        return step * min(1.0, by_speed, by_acceleration)

    def _too_low(self, lead: Array, reasons: list[str]) -> bool:
        """Return whether the arm's shapes would come too close to the surface; going up is always allowed."""
        lowest = self._kinematics.lowest_point(lead)
        if lowest < self._floor and lowest < self._lowest:
            reasons.append("table_clearance")
            return True
        self._lowest = lowest
        return False
