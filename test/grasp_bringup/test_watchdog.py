from grasp_bringup.watchdog import ClockWatch, Watchdog


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


def test_clock_that_moves_never_expires() -> None:
    watch = ClockWatch(1.0)
    assert not any(watch.observe(0.01 * i, float(i)) for i in range(20))


def test_clock_that_stands_still_expires_and_recovers() -> None:
    watch = ClockWatch(1.0)
    assert not watch.observe(5.0, 0.0)
    assert not watch.observe(5.0, 1.0)
    assert watch.observe(5.0, 1.1)
    assert not watch.observe(5.1, 1.2)
