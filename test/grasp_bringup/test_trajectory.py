import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grasp_bringup.smoothing import JointMotion
from grasp_bringup.trajectory import stopping_points

speeds = st.floats(-1.3, 1.3)
accelerations = st.floats(-15.0, 15.0)


def motion(dq: float, ddq: float) -> JointMotion:
    return JointMotion(np.array([0.4]), np.array([dq]), np.array([ddq]))


@given(speeds, accelerations, st.integers(1, 6))
def test_last_point_is_at_rest_at_the_end(dq: float, ddq: float, count: int) -> None:
    points = stopping_points(motion(dq, ddq), 0.08, count)
    assert len(points) == count
    assert points[-1].time == 0.08
    assert points[-1].dq[0] == 0.0


@given(speeds, accelerations)
def test_positions_are_the_integral_of_the_velocities(dq: float, ddq: float) -> None:
    points = stopping_points(motion(dq, ddq), 0.08, 400)
    velocity = np.array([dq, *(point.dq[0] for point in points)])
    walked = np.cumsum((velocity[1:] + velocity[:-1]) / 2) * 0.08 / 400
    np.testing.assert_allclose([p.q[0] - 0.4 for p in points], walked, atol=1e-5)


@given(speeds, accelerations)
def test_stop_begins_with_the_velocity_and_acceleration_of_now(dq: float, ddq: float) -> None:
    first = stopping_points(motion(dq, ddq), 0.08, 10_000)[0]
    assert abs(first.dq[0] - dq - ddq * first.time) < 1e-4


def test_way_to_the_rest_is_half_of_what_full_speed_would_have_gone() -> None:
    np.testing.assert_allclose(stopping_points(motion(1.0, 0.0), 0.08, 4)[-1].q, 0.44)
