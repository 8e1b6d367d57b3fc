import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtopt_policy.debug_image import SIZE, candidate_points, draw_decision, q_colours
from qtopt_policy.grasp_action import ActionFrame, GraspAction, from_search
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.base import Candidates, Decision
from support.policy_samples import make_observation, random_actions

MDP = MdpConfig()
STILL = GraspAction(np.zeros(3), 0.0, 1)


def candidates(count: int, seed: int = 0) -> Candidates:
    rng = np.random.default_rng(seed)
    q = rng.uniform(0, 1, count).astype(np.float32)
    return Candidates(random_actions(MDP, (count,), seed), q, q >= np.sort(q)[-3])


@given(seed=st.integers(0, 1000), base=st.booleans())
@settings(deadline=None, max_examples=20)
def test_dots_lie_where_the_actions_lead(seed: int, base: bool) -> None:
    action_frame: ActionFrame = "base" if base else "tool"
    observation = make_observation(seed, tilt=0.05)
    found = candidate_points(candidates(8, seed), observation.tool_pose, action_frame)
    for point, vector in zip(found, candidates(8, seed).actions, strict=True):
        target = from_search(vector, MDP.action_spec()).target(observation.tool_pose, action_frame)
        np.testing.assert_allclose(point, target.position, atol=1e-7)


def test_the_best_is_yellow_and_the_worst_dark() -> None:
    colours = q_colours(np.array([0.2, 0.9, 0.5], dtype=np.float32)).astype(int)
    assert colours[0].tolist() == [68, 1, 84]  # the ends of viridis
    assert colours[1].tolist() == [253, 231, 37]


@pytest.mark.parametrize("q", [[0.5, 0.5], [float("nan"), 0.3], [float("nan")] * 2])
def test_colours_of_equal_or_missing_values_are_drawn_all_the_same(q: list[float]) -> None:
    assert q_colours(np.array(q, dtype=np.float32)).shape == (2, 3)


def test_a_candidate_is_painted_at_its_projection() -> None:
    observation = make_observation(1)
    only = candidates(40, 3)
    plain = draw_decision(observation, Decision(STILL, 0.5), STILL, "tool")
    drawn = draw_decision(observation, Decision(STILL, 0.5, only), STILL, "tool")
    changed = np.argwhere((plain != drawn).any(axis=-1))[:, ::-1]
    camera = observation.camera.resized(SIZE, SIZE)
    points = candidate_points(only, observation.tool_pose, "tool")
    pixels, depth = camera.project(points, observation.tool_pose)
    inside = (depth > 0) & (pixels > 0).all(axis=-1) & (pixels < SIZE).all(axis=-1)
    assert inside.any()
    distance = np.linalg.norm(changed[:, None] - pixels[inside][None], axis=-1).min(axis=1)
    assert distance.max() < 8.0
    for pixel in pixels[inside]:
        assert np.linalg.norm(changed - pixel, axis=-1).min() < 4.0


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (472, 472)])
def test_the_picture_has_its_size_and_leaves_the_image_alone(size: tuple[int, int]) -> None:
    observation = make_observation(2, size)
    before = observation.image.copy()
    picture = draw_decision(observation, Decision(STILL, float("nan"), candidates(16)), STILL, "base")
    assert max(picture.shape[:2]) == SIZE
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(observation.image, before)
