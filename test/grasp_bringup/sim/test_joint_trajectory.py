import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_bringup.sim.joint_trajectory import TrajectoryFollower, Waypoint
from qtopt_policy.errors import ShapeError

JOINTS = ("a", "b")
HOME = [0.5, -0.5]


def point(time: float, a: float, b: float, speed: tuple[float, float] | None = None) -> Waypoint:
    return Waypoint(time, np.array([a, b]), None if speed is None else np.array(speed))


def follower() -> TrajectoryFollower:
    return TrajectoryFollower(JOINTS, HOME)


def test_without_a_trajectory_the_arm_rests() -> None:
    np.testing.assert_array_equal(follower().sample(3.0), HOME)


def test_without_velocities_the_way_is_straight_and_its_end_is_held() -> None:
    arm = follower()
    arm.accept(JOINTS, [point(11.0, 1.5, 0.5)], now=10.0)
    np.testing.assert_allclose(arm.sample(10.25), [0.75, -0.25])
    np.testing.assert_allclose(arm.sample(11.0), [1.5, 0.5])
    np.testing.assert_allclose(arm.sample(99.0), [1.5, 0.5])


@given(c=st.lists(st.floats(-1, 1), min_size=4, max_size=4), share=st.floats(0.0, 1.0))
def test_a_cubic_motion_is_followed_exactly(c: list[float], share: float) -> None:
    def motion(t: float) -> tuple[float, float]:
        return c[0] + c[1] * t + c[2] * t**2 + c[3] * t**3, c[1] + 2 * c[2] * t + 3 * c[3] * t**2

    arm = follower()
    points = []
    for t in (0.5, 0.75, 1.0):
        x, v = motion(t)
        points.append(point(t, x, -x, (v, -v)))
    arm.accept(JOINTS, points, now=0.0)
    t = 0.5 + 0.5 * share
    np.testing.assert_allclose(arm.sample(t), [motion(t)[0], -motion(t)[0]], atol=1e-9)


@given(st.floats(0.0, 1.0), st.floats(-1, 1), st.floats(-1, 1))
def test_a_new_trajectory_begins_where_the_old_one_is(share: float, speed: float, end: float) -> None:
    arm = follower()
    arm.accept(JOINTS, [point(1.0, 1.0, 0.0, (speed, 0.0)), point(2.0, 0.0, 1.0, (0.0, 0.0))], now=0.0)
    now = 2.0 * share
    before = arm.sample(now)
    arm.accept(JOINTS, [point(now + 0.5, end, end, (0.0, 0.0))], now=now)
    np.testing.assert_allclose(arm.sample(now), before, atol=1e-12)
    np.testing.assert_allclose(arm.sample(now + 1e-6), before, atol=1e-5)


def test_points_in_the_past_are_skipped() -> None:
    arm = follower()
    arm.accept(JOINTS, [point(0.5, 9.0, 9.0), point(1.5, 1.0, 1.0)], now=1.0)
    np.testing.assert_allclose(arm.sample(1.25), [0.75, 0.25])


def test_names_may_come_in_another_order() -> None:
    arm = follower()
    arm.accept(("b", "a"), [point(1.0, -7.0, 7.0, (0.0, 0.0))], now=0.0)
    np.testing.assert_allclose(arm.sample(1.0), [7.0, -7.0])


@pytest.mark.parametrize(
    ("names", "points", "message"),
    [
        (("a",), [point(1.0, 0.0, 0.0)], r"expected \['a', 'b'\]"),
        (("a", "c"), [point(1.0, 0.0, 0.0)], r"joints \['a', 'c'\]"),
        (JOINTS, [Waypoint(1.0, np.array([1.0]), None)], "positions of point 0"),
        (JOINTS, [point(1.0, 0.0, float("nan"))], "positions of point 0.*nan"),
        (JOINTS, [point(1.0, 0, 0), point(2.0, 0, 0, (float("inf"), 0))], "velocities of point 1"),
        (JOINTS, [point(1.0, 0.0, 0.0), point(1.0, 0.0, 0.0)], "do not rise"),
        (JOINTS, [], "do not rise"),
        (JOINTS, [point(-1.0, 0.0, 0.0)], "not after now"),
    ],
)
def test_a_wrong_trajectory_is_named_and_changes_nothing(
    names: tuple[str, ...], points: list[Waypoint], message: str
) -> None:
    arm = follower()
    arm.accept(JOINTS, [point(1.0, 2.0, 2.0)], now=-0.5)
    with pytest.raises(ShapeError, match=message):
        arm.accept(names, points, now=0.0)
    np.testing.assert_allclose(arm.sample(1.0), [2.0, 2.0])
