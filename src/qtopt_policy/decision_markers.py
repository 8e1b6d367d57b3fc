"""A decision as markers, as the debug image has it: candidates by Q, elites, the move, the opened fingers."""

import numpy as np

from qtopt_policy.debug_image import ORANGE, WHITE, candidate_points, q_colours
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import CHOICES, ActionFrame, GraspAction
from qtopt_policy.markers import LINE, Drawing, nothing, rgba
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision

# Diameters of candidates, of the rims of elites and of the arrow's shaft, height of letters [m].
DOT, RIM, SHAFT, LETTER = 0.005, 0.008, 0.004, 0.02
LABEL_HEIGHT = 0.06  # of the text above the target [m]
SHORTEST_ARROW = 1e-3  # [m]; a shorter one has no direction


def decision_markers(
    observation: Observation, decision: Decision, asked: GraspAction, frame: ActionFrame
) -> tuple[Drawing, ...]:
    """Return the drawings of one decision; what it has not is taken away.

    Args:
        observation: that was decided on.
        decision: the policy's answer.
        asked: its action after clipping.
        frame: of actions.
    """
    target = asked.target(observation.tool_pose, frame)
    across = target.rotation()[:, 1] * observation.aperture / 2.0  # fingers open along the tool's y
    ends = np.stack([target.position - across, target.position + across])
    place = target.position + np.array([0.0, 0.0, LABEL_HEIGHT])
    words = f"{CHOICES[asked.choice]}  Q {decision.q:.3f}"
    return (
        *_candidates(observation, decision, frame),
        _arrow("move", observation.tool_pose, target),
        Drawing("fingers", "lines", ends, rgba([ORANGE]), LINE),
        Drawing("choice", "text", place[None], rgba([WHITE]), LETTER, words),
    )


def _candidates(observation: Observation, decision: Decision, frame: ActionFrame) -> tuple[Drawing, ...]:
    found = decision.candidates
    if found is None or len(found.q) == 0:
        return nothing("candidates", "dots"), nothing("elites", "dots")
    points = candidate_points(found, observation.tool_pose, frame)
    return (
        Drawing("candidates", "dots", points, rgba(q_colours(found.q)), DOT),
        Drawing("elites", "dots", points[found.elite], rgba([WHITE], 0.5), RIM),
    )


def _arrow(name: str, start: Pose, end: Pose) -> Drawing:
    if start.distance(end) < SHORTEST_ARROW:
        return nothing(name, "arrow")
    return Drawing(name, "arrow", np.stack([start.position, end.position]), rgba([ORANGE]), SHAFT)
