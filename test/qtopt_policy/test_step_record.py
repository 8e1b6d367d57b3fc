import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.geometry import Pose, multiply, pointing_down
from qtopt_policy.grasp_action import TERMINATE, GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.step_record import StepRecord, encode_step, execution
from qtopt_policy.topics import STEP_KEYS

START = pointing_down([0.5, 0.1, 0.2], 0.7)
small = st.floats(-0.04, 0.04)


@given(small, small, small, st.floats(-0.5, 0.5), st.sampled_from(["base", "tool"]))
def test_what_was_asked_and_reached_is_not_altered(
    x: float, y: float, z: float, yaw: float, frame: str
) -> None:
    mdp = MdpConfig(action_frame="base" if frame == "base" else "tool")
    asked = GraspAction(np.array([x, y, z]), yaw, 0)
    done = execution(asked, START, asked.target(START, mdp.action_frame), mdp)
    np.testing.assert_allclose(done.action.as_array(), asked.as_array(), atol=1e-9)
    assert not done.altered


@pytest.mark.parametrize(("missing", "altered"), [(0.005, False), (0.007, True)])
def test_a_move_short_by_more_than_twice_the_tolerance_is_altered(missing: float, altered: bool) -> None:
    asked = GraspAction(np.array([0.0, 0.0, 0.03]), 0.0, 0)
    end = pointing_down(START.position - [0.0, 0.0, 0.03 - missing], 0.7)
    assert execution(asked, START, end, MdpConfig()).altered is altered


@pytest.mark.parametrize(("missing", "altered"), [(0.06, False), (0.08, True)])
def test_a_turn_short_by_more_than_twice_the_tolerance_is_altered(missing: float, altered: bool) -> None:
    asked = GraspAction(np.zeros(3), 0.4, 0)
    end = pointing_down(START.position, 0.7 + 0.4 - missing)
    assert execution(asked, START, end, MdpConfig()).altered is altered


def test_tilt_is_not_part_of_a_move() -> None:
    tilt = np.array([np.sin(0.05), 0.0, 0.0, np.cos(0.05)])
    end = Pose(START.position, multiply(START.quaternion, tilt))
    assert not execution(GraspAction(np.zeros(3), 0.0, 0), START, end, MdpConfig()).altered


def test_terminate_cannot_be_altered() -> None:
    asked = GraspAction(np.zeros(3), 0.0, TERMINATE)
    done = execution(asked, START, pointing_down([0.1, 0.1, 0.1], 0.0), MdpConfig())
    assert done.action is asked
    assert not done.altered


def test_a_record_is_text_under_the_published_keys() -> None:
    record = StepRecord(
        "e1", 3, 1.5, True, 0.1, 0.08, (0.0,) * 7, (0.1,) * 8, (0.2,) * 8, False, True, 0.25, "arrived",
        float("nan"), False, "cem",
    )  # fmt: skip
    values = encode_step(record)
    assert tuple(values) == STEP_KEYS
    assert (values["gripper_closed"], values["altered"], values["contact"]) == ("1", "0", "1")
    assert json.loads(values["asked"]) == [0.1] * 8
    assert (values["index"], values["q"], values["image_stamp"]) == ("3", "nan", "1.5")
