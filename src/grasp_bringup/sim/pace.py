"""Simulated time against wall time (no ROS)."""

MAX_DEBT = 0.1  # [s] of wall time that a simulation that fell behind may make up; the rest is forgotten


class Pace:
    """Spreads ticks so that simulated time runs at most `factor` times as fast as the wall clock.

    Args:
        factor: real-time factor; 0 means as fast as possible.
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self._due: float | None = None

    def wait(self, wall: float) -> float:
        """Return how long to wait from `wall` until the next tick [s]; 0 when it is due."""
        return max(0.0, self._due - wall) if self._due is not None and self.factor > 0.0 else 0.0

    def ticked(self, duration: float, wall: float) -> None:
        """Note that `duration` [s] was simulated at `wall` [s]."""
        if self.factor > 0.0:
            due = wall if self._due is None else max(self._due, wall - MAX_DEBT)
            self._due = due + duration / self.factor


class SpeedMeter:
    """Measures the real-time factor that is reached."""

    def __init__(self) -> None:
        self._wall: float | None = None
        self._simulated = 0.0

    def measure(self, simulated: float, wall: float) -> float:
        """Return simulated time per wall time since the last call; NaN at the first."""
        before, self._wall = self._wall, wall
        gone, self._simulated = simulated - self._simulated, simulated
        return gone / (wall - before) if before is not None and wall > before else float("nan")
