"""What is known about one ended step: what policy_node publishes, bags keep and GraspEnv reports."""

import json
import math
from dataclasses import dataclass

from qtopt_policy.config import to_mapping
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import TERMINATE, GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.topics import STEP_KEYS


@dataclass(frozen=True)
class StepRecord:
    """One step as published on policy/step: the keys of topics.STEP_KEYS with their types."""

    episode_id: str
    index: int
    image_stamp: float
    gripper_closed: bool
    height_to_bottom: float
    aperture: float
    tool_pose: tuple[float, ...]
    asked: tuple[float, ...]
    executed: tuple[float, ...]
    altered: bool
    contact: bool
    duration: float
    end_cause: str
    q: float
    is_terminal: bool
    policy: str
    latency: float = math.nan


def encode_step(step: StepRecord) -> dict[str, str]:
    """Return the values of a step record as published, in the order of STEP_KEYS."""
    values = to_mapping(step)
    return {key: _text(values[key]) for key in STEP_KEYS}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return repr(float(value))  # repr round-trips every double; nan and inf by name
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, eq=False)
class Execution:
    """What became of an asked action.

    Attributes:
        action: the displacement that happened, with the asked choice.
        altered: it differs from the asked one by more than twice the tolerances of a move's end.
    """

    action: GraspAction
    altered: bool


def execution(asked: GraspAction, start: Pose, end: Pose, mdp: MdpConfig) -> Execution:
    """Compare the move that was asked for at the pose `start` with the pose `end` at the step's end.

    A `terminate` does not move, so nothing can alter it.
    """
    if asked.choice == TERMINATE:
        return Execution(asked, altered=False)
    action = GraspAction.between(start, end, mdp.action_frame, asked.choice)
    target = asked.target(start, mdp.action_frame)
    reached = action.target(start, mdp.action_frame)  # level, as the target: tilt is not part of a move
    far = reached.distance(target) > 2.0 * mdp.position_tolerance
    turned = reached.angle(target) > 2.0 * mdp.angle_tolerance
    return Execution(action, altered=far or turned)
