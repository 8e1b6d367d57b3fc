import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.errors import ConfigError
from qtopt_policy.statistics import wilson_interval


# Published values: Newcombe 1998, Statistics in Medicine 17:857, table I, method 3 (score).
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_equals_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_holds_the_observed_rate_and_stays_in_bounds(a: int, b: int, confidence: float) -> None:
    low, high = wilson_interval(a, a + b, confidence)
    assert 0.0 <= low <= high <= 1.0
    if a + b:
        assert low <= a / (a + b) <= high


@given(st.integers(1, 100), st.integers(0, 100))
def test_mirrors_when_successes_and_failures_swap(a: int, b: int) -> None:
    low, high = wilson_interval(a, a + b)
    other_low, other_high = wilson_interval(b, a + b)
    assert (low, high) == pytest.approx((1.0 - other_high, 1.0 - other_low))


def test_knows_nothing_without_trials() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "trials", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_refuses_impossible_numbers(successes: int, trials: int, confidence: float) -> None:
    with pytest.raises(ConfigError):
        wilson_interval(successes, trials, confidence)
