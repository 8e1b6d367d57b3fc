import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grasp_bringup.smoothing import MovingAverages
from qtopt_policy.geometry import Array

PERIOD = 0.01

inputs = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-2.0, 2.0))


def started(first: int = 8, second: int = 2, dq: float = 0.0) -> MovingAverages:
    averages = MovingAverages(first, second, PERIOD)
    averages.reset(np.zeros(3), np.full(3, dq))
    return averages


@given(inputs, st.integers(1, 10), st.integers(1, 4))
def test_output_stays_within_the_range_of_the_input(values: Array, first: int, second: int) -> None:
    averages = started(first, second)
    outputs = np.array([averages.push(value).q for value in values])
    seen = np.vstack([np.zeros((1, 3)), values])
    assert (outputs >= seen.min(axis=0) - 1e-12).all()
    assert (outputs <= seen.max(axis=0) + 1e-12).all()


@given(inputs, st.integers(1, 10), st.integers(1, 4))
def test_output_rests_at_the_newest_input_after_the_settling_samples(
    values: Array, first: int, second: int
) -> None:
    averages = started(first, second)
    for value in values:
        averages.push(value)
    for _ in range(averages.settling_samples + 1):
        motion = averages.push(averages.newest)
    np.testing.assert_allclose(motion.q, values[-1], atol=1e-12)
    np.testing.assert_allclose(motion.dq, 0.0, atol=1e-9)


@given(inputs, st.integers(2, 10), st.integers(1, 4))
def test_way_to_rest_is_what_pushing_the_newest_input_yields(values: Array, first: int, second: int) -> None:
    averages = started(first, second)
    for value in values:
        averages.push(value)
    foreseen = averages.to_rest()
    pushed = [averages.push(averages.newest).q for _ in range(averages.settling_samples)]
    np.testing.assert_allclose(foreseen, pushed, atol=1e-12)


@given(inputs)
def test_derivatives_are_differences_of_the_output(values: Array) -> None:
    averages = started()
    before: Array = np.zeros(3)
    speed: Array = np.zeros(3)
    for value in values:
        motion = averages.push(value)
        np.testing.assert_allclose(motion.dq, (motion.q - before) / PERIOD, atol=1e-9)
        np.testing.assert_allclose(motion.ddq, (motion.dq - speed) / PERIOD, atol=1e-6)
        before, speed = motion.q, motion.dq


def test_outgoing_step_is_what_the_next_push_drops() -> None:
    averages = started(first=4, second=1)
    steps = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    for position in np.cumsum(steps):
        averages.push(np.full(3, position))
    np.testing.assert_allclose(averages.outgoing_step, 0.2)


def test_reset_continues_at_the_given_position_and_velocity() -> None:
    averages = started(dq=0.5)
    np.testing.assert_allclose(averages.motion.q, 0.0, atol=1e-12)
    np.testing.assert_allclose(averages.motion.dq, 0.5, atol=1e-9)
    np.testing.assert_allclose(averages.motion.ddq, 0.0, atol=1e-6)
