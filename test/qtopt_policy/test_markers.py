from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from qtopt_policy.debug_image import candidate_points, q_colours
from qtopt_policy.decision_markers import SHORTEST_ARROW, decision_markers
from qtopt_policy.geometry import pointing_down
from qtopt_policy.grasp_action import CLOSE, TERMINATE, GraspAction
from qtopt_policy.markers import AXIS, Drawing, draw_axes, draw_box
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.base import Candidates, Decision
from support.policy_samples import make_observation, random_actions

MDP = MdpConfig()
FORWARD = GraspAction(np.array([0.03, 0.0, 0.0]), 0.2, CLOSE)


def candidates(count: int = 20) -> Candidates:
    q = np.linspace(0.1, 0.9, count).astype(np.float32)
    return Candidates(random_actions(MDP, (count,), 3), q, q > 0.7)


def drawn(decision: Decision, asked: GraspAction = FORWARD) -> dict[str, Drawing]:
    found = decision_markers(make_observation(1), decision, asked, "base")
    assert len({drawing.name for drawing in found}) == len(found)
    return {drawing.name: drawing for drawing in found}


def test_candidates_lie_where_they_lead_in_the_colours_of_the_debug_image() -> None:
    found = candidates()
    seen = drawn(Decision(FORWARD, 0.9, found))
    points = candidate_points(found, make_observation(1).tool_pose, "base")
    np.testing.assert_array_equal(seen["candidates"].points, points)
    np.testing.assert_allclose(seen["candidates"].colours[:, :3] * 255, q_colours(found.q))
    np.testing.assert_array_equal(seen["elites"].points, points[found.elite])
    assert seen["elites"].size > seen["candidates"].size


def test_the_arrow_leads_from_the_tool_to_the_target_between_the_fingers() -> None:
    seen = drawn(Decision(FORWARD, 0.9))
    observation = make_observation(1)
    target = FORWARD.target(observation.tool_pose, "base")
    np.testing.assert_allclose(seen["move"].points, [observation.tool_pose.position, target.position])
    left, right = seen["fingers"].points
    np.testing.assert_allclose((left + right) / 2, target.position)
    assert np.linalg.norm(left - right) == pytest.approx(observation.aperture)
    assert seen["choice"].text == "close  Q 0.900"
    assert seen["choice"].points[0, 2] > target.position[2]


def test_what_a_decision_has_not_is_taken_away() -> None:
    still = GraspAction(np.array([SHORTEST_ARROW / 2, 0.0, 0.0]), 0.0, TERMINATE)
    level = replace(make_observation(1), tool_pose=pointing_down([0.5, 0.0, 0.2], 0.0))
    found = {d.name: d for d in decision_markers(level, Decision(still), still, "base")}
    empty = {name for name, drawing in found.items() if len(drawing.points) == 0}
    assert empty == {"candidates", "elites", "move"}


def test_a_box_has_twelve_edges_along_the_axes() -> None:
    low, high = np.array([0.1, -0.2, 0.0]), np.array([0.4, 0.3, 0.5])
    edges = draw_box("workspace", low.tolist(), high.tolist()).points.reshape(12, 2, 3)
    lengths = Counter(tuple(np.round(abs(end - start), 6)) for start, end in edges)
    assert lengths == {(0.3, 0.0, 0.0): 4, (0.0, 0.5, 0.0): 4, (0.0, 0.0, 0.5): 4}
    corners = np.unique(edges.reshape(-1, 3), axis=0)
    assert len(corners) == 8
    assert ((corners == low) | (corners == high)).all()


def test_axes_are_those_of_the_pose() -> None:
    pose = pointing_down([0.5, 0.1, 0.2], 0.3)
    found = draw_axes("target", pose)
    starts, tips = found.points[::2], found.points[1::2]
    np.testing.assert_allclose(starts, np.broadcast_to(pose.position, (3, 3)))
    np.testing.assert_allclose((tips - starts) / AXIS, pose.rotation().T)
    np.testing.assert_array_equal(found.colours[4], [0.0, 0.0, 1.0, 1.0])  # z is blue
