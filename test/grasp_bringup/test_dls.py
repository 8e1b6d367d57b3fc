import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grasp_bringup.dls import bounded_step
from qtopt_policy.geometry import Array

FREE = (np.full(7, -np.inf), np.full(7, np.inf))


def numbers(shape: tuple[int, ...], bound: float = 1.0) -> st.SearchStrategy[Array]:
    return arrays(np.float64, shape, elements=st.floats(-bound, bound))


def jacobian(seed: int) -> Array:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (6, 7))


@settings(deadline=None)
@given(st.integers(0, 10_000), numbers((6,)))
def test_free_step_solves_the_linear_problem(seed: int, error: Array) -> None:
    rows = jacobian(seed)
    step = bounded_step(rows, error, np.zeros(7), FREE, damping=1e-6)
    np.testing.assert_allclose(rows @ step, error, atol=1e-3)


@settings(deadline=None)
@given(st.integers(0, 10_000), numbers((7,)))
def test_posture_moves_the_joints_but_not_the_tool(seed: int, posture: Array) -> None:
    rows = jacobian(seed)
    step = bounded_step(rows, np.zeros(6), posture, FREE, damping=1e-6)
    np.testing.assert_allclose(rows @ step, 0.0, atol=1e-3)
    assert step @ posture >= -1e-9


@settings(deadline=None)
@given(st.integers(0, 10_000), numbers((6,), 5.0), numbers((7,), 5.0), numbers((7,)), numbers((7,)))
def test_step_always_stays_in_its_room(
    seed: int, error: Array, posture: Array, low: Array, high: Array
) -> None:
    room = (-np.abs(low), np.abs(high))
    step = bounded_step(jacobian(seed), error, posture, room, damping=0.01)
    assert (step >= room[0] - 1e-12).all()
    assert (step <= room[1] + 1e-12).all()


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 6), numbers((6,), 0.1))
def test_other_joints_take_over_for_one_that_is_blocked(seed: int, blocked: int, error: Array) -> None:
    rows = jacobian(seed)
    room = (np.where(np.arange(7) == blocked, 0.0, -np.inf), np.where(np.arange(7) == blocked, 0.0, np.inf))
    step = bounded_step(rows, error, np.zeros(7), room, damping=1e-9)
    assert step[blocked] == 0.0
    if np.linalg.cond(np.delete(rows, blocked, axis=1)) < 1e3:
        np.testing.assert_allclose(rows @ step, error, atol=1e-6)


def test_singular_arm_takes_a_finite_step() -> None:
    step = bounded_step(np.zeros((6, 7)), np.ones(6), np.zeros(7), FREE, damping=0.01)
    np.testing.assert_array_equal(step, 0.0)
