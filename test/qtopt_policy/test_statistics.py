import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtopt_policy.errors import ConfigError
from qtopt_policy.statistics import mcnemar, paired_interval, wilson_interval


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


def test_paired_interval_is_that_of_the_formula() -> None:
    # b = 20, c = 6, n = 100: (20.5 - 6.5) / 102 +- 1.96 sqrt(27 - 14^2 / 102) / 102
    low, high = paired_interval(20, 6, 100)
    assert (low, high) == pytest.approx((0.13725 - 0.09623, 0.13725 + 0.09623), abs=2e-4)


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_paired_interval_mirrors_and_stays_in_bounds(b: int, c: int, rest: int) -> None:
    low, high = paired_interval(b, c, b + c + rest)
    assert -1.0 <= low < high <= 1.0
    assert paired_interval(c, b, b + c + rest) == pytest.approx((-high, -low))


def test_paired_interval_covers_the_difference_about_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(0), 0
    for b, c, _, _ in rng.multinomial(200, (0.1, 0.05, 0.6, 0.25), size=2000):
        low, high = paired_interval(int(b), int(c), 200)
        covered += low <= 0.05 <= high
    assert 0.93 < covered / 2000 < 0.97


def test_mcnemar_is_a_fair_coin() -> None:
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == mcnemar(6, 0) == pytest.approx(2 / 64)
    assert mcnemar(2, 8) == pytest.approx(2 * (1 + 10 + 45) / 1024)


@pytest.mark.parametrize(("b", "c", "n"), [(-1, 0, 5), (3, 3, 5)])
def test_refuses_impossible_pairs(b: int, c: int, n: int) -> None:
    with pytest.raises(ConfigError):
        paired_interval(b, c, n)
