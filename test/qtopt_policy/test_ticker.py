from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.ticker import Ticker


def calls(period: int, times: list[int]) -> list[int]:
    """Return the times at which a ticker calls."""
    made: list[int] = []
    now = 0
    ticker = Ticker(period, lambda: made.append(now))
    for time in times:
        now = time
        ticker.tick(time)
    return made


@given(start=st.integers(0, 1000), period=st.integers(1, 20))
def test_each_period_from_the_first_time_on(start: int, period: int) -> None:
    times = list(range(start, start + 10 * period + 1))
    assert calls(period, times) == times[period::period]


def test_a_call_between_two_ticks_is_late_and_the_grid_stays() -> None:
    assert calls(10, [0, 7, 14, 21, 28, 35]) == [14, 21, 35]


def test_missed_calls_are_left_out() -> None:
    assert calls(10, [0, 45, 46, 50, 60]) == [45, 50, 60]


@given(st.lists(st.integers(0, 7), max_size=60), st.integers(1, 20))
def test_no_two_calls_in_one_period_and_none_overlooked(steps: list[int], period: int) -> None:
    times, now = [100], 100
    for step in steps:
        now += step
        times.append(now)
    made = calls(period, times)
    slots = [(time - 100) // period for time in made]
    assert len(set(slots)) == len(slots)
    assert slots == sorted({(time - 100) // period for time in times} - {0})


def test_a_clock_that_repeats_itself_changes_nothing() -> None:
    assert calls(10, [0, 10, 10, 10, 20, 20]) == [10, 20]


def test_a_clock_that_was_set_back_starts_the_period_anew() -> None:
    assert calls(10, [1000, 1010, 0, 5, 10, 20]) == [1010, 10, 20]


def test_a_cancelled_ticker_calls_no_more() -> None:
    made: list[int] = []
    ticker = Ticker(10, lambda: made.append(1))
    ticker.tick(0)
    ticker.cancel()
    ticker.tick(10)
    assert made == []
