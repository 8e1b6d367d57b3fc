import pytest

from grasp_bringup.watchdog import Watchdog, WatchTime


def test_watchdog_sleeps_until_it_is_fed() -> None:
    watchdog = Watchdog(0.2)
    assert not watchdog.expired(1000.0)
    assert not watchdog.alive(1000.0)


def test_watchdog_expires_after_its_timeout() -> None:
    watchdog = Watchdog(0.25)
    watchdog.feed(1.0)
    assert watchdog.alive(1.25)
    assert not watchdog.expired(1.25)
    assert watchdog.expired(1.26)


def test_watchdog_rests_after_it_was_told_to() -> None:
    watchdog = Watchdog(0.25)
    watchdog.feed(1.0)
    watchdog.rest()
    assert not watchdog.expired(9.0)


def test_watch_time_of_a_robot_is_the_steady_clock() -> None:
    watch = WatchTime(simulated=False, timeout=1.0)
    assert watch.now(17.25, 3.0) == 17.25
    assert watch.now(18.25, 3.0) == 18.25
    assert not watch.stalled(99.0)


def test_watch_time_of_a_simulation_goes_on_with_its_clock() -> None:
    watch = WatchTime(simulated=True, timeout=1.0)
    start = watch.now(50.0, 0.0)
    for i in range(1, 11):
        now = watch.now(50.0 + 0.02 * i, 0.01 * i)
    assert now - start == pytest.approx(0.2)


def test_watch_time_rests_while_the_simulation_waits() -> None:
    watch = WatchTime(simulated=True, timeout=1.0)
    before = watch.now(50.0, 1.0)
    assert watch.now(53.0, 1.0) == before
    assert watch.now(53.0, 1.01) - before == pytest.approx(0.1)


def test_clock_that_stands_still_is_told_and_recovers() -> None:
    watch = WatchTime(simulated=True, timeout=1.0)
    watch.now(0.0, 5.0)
    assert not watch.stalled(1.0)
    assert watch.stalled(1.1)
    watch.now(1.2, 5.1)
    assert not watch.stalled(1.2)
