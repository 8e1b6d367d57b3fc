from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import pointing_down, wrap_angle
from qtopt_policy.limits import Limits, clip

LIMITS = Limits((0.3, -0.2, 0.0), (0.7, 0.2, 0.5), tip_offset=0.01)
coordinate = st.floats(-1.0, 1.0)
angle = st.floats(-3.0, 3.0)
inside = st.tuples(st.floats(0.3, 0.7), st.floats(-0.2, 0.2), st.floats(0.02, 0.5))


@given(inside, st.tuples(coordinate, coordinate, coordinate), angle, angle)
def test_a_clipped_target_obeys_every_limit(
    start: tuple[float, ...], goal: tuple[float, ...], start_yaw: float, goal_yaw: float
) -> None:
    measured = pointing_down(start, start_yaw)
    clipped = clip(measured, pointing_down(goal, goal_yaw), LIMITS).target
    assert (clipped.position >= np.array([0.3, -0.2, LIMITS.min_height]) - 1e-9).all()
    assert (clipped.position <= np.array(LIMITS.workspace_max) + 1e-9).all()
    assert measured.distance(clipped) <= LIMITS.max_step_length + 1e-9
    assert abs(wrap_angle(clipped.yaw() - measured.yaw())) <= LIMITS.max_step_yaw + 1e-6
    assert abs(clipped.yaw()) <= max(LIMITS.max_yaw, abs(start_yaw)) + 1e-6


@given(inside, angle)
def test_a_target_within_the_limits_is_untouched(start: tuple[float, ...], yaw: float) -> None:
    measured = pointing_down(start, yaw)
    clipped = clip(measured, measured, LIMITS)
    assert clipped.reasons == ()
    assert clipped.target.distance(measured) < 1e-12


@pytest.mark.parametrize(
    ("goal", "yaw", "reason"),
    [
        ((0.6, 0.0, 0.2), 0.0, "step_length"),
        ((0.5, 0.0, 0.2), 1.0, "step_yaw"),
    ],
)
def test_the_reason_is_named(goal: tuple[float, ...], yaw: float, reason: str) -> None:
    measured = pointing_down((0.5, 0.0, 0.2), 0.0)
    assert clip(measured, pointing_down(goal, yaw), LIMITS).reasons == (reason,)


@pytest.mark.parametrize(
    ("yaw", "turn", "expected", "reasons"),
    [
        (2.6, 0.5, 2.8, ("max_yaw",)),
        (-2.6, -0.5, -2.8, ("max_yaw",)),
        (2.6, -0.5, 2.1, ()),
        (2.9, 0.1, 2.9, ("max_yaw",)),  # already beyond: no farther, and free to turn back
        (2.9, -0.1, 2.8, ()),
        (-2.0, -2.0, -1.45, ("step_yaw",)),  # a far goal across the far side: the other way round
    ],
)
def test_the_wrist_is_not_wound_up(
    yaw: float, turn: float, expected: float, reasons: tuple[str, ...]
) -> None:
    measured = pointing_down((0.5, 0.0, 0.2), yaw)
    clipped = clip(measured, pointing_down((0.5, 0.0, 0.2), yaw + turn), LIMITS)
    assert clipped.target.yaw() == pytest.approx(expected)
    assert clipped.reasons == reasons


@given(angle, angle)
def test_every_goal_in_reach_is_turned_to_in_the_end(start: float, goal: float) -> None:
    yaw, goal = min(max(start, -2.8), 2.8), min(max(goal, -2.8), 2.8)
    for _ in range(12):
        measured = pointing_down((0.5, 0.0, 0.2), yaw)
        yaw = clip(measured, pointing_down((0.5, 0.0, 0.2), goal), LIMITS).target.yaw()
    assert yaw == pytest.approx(goal, abs=1e-6)


def test_the_box_is_named() -> None:
    measured = pointing_down((0.69, 0.0, 0.2), 0.0)
    assert clip(measured, pointing_down((0.72, 0.0, 0.2), 0.0), LIMITS).reasons == ("workspace",)


def test_the_table_is_named_and_kept_clear() -> None:
    measured = pointing_down((0.5, 0.0, 0.03), 0.0)
    clipped = clip(measured, pointing_down((0.5, 0.0, 0.0), 0.0), LIMITS)
    assert clipped.reasons == ("table_clearance",)
    assert clipped.target.position[2] == pytest.approx(0.015)  # surface 0 + clearance 5 mm + tip 10 mm


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ConfigError, match="workspace_min"):
        Limits((0.3, 0.0, 0.0), (0.2, 0.1, 0.1))


FLOATS = [entry.name for entry in fields(Limits) if entry.type is float]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", FLOATS)
def test_a_limit_that_is_not_finite_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} {value}: must be finite"):
        Limits((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), **{name: value})


def test_a_box_without_a_wall_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"workspace_max .*must be finite"):
        Limits((0.0, 0.0, 0.0), (1.0, 1.0, np.inf))


@pytest.mark.parametrize("name", ["table_clearance", "tip_offset"])
def test_a_distance_from_the_surface_below_zero_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} -0.05: must be 0 or above"):
        Limits((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), **{name: -0.05})


def test_a_surface_that_leaves_no_room_in_the_box_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"z must be above 0.615, the lowest height with surface_height 0.6, "
    ):
        replace(LIMITS, surface_height=0.6)
    with pytest.raises(ConfigError, match="z must be above"):
        replace(LIMITS, surface_height=0.485)  # the box would be a sheet at its top


@pytest.mark.parametrize("name", ["max_step_length", "max_tool_speed", "joint_speed_fraction"])
def test_a_limit_of_zero_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Limits((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), **{name: 0.0})
