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


class WatchTime:
    """The time that watchdogs count: the steady clock, but in a simulation only while its clock moves.

    A simulator that waits for a node (lockstep) or for the machine moves nothing meanwhile, so nobody's
    silence counts; a standing clock is told by `stalled`.

    Args:
        simulated: whether ROS time comes from a simulator.
        timeout: after which a clock counts as standing [s].
    """

    # One tick of simulated time counts for at most this much: the rest was waiting [s].
    LONGEST_TICK = 0.1

    def __init__(self, simulated: bool, timeout: float) -> None:
        self._simulated = simulated
        self._timeout = timeout
        self._shown: float | None = None
        self._moved = 0.0
        self._counted = 0.0

    def now(self, steady: float, shown: float) -> float:
        """Return the time that watchdogs count [s], at the steady time and the ROS time `shown` [s]."""
        if not self._simulated:
            return steady
        if shown != self._shown:
            if self._shown is not None:
                self._counted += min(steady - self._moved, self.LONGEST_TICK)
            self._shown, self._moved = shown, steady
        return self._counted

    def stalled(self, steady: float) -> bool:
        """Return whether a simulator's clock has stood still for too long."""
        return self._simulated and self._shown is not None and steady - self._moved > self._timeout
