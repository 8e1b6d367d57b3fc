from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.robot import GripperConfig
from qtopt_policy.state_buffer import HISTORY, SPEED_WINDOW, StateBuffer, Timeline

GRIPPER = GripperConfig(joints=("finger_joint1", "finger_joint2"))


def line() -> Timeline[float]:
    return Timeline(lambda a, b, fraction: (1 - fraction) * a + fraction * b)


@given(
    stamps=st.lists(st.floats(0.0, HISTORY, allow_nan=False), min_size=2, max_size=20, unique=True),
    share=st.floats(0.0, 1.0),
)
def test_a_straight_line_is_read_exactly(stamps: list[float], share: float) -> None:
    timeline = line()
    for stamp in sorted(stamps):
        timeline.add(stamp, 3.0 * stamp - 1.0)
    asked = min(stamps) + share * (max(stamps) - min(stamps))
    read = timeline.at(min(asked, max(stamps)))
    assert read is not None
    assert read.value == pytest.approx(3.0 * min(asked, max(stamps)) - 1.0, abs=1e-9)


@given(stamps=st.lists(st.floats(0.0, HISTORY, allow_nan=False), min_size=2, max_size=20, unique=True))
def test_skew_is_the_distance_to_the_farther_neighbour(stamps: list[float]) -> None:
    timeline = line()
    ordered = sorted(stamps)
    for stamp in ordered:
        timeline.add(stamp, 0.0)
    for before, after in pairwise(ordered):
        middle = before + 0.25 * (after - before)
        read = timeline.at(middle)
        assert read is not None
        if before < middle < after:
            assert read.skew == after - middle


def test_nothing_is_read_before_a_sample_at_or_after_the_stamp_has_come() -> None:
    timeline = line()
    assert timeline.at(1.0) is None
    timeline.add(0.9, 1.0)
    assert timeline.at(1.0) is None
    timeline.add(1.0, 2.0)
    read = timeline.at(1.0)
    assert read is not None
    assert (read.value, read.skew) == (2.0, 0.0)


def test_before_the_first_sample_the_distance_to_it_is_the_skew() -> None:
    timeline = line()
    timeline.add(1.0, 7.0)
    read = timeline.at(0.75)
    assert read is not None
    assert (read.value, read.skew) == (7.0, 0.25)


def test_samples_that_are_not_newer_are_ignored() -> None:
    timeline = line()
    assert timeline.add(1.0, 1.0)
    assert not timeline.add(1.0, 2.0)
    assert not timeline.add(0.5, 2.0)
    assert timeline.latest == (1.0, 1.0)


def test_a_clock_that_was_set_back_starts_anew() -> None:
    timeline = line()
    timeline.add(100.0, 1.0)
    assert timeline.add(3.0, 2.0)
    assert (timeline.oldest, timeline.latest) == ((3.0, 2.0), (3.0, 2.0))


def test_history_is_bounded() -> None:
    timeline = line()
    for tick in range(1000):
        timeline.add(tick * 0.01, 0.0)
    assert len(timeline) <= HISTORY / 0.01 + 2


def test_orientation_is_interpolated_too() -> None:
    buffer = StateBuffer(GRIPPER)
    buffer.add_pose(1.0, pointing_down([0.4, 0.0, 0.2], 0.0))
    buffer.add_pose(1.1, pointing_down([0.5, 0.0, 0.2], 0.4))
    read = buffer.pose_at(1.025)
    assert read is not None
    assert read.value.yaw() == pytest.approx(0.1)
    assert read.value.position[0] == pytest.approx(0.425)


@pytest.mark.parametrize(
    ("names", "positions"),
    [
        (["finger_joint1", "joint1"], [0.02, 9.0]),
        (["joint1", "finger_joint2", "finger_joint1"], [9.0, 8.0, 0.02]),
        (["finger_joint1"], [0.02]),
    ],
)
def test_the_gripper_s_joint_is_picked_by_name(names: list[str], positions: list[float]) -> None:
    buffer = StateBuffer(GRIPPER)
    assert buffer.add_joints(1.0, names, positions)
    assert buffer.latest_aperture == (1.0, 0.04)


def test_a_message_of_other_joints_changes_nothing() -> None:
    buffer = StateBuffer(GRIPPER)
    buffer.add_joints(1.0, ["finger_joint1"], [0.02])
    assert not buffer.add_joints(2.0, ["joint1", "joint2"], [0.1, 0.2])
    assert buffer.latest_aperture == (1.0, 0.04)


def test_missing_positions_are_refused_with_their_numbers() -> None:
    with pytest.raises(ShapeError, match="2 names and 1 positions"):
        StateBuffer(GRIPPER).add_joints(1.0, ["joint1", "finger_joint1"], [0.1])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_position_that_is_not_finite_is_refused_by_name(value: float) -> None:
    with pytest.raises(ShapeError, match="finger_joint1"):
        StateBuffer(GRIPPER).add_joints(1.0, ["joint1", "finger_joint1"], [0.1, value])


@pytest.mark.parametrize("value", [1000.0, -0.2, 0.1])
def test_fingers_that_are_said_to_be_far_beyond_their_stroke_are_not_believed(value: float) -> None:
    buffer = StateBuffer(GRIPPER)
    assert buffer.add_joints(1.0, ["finger_joint1"], [0.041])  # as a driver that is not quite exact
    with pytest.raises(ShapeError, match=r"'finger_joint1' is .*: an aperture of"):
        buffer.add_joints(2.0, ["finger_joint1"], [value])
    assert buffer.latest_aperture == (1.0, 0.08)


@given(speed=st.floats(0.0, 0.5), period=st.sampled_from([0.002, 0.01, 0.02, 0.1]))
def test_a_steady_motion_has_its_speed(speed: float, period: float) -> None:
    buffer = StateBuffer(GRIPPER)
    for tick in range(60):
        moved = np.array([0.4 + speed * tick * period, 0.0, 0.2])
        buffer.add_pose(tick * period, Pose(moved, np.array([0.0, 0.0, 0.0, 1.0])))
    assert buffer.speed() == pytest.approx(speed, abs=1e-9)


def test_the_speed_is_zero_once_the_tool_has_rested_for_the_window() -> None:
    buffer = StateBuffer(GRIPPER)
    rest = round(SPEED_WINDOW / 0.01) + 1
    for tick in range(20):
        x = 0.4 + 0.002 * min(tick, 19 - rest)
        buffer.add_pose(tick * 0.01, pointing_down([x, 0.0, 0.2], 0.0))
    assert buffer.speed() == 0.0


def test_one_pose_has_no_speed() -> None:
    buffer = StateBuffer(GRIPPER)
    assert buffer.speed() is None
    buffer.add_pose(1.0, Pose.identity())
    assert buffer.speed() is None
