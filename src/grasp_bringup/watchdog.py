"""Watchdogs: what must go on happening, and how long its silence is borne. Times come from the caller."""


class Watchdog:
    """Expires when it has not been fed for `timeout` [s]; sleeps until it is fed for the first time."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._fed: float | None = None

    def feed(self, now: float) -> None:
        """Note a sign of life at `now` [s]."""
        self._fed = now

    def rest(self) -> None:
        """Sleep until the next sign of life."""
        self._fed = None

    @property
    def awake(self) -> bool:
        """Whether it has been fed since it last slept."""
        return self._fed is not None

    def age(self, now: float) -> float:
        """Return the time since the last sign of life [s]; infinite while asleep."""
        return float("inf") if self._fed is None else now - self._fed

    def alive(self, now: float) -> bool:
        """Return whether the last sign of life is recent; False while asleep."""
        return self.age(now) <= self.timeout

    def expired(self, now: float) -> bool:
        """Return whether a life that was there has ended."""
        return self.awake and not self.alive(now)


class ClockWatch:
    """Expires when a clock shows the same time for `timeout` [s] of another one."""

    def __init__(self, timeout: float) -> None:
        self._watchdog = Watchdog(timeout)
        self._shown: float | None = None

    def observe(self, shown: float, now: float) -> bool:
        """Compare the watched clock's time `shown` with before; return whether it has stalled at `now`."""
        if shown != self._shown:
            self._shown = shown
            self._watchdog.feed(now)
        return self._watchdog.expired(now)
