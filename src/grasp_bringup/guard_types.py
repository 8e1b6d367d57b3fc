"""Thresholds of the guard, what it tells about itself, and what becomes of a wish."""

from dataclasses import dataclass, fields

from grasp_bringup.dead_man import DEAD_MEN, KEYBOARD_BUTTON
from grasp_bringup.wish import Finding
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.geometry import Pose
from qtopt_policy.topics import Owner


@dataclass(frozen=True)
class GuardConfig:
    """Thresholds of the guard; times in [s].

    Attributes:
        require_arming: start disarmed; unarmed wishes are checked and logged but not passed on.
        wish_timeout: without an accepted wish for this long the arm holds.
        heartbeat_timeout: without a heartbeat of the owner for this long the arm holds.
        executor_timeout: without a heartbeat of the executor for this long the arm is stopped, so that an
            executor that was started anew moves nothing before a resume.
        joint_timeout: without a reading of an arm joint for this long the arm is stopped.
        max_wish_age, max_wish_lead: how far a wish's stamp may lie in the past and in the future.
        overspeed: a measured tool or joint speed over this multiple of its limit...
        overspeed_time: ...for this long stops the arm.
        effort_time: a joint's effort beyond its driver.max_joint_effort for this long stops the arm.
        dead_man: what must be held for arm and fingers to move: `none`: nothing; `joy`: the button of a
            joystick; `keyboard`: the space bar (dead_man_node).
        dead_man_button: with `joy`: index of that button in sensor_msgs/Joy.
        dead_man_timeout: a switch that is silent for this long counts as released.
    """

    require_arming: bool = True
    wish_timeout: float = 0.25
    heartbeat_timeout: float = 0.25
    executor_timeout: float = 1.0
    joint_timeout: float = 0.2
    max_wish_age: float = 0.25
    max_wish_lead: float = 0.1
    overspeed: float = 1.5
    overspeed_time: float = 0.05
    effort_time: float = 0.05
    dead_man: str = "none"
    dead_man_button: int = 5
    dead_man_timeout: float = 0.25

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.type is float and not value > 0.0:
                raise ConfigError(f"{entry.name} {value}: must be above 0")
        if self.dead_man not in DEAD_MEN:
            raise UnknownNameError("dead_man", self.dead_man, DEAD_MEN)
        if self.dead_man_button < 0:
            raise ConfigError(f"dead_man_button {self.dead_man_button}: must be at least 0")

    @property
    def held_button(self) -> int | None:
        """Index of the button that must be held; None where none must be."""
        if self.dead_man == "none":
            return None
        return KEYBOARD_BUTTON if self.dead_man == "keyboard" else self.dead_man_button


@dataclass(frozen=True)
class GuardState:
    """What `arm/state` tells; `reason` says why the arm is stopped or holds, "" while it follows wishes."""

    owner: Owner
    armed: bool
    stopped: bool
    holding: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of a wish.

    Attributes:
        target: pose to pass on, or None.
        limits: names of the limits that changed the target (limits.clip).
        refusal: why nothing is passed on, or None.
    """

    target: Pose | None
    limits: tuple[str, ...] = ()
    refusal: Finding | None = None
