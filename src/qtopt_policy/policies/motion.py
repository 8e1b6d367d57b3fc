"""Steps of bounded size towards a tool pose, shared by policies that follow a plan."""

import numpy as np

from qtopt_policy.geometry import Pose, wrap_angle
from qtopt_policy.grasp_action import GraspAction
from qtopt_policy.mdp import MdpConfig


def step_towards(tool: Pose, target: Pose, choice: int, mdp: MdpConfig) -> GraspAction:
    """Return the largest action from `tool` straight towards `target` within the bounds of one step."""
    whole = GraspAction.between(tool, target, mdp.action_frame, choice)
    longest = float(np.abs(whole.translation).max())
    scale = min(1.0, mdp.max_translation / max(longest, 1e-9))
    yaw = float(np.clip(whole.yaw, -mdp.max_yaw, mdp.max_yaw))
    return GraspAction(whole.translation * scale, yaw, choice)


def nearest_heading(yaw: float, current: float) -> float:
    """Return `yaw` or its half turn, whichever is nearer to `current`: both fingers are alike."""
    turn = wrap_angle(yaw - current)
    if abs(turn) > 0.5 * np.pi:
        turn = wrap_angle(turn + np.pi)
    return current + turn
