"""How long an executor takes from a cause to its effect on the trajectory that the controller holds."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from conformance.rig import Rig
from qtopt_policy.base_node import nanoseconds
from support.fake_driver import PERIOD

TRIES = 5  # a loaded machine may keep a process waiting; a promise that holds must show within so many moves
MOVED = 1e-6  # [rad] more is motion
RESTING = 1e-4  # [rad] from the last set point is rest

BEGIN, HELD, SILENT = "wish to motion", "hold to rest", "last wish to rest"


@dataclass
class Reactions:
    """What was measured [s], by executor and cause.

    Attributes:
        moves: how many moves to measure each on; 0: until one keeps the promise, at most TRIES.
    """

    moves: int = 0
    found: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def best(self, rig: Rig, cause: str, limit: float) -> float:
        """Measure, note all values, and return the smallest [s]."""
        values = self.found.setdefault(rig.executor.name, {}).setdefault(cause, [])
        while len(values) < (self.moves or TRIES):
            values.append(MEASURES[cause](rig))
            if not self.moves and values[-1] <= limit:
                break
        return min(values)

    def markdown(self) -> str:
        """Return the worst of each as the table of docs/moveit.md."""
        causes = (BEGIN, HELD, SILENT)
        lines = [f"| worst | {' | '.join(causes)} |", "| --- " * (len(causes) + 1) + "|"]
        for name, found in self.found.items():
            cells = [worst(found.get(cause, [])) for cause in causes]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        return "\n".join(lines)


def worst(values: list[float]) -> str:
    """Return the largest value and of how many moves it is."""
    return f"{max(values):.3f} s of {len(values)}" if values else "not measured"


def begin(rig: Rig) -> float:
    """Return the time from a wish, at rest, to the first trajectory that moves [s]; the arm rests again."""
    rested, first = rig.driver.q, len(rig.driver.trajectories)
    asked = rig.now()
    rig.wisher.target = rig.other_side()

    def moving() -> list[float]:
        return [
            nanoseconds(message.header.stamp) * 1e-9
            for message in rig.driver.trajectories[first:]
            if max(np.abs(rig.positions(message) - rested).max(axis=1)) > MOVED
        ]

    rig.graph.spin_until(lambda: bool(moving()), "a trajectory that moves")
    rig.wisher.target = None
    rig.hold()
    rig.wait_rest()
    return moving()[0] - asked


def held(rig: Rig) -> float:
    """Return the time from the guard's hold to the arm's rest [s]."""
    first = rig.move()
    at = rig.now()
    rig.hold()
    rig.wisher.target = None
    return rest(rig, first) - at


def silent(rig: Rig) -> float:
    """Return the time from the last wish to the arm's rest [s]."""
    first = rig.move()
    rig.wisher.target = None
    return rest(rig, first) - rig.wisher.wished * 1e-9


def rest(rig: Rig, first: int) -> float:
    """Wait for rest; return when it came on the trajectories from number `first` on [s]."""
    rig.wait_rest()
    times, path = rig.commanded(first)
    away = np.flatnonzero(np.abs(path - path[-1]).max(axis=1) > RESTING)
    return float(times[away[-1]]) + PERIOD if len(away) else float(times[0])


MEASURES: dict[str, Callable[[Rig], float]] = {BEGIN: begin, HELD: held, SILENT: silent}
