import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.grasp_action import (
    ACTION_NAMES,
    CHOICES,
    CLOSE,
    MOVE,
    TERMINATE,
    ActionFrame,
    GraspAction,
    from_search,
    grasp_action_spec,
    to_search,
)
from qtopt_policy.mdp import MdpConfig

FRAMES: tuple[ActionFrame, ...] = ("base", "tool")
actions = st.builds(
    GraspAction,
    st.tuples(*[st.floats(-0.04, 0.04)] * 3).map(np.array),
    st.floats(-0.5, 0.5),
    st.integers(0, 3),
)
tools = st.builds(
    pointing_down, st.tuples(*[st.floats(-0.8, 0.8)] * 3).map(np.array), st.floats(-np.pi, np.pi)
)


def assert_same(first: GraspAction, second: GraspAction, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(first.translation, second.translation, atol=atol)
    assert abs(first.yaw - second.yaw) <= atol
    assert first.choice == second.choice


@given(actions)
def test_recorded_form_round_trips(action: GraspAction) -> None:
    assert_same(GraspAction.from_array(action.as_array()), action)


@given(actions)
def test_search_form_round_trips(action: GraspAction) -> None:
    spec = grasp_action_spec()
    expected = GraspAction(np.zeros(3), 0.0, TERMINATE) if action.choice == TERMINATE else action
    assert_same(from_search(to_search(action, spec), spec), expected, atol=1e-6)


@pytest.mark.parametrize("frame", FRAMES)
@given(action=actions, tool=tools)
def test_between_inverts_target(frame: ActionFrame, action: GraspAction, tool: Pose) -> None:
    target = action.target(tool, frame)
    assert_same(GraspAction.between(tool, target, frame, action.choice), action)


@given(actions, tools)
def test_translation_in_the_tool_frame_turns_with_the_tool(action: GraspAction, tool: Pose) -> None:
    target = action.target(tool, "tool")
    np.testing.assert_allclose(target.position, tool.transform(action.translation), atol=1e-9)


@given(actions, tools)
def test_translation_in_the_base_frame_is_added(action: GraspAction, tool: Pose) -> None:
    target = action.target(tool, "base")
    np.testing.assert_allclose(target.position, tool.position + action.translation)


@given(actions, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_a_tilted_tool_is_levelled(action: GraspAction, roll: float, pitch: float) -> None:
    tilt = Pose(np.zeros(3), np.array([roll, pitch, 0.0, 1.0]))
    target = action.target(pointing_down([0.5, 0.0, 0.2], 0.7) @ tilt, "tool")
    np.testing.assert_allclose(target.rotation()[:, 2], [0.0, 0.0, -1.0], atol=1e-9)


def test_names_match_the_recorded_form() -> None:
    array = GraspAction(np.array([0.01, 0.02, 0.03]), 0.3, CLOSE).as_array()
    named = dict(zip(ACTION_NAMES, array, strict=True))
    assert named["dz"] == 0.03
    assert named["yaw_sin"] == np.sin(0.3)
    assert (named["close"], named["open"], named["terminate"]) == (1.0, 0.0, 0.0)


@given(st.floats(-3.0, 3.0), st.floats(0.1, 5.0))
def test_sine_and_cosine_are_normalised(yaw: float, length: float) -> None:
    array = [0.0, 0.0, 0.0, length * np.sin(yaw), length * np.cos(yaw), 0.0, 0.0, 0.0]
    assert abs(GraspAction.from_array(array).yaw - yaw) < 1e-9


def test_no_sine_and_cosine_mean_no_rotation() -> None:
    action = GraspAction.from_array(np.zeros(8))
    assert action.yaw == 0.0
    assert action.choice == MOVE


def test_two_flags_are_refused() -> None:
    with pytest.raises(ShapeError, match="exclude each other"):
        GraspAction.from_array([0, 0, 0, 0, 1, 1, 0, 1])


@pytest.mark.parametrize("values", [np.zeros(7), np.full(8, np.nan)])
def test_a_wrong_vector_is_refused(values: list[float]) -> None:
    with pytest.raises(ShapeError, match="action"):
        GraspAction.from_array(values)


@pytest.mark.parametrize(
    ("yaw", "choice", "message"), [(float("nan"), 0, "yaw"), (0.0, 4, "choice 4"), (0.0, -1, "choice -1")]
)
def test_an_impossible_action_is_refused(yaw: float, choice: int, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        GraspAction(np.zeros(3), yaw, choice)


def test_the_spec_follows_the_mdp() -> None:
    spec = MdpConfig(max_translation=0.03, max_yaw=0.4).action_spec()
    np.testing.assert_allclose(spec.high, [0.03, 0.03, 0.03, 0.4])
    assert spec.choices == CHOICES
    assert spec.choices[TERMINATE] == "terminate"
