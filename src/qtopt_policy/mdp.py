"""The Markov decision process as parameters: one dataclass for GraspEnv, the nodes and the learner."""

from dataclasses import dataclass
from typing import Literal

from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import ActionFrame, grasp_action_spec
from qtopt_policy.specs import ActionSpec, ObservationSpec, VectorField

EndReason = Literal["terminate", "max_steps", "watchdog", "operator", "node_died", "deadline", "error"]
ABORTED: tuple[EndReason, ...] = ("watchdog", "operator", "node_died", "deadline", "error")


@dataclass(frozen=True)
class MdpConfig:
    """Definition of a step, an episode and its reward. SI units.

    Attributes:
        action_frame: frame of the translation, `base` or `tool`.
        max_translation: bound of dx, dy, dz [m].
        max_yaw: bound of the yaw change [rad].
        max_steps: the step that ends an episode without `terminate`.
        step_timeout: longest duration of the move of a step [s].
        gripper_timeout: longest wait for the fingers after a close or open [s].
        position_tolerance, angle_tolerance, speed_tolerance: when a move has arrived [m, rad, m/s].
        max_skew: largest time between an image and the joint state used with it [s].
        lift_height: how far the collector lifts before it judges [m].
        success_height: least height of a held object above the bin floor [m].
        step_penalty, discount: reward per step before the end is -step_penalty; gamma.
        image_size: height and width of the image that the network sees.
    """

    action_frame: ActionFrame = "tool"
    max_translation: float = 0.04
    max_yaw: float = 0.5
    max_steps: int = 20
    step_timeout: float = 1.0
    gripper_timeout: float = 1.0
    position_tolerance: float = 0.003
    angle_tolerance: float = 0.035
    speed_tolerance: float = 0.005
    max_skew: float = 0.05
    lift_height: float = 0.15
    success_height: float = 0.10
    step_penalty: float = 0.05
    discount: float = 0.9
    image_size: tuple[int, int] = (64, 64)

    def __post_init__(self) -> None:
        if self.max_steps < 1:
            raise ConfigError(f"max_steps {self.max_steps}: must be at least 1")
        if not 0.0 <= self.discount <= 1.0:
            raise ConfigError(f"discount {self.discount}: must be in [0, 1]")
        if min(self.image_size) < 8:
            raise ConfigError(f"image_size {self.image_size}: at least 8 x 8")

    def action_spec(self) -> ActionSpec:
        """Return the spec of the grasp action in search form."""
        return grasp_action_spec(self.max_translation, self.max_yaw)

    def observation_spec(self) -> ObservationSpec:
        """Return the spec of the observation: image and the scalars beside it."""
        scalars = (
            VectorField("gripper_closed", 1, "0 or 1"),
            VectorField("height_to_bottom", 1, "m"),
            VectorField("aperture", 1, "m"),
        )
        return ObservationSpec((*self.image_size, 3), scalars)
