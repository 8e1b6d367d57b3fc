"""Periodic calls in simulated time, made when the clock's message comes (no ROS)."""

from collections.abc import Callable


class Ticker:
    """Calls `callback` each `period` [ns] of a clock that is read tick by tick.

    As with a ROS timer, calls that fall between two ticks are made late, and those that were missed
    altogether are left out.
    """

    def __init__(self, period: int, callback: Callable[[], None]) -> None:
        self._period, self._callback = period, callback
        self._next: int | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Call no more."""
        self._cancelled = True

    def tick(self, now: int) -> None:
        """Take the time [ns]; the first one, and one that was set back, only starts the period."""
        if self._cancelled:
            return
        if self._next is None or now < self._next - self._period:
            self._next = now + self._period
        elif now >= self._next:
            self._next += self._period * (1 + (now - self._next) // self._period)
            self._callback()
