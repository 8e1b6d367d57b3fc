"""When a step ends: the same small state machine for GraspEnv and policy_node, so that both are one MDP.

A step moves first. When the tool has arrived (within the tolerances and slow) or `step_timeout` has passed,
a close or open is commanded, and the step waits until the fingers rest or `gripper_timeout` has passed.
Fingers that have not moved yet count as resting only after the robot's `gripper_reaction_time`.
"""

from dataclasses import dataclass
from typing import Literal

from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import CLOSE, OPEN
from qtopt_policy.mdp import MdpConfig

EndCause = Literal["arrived", "timeout", "gripper_settled", "gripper_timeout", "terminate"]

# The fingers rest when the aperture has changed by less than this for this long.
SETTLE_CHANGE = 0.0005  # [m]
SETTLE_TIME = 0.1  # [s]


@dataclass(frozen=True, eq=False)
class Measurement:
    """One sample of the robot's state: time [s], tool pose, tool speed [m/s], aperture [m]."""

    stamp: float
    tool_pose: Pose
    tool_speed: float
    aperture: float


class StepMonitor:
    """Follows one step from its start to its end.

    Feed it measurements with `update`; it returns the cause once the step has ended. `gripper_command`
    becomes True (close) or False (open) when the fingers are to be moved, and stays None before and in
    steps that leave them alone.

    Args:
        config: definition of a step.
        target: of the tool.
        choice: MOVE, CLOSE, OPEN or TERMINATE.
        start: of the step [s].
        reaction_time: fingers that have not moved so long after a command do not move any more [s]
            (driver.gripper_reaction_time).
    """

    def __init__(
        self, config: MdpConfig, target: Pose, choice: int, start: float, reaction_time: float
    ) -> None:
        self._config = config
        self._target = target
        self._choice = choice
        self._start = start
        self._reaction_time = reaction_time
        self._moved = False
        self._gripper_start: float | None = None
        self._aperture = 0.0
        self._aperture_since = 0.0
        self.gripper_command: bool | None = None

    def update(self, sample: Measurement) -> EndCause | None:
        """Take one measurement; return why the step has ended, or None while it goes on."""
        if self._gripper_start is not None:
            return self._follow_fingers(sample)
        cause = self._move_ended(sample)
        if cause is not None and self._choice in (CLOSE, OPEN):
            self.gripper_command = self._choice == CLOSE
            self._gripper_start = sample.stamp
            self._aperture, self._aperture_since = sample.aperture, sample.stamp
            return None
        return cause

    def _move_ended(self, sample: Measurement) -> EndCause | None:
        config = self._config
        near = sample.tool_pose.distance(self._target) <= config.position_tolerance
        aligned = sample.tool_pose.angle(self._target) <= config.angle_tolerance
        if near and aligned and sample.tool_speed <= config.speed_tolerance:
            return "arrived"
        return "timeout" if sample.stamp - self._start >= config.step_timeout else None

    def _follow_fingers(self, sample: Measurement) -> EndCause | None:
        assert self._gripper_start is not None
        elapsed = sample.stamp - self._gripper_start
        if abs(sample.aperture - self._aperture) > SETTLE_CHANGE:
            self._aperture, self._aperture_since = sample.aperture, sample.stamp
            self._moved = True
        rested = sample.stamp - self._aperture_since >= SETTLE_TIME
        if rested and (self._moved or elapsed >= self._reaction_time):
            return "gripper_settled"
        return "gripper_timeout" if elapsed >= self._config.gripper_timeout else None
