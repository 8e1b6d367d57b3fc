"""What moveit_node knows while it moves: target, joints, holds; shared by its two threads (no ROS)."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.watchdog import Watchdog
from grasp_bringup.wish import NANOSECOND
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose

Array = NDArray[np.float64]

PLANNERS = ("lin", "ik")


@dataclass(frozen=True)
class MoveConfig:
    """Thresholds of moveit_node; times in [s].

    Attributes:
        planner: `lin` (Pilz LIN) or `ik` (inverse kinematics along the line, then TOTG).
        wish_timeout: without a target for this long the arm stops.
        joint_timeout: without a joint state for this long the arm stops and takes no targets.
        max_wish_age, max_wish_lead: how far a target's stamp may lie in the past and in the future.
        state_timeout: longest wait for a robot state newer than the move's begin.
        planning_time: for one plan; planning keeps Python's lock, so nothing else runs meanwhile.
        retry_time: pause before a target that could not be reached is tried again.
        execution_margin: a move may take so much longer than half again its planned time.
        max_joint_step: largest step of a joint between neighbours of the `ik` path, 5 mm apart [rad].
    """

    planner: str = "lin"
    wish_timeout: float = 0.25
    joint_timeout: float = 0.2
    max_wish_age: float = 0.25
    max_wish_lead: float = 0.1
    state_timeout: float = 0.2
    planning_time: float = 0.2
    retry_time: float = 0.5
    execution_margin: float = 1.0
    max_joint_step: float = 0.2

    def __post_init__(self) -> None:
        if self.planner not in PLANNERS:
            raise ConfigError(f"planner '{self.planner}': valid are {', '.join(PLANNERS)}")
        for name, value in vars(self).items():
            if name != "planner" and not value > 0.0:
                raise ConfigError(f"{name} {value}: must be above 0")
        if self.planning_time > 0.2:
            raise ConfigError(f"planning_time {self.planning_time}: at most 0.2, nothing can stop a plan")


class MoveInputs:
    """The latest target and joint state, and why the arm must stand still. Every method takes a lock.

    Args:
        config: thresholds.
        steady: the time that watchdogs count [s].

    Attributes:
        fired: how often each limit, refusal, watchdog and failed move has fired, by name.
        details: the values of the latest firing, by name.
    """

    def __init__(self, config: MoveConfig, steady: Callable[[], float]) -> None:
        self._config = config
        self._steady = steady
        self._lock = RLock()
        self._targets = Watchdog(config.wish_timeout)
        self._joints = Watchdog(config.joint_timeout)
        self._target: Pose | None = None
        self._q: Array | None = None
        self._speed = 0.0
        self._heard = 0
        self._deaf = False
        self._holds = 0
        self._why = "no target yet"
        self.fired: Counter[str] = Counter()
        self.details: dict[str, str] = {}

    def steady(self) -> float:
        """Return the time that watchdogs count [s]."""
        with self._lock:
            return self._steady()

    def joint_state(self, q: Array, dq: Array) -> None:
        """Take the measured joint positions and velocities, shape (n,); a driver without them sends NaN."""
        with self._lock:
            self._q = q
            self._speed = float(np.abs(dq).max()) if np.isfinite(dq).all() else 0.0
            self._joints.feed(self._steady())
            self._heard += 1

    def heard(self) -> int:
        """Return how many joint states have come in."""
        with self._lock:
            return self._heard

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Within it nothing can come in, so targets are taken though the last joint state is old.

        While MoveIt plans it keeps Python's lock. Afterwards targets and joint states that have waited come
        in in any order. Whoever leaves this must have let them in, then ask `stop_reason`.
        """
        with self._lock:
            self._deaf = True
        try:
            yield
        finally:
            with self._lock:
                self._deaf = False

    def target(self, pose: Pose, stamp: int, now: int) -> None:
        """Take a target (base frame) stamped `stamp` [ns]; one out of its time is noted and dropped."""
        with self._lock:
            age, steady = (now - stamp) * NANOSECOND, self._steady()
            if age > self._config.max_wish_age:
                self.note("stale", f"target {age:.3f} s old")
            elif -age > self._config.max_wish_lead:
                self.note("future", f"target {-age:.3f} s ahead")
            elif not (self._deaf or self._joints.alive(steady)):
                self.note("no_joint_state", f"last joint state {self._joints.age(steady):.3f} s ago")
            else:
                self._target = pose
                self._targets.feed(steady)

    def hold(self, why: str) -> None:
        """Stop now, and stand until the next target."""
        with self._lock:
            self._holds += 1
            self._target = None
            self._why = why
            self._targets.rest()

    def holds(self) -> int:
        """Return how many holds there have been: a move begun before the latest one must not go on."""
        with self._lock:
            return self._holds

    def joint_speed(self) -> float:
        """Return the largest measured joint speed [rad/s]; 0 where the driver sends none."""
        with self._lock:
            return self._speed

    def stop_reason(self, holds: int | None = None) -> str:
        """Return why the arm must stand still now; empty: it may move.

        Args:
            holds: what `holds` returned when the move began.
        """
        with self._lock:
            self._watch()
            if self._target is None or (holds is not None and holds != self._holds):
                return self._why
            return ""

    def wanted(self) -> tuple[Pose, Array] | None:
        """Return the latest target and the measured joint positions, or None while the arm must stand."""
        with self._lock:
            self._watch()
            if self._target is None or self._q is None:
                return None
            return self._target, self._q

    def _watch(self) -> None:
        steady = self._steady()
        if self._target is None:
            return
        if self._targets.expired(steady):
            self.note("wish_timeout", f"no target for {self._targets.age(steady):.3f} s")
            self.hold("no target for too long")
        elif self._joints.expired(steady):
            self.note("joint_timeout", f"no joint state for {self._joints.age(steady):.3f} s")
            self.hold("no joint state for too long")

    def note(self, name: str, detail: str) -> None:
        """Count a finding by its name and keep its values."""
        with self._lock:
            self.fired[name] += 1
            self.details[name] = detail

    def findings(self) -> tuple[Counter[str], dict[str, str]]:
        """Return copies of `fired` and `details`."""
        with self._lock:
            return Counter(self.fired), dict(self.details)
