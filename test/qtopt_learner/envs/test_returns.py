import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_learner.envs.returns import ReturnRange
from qtopt_policy.errors import ConfigError

REWARDS = st.lists(st.floats(-20.0, 5.0), min_size=1, max_size=12)


def discounted(rewards: list[float], tail: float, discount: float) -> float:
    total = tail
    for reward in reversed(rewards):
        total = reward + discount * total
    return total


@given(REWARDS, st.floats(0.0, 0.99), st.floats(-300.0, 0.0))
def test_values_of_what_goes_on_are_mapped_exactly(
    rewards: list[float], discount: float, tail: float
) -> None:
    bounds = ReturnRange(-400.0, 100.0)
    mapped = bounds.rewards(np.array(rewards), terminated=False, discount=discount)
    q = discounted([float(r) for r in mapped], (tail + 400.0) / 500.0, discount)
    assert bounds.unmapped(q) == pytest.approx(discounted(rewards, tail, discount), abs=0.01)


@given(REWARDS, st.floats(0.0, 1.0))
def test_values_of_what_ends_are_mapped_exactly(rewards: list[float], discount: float) -> None:
    bounds = ReturnRange(-400.0, 100.0)
    mapped = bounds.rewards(np.array(rewards), terminated=True, discount=discount)
    q = discounted([float(r) for r in mapped], 0.0, discount)
    assert bounds.unmapped(q) == pytest.approx(discounted(rewards, 0.0, discount), abs=0.01)


def test_returns_in_the_unit_interval_are_left_alone() -> None:
    rewards = np.array([0.0, -0.05, 1.0])
    for terminated in (True, False):
        np.testing.assert_allclose(ReturnRange().rewards(rewards, terminated, 0.9), rewards, atol=1e-7)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (0.0, float("inf"))])
def test_what_is_no_interval_is_refused(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="not an interval"):
        ReturnRange(low, high)
