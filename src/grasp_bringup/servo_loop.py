"""When the servo moves: its timeline, the age of its inputs and where it starts (no ROS).

The core runs on a grid of ticks, `LEAD` ticks ahead of the clock. Each call yields a trajectory: the ticks
that lie ahead, then the way to rest that the core itself would take without a target. Where a late timer
missed ticks, the controller has gone that way to rest, so the core goes it too: what is sent always starts
where the controller is. After a silence longer than the horizon it stands, where the arm is measured.
"""

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.servo import ServoCore
from grasp_bringup.watchdog import Watchdog
from grasp_bringup.wish import NANOSECOND
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose

Array = NDArray[np.float64]

LEAD = 2  # ticks: how late a message may come before the controller begins to brake
HORIZON = 0.1  # [s]: no trajectory is longer
_TAIL_STRIDE = 2  # ticks between the points of the way to rest: the controller interpolates
_AT_REST = 1e-7  # [rad]


@dataclass(frozen=True)
class LoopConfig:
    """Thresholds of the servo's loop; times in [s].

    Attributes:
        wish_timeout: without a target for this long the arm holds.
        joint_timeout: without a joint state for this long the arm holds and takes no targets.
        max_wish_age, max_wish_lead: how far a target's stamp may lie in the past and in the future.
        seed_tolerance: a motion that begins farther than this from the measured joints starts there [rad].
        jump_tolerance: a moving arm farther than this from its command has jumped: it holds there [rad].
    """

    wish_timeout: float = 0.25
    joint_timeout: float = 0.2
    max_wish_age: float = 0.25
    max_wish_lead: float = 0.1
    seed_tolerance: float = 0.02
    jump_tolerance: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0.0:
                raise ConfigError(f"{name} {value}: must be above 0")


@dataclass(frozen=True, eq=False)
class TrajectoryPoint:
    """Joint positions and velocities, shape (n,) each, at `time` [s] after the trajectory's start."""

    time: float
    q: Array
    dq: Array


@dataclass(frozen=True, eq=False)
class Plan:
    """A trajectory that starts at `stamp` [ns]; its last point is at rest."""

    stamp: int
    points: list[TrajectoryPoint]


class ServoLoop:
    """Feeds a ServoCore with targets and joint states and turns its samples into trajectories.

    Attributes:
        fired: how often each limit, refusal and watchdog has fired, by name.
        details: the values of the latest firing, by name.

    Raises:
        ConfigError: the core takes so long to rest that its trajectories would be longer than HORIZON.
    """

    def __init__(self, core: ServoCore, config: LoopConfig | None = None) -> None:
        longest = core.settling_time + (LEAD + 1) * core.period
        if longest > HORIZON + 1e-9:
            raise ConfigError(
                f"acceleration_time and jerk_time make trajectories {longest:.3f} s long, at most {HORIZON} s"
            )
        self._core = core
        self._config = LoopConfig() if config is None else config
        self._period = round(core.period / NANOSECOND)
        self._targets = Watchdog(self._config.wish_timeout)
        self._joints = Watchdog(self._config.joint_timeout)
        self._measured: Array | None = None
        self._ahead: deque[tuple[int, Array]] = deque(maxlen=LEAD + 2)
        self._resting = True
        self._woken = 0
        self.fired: Counter[str] = Counter()
        self.details: dict[str, str] = {}

    @property
    def moving(self) -> bool:
        """Whether trajectories are being sent."""
        return not self._resting

    def joint_state(self, q: Array, steady: float) -> None:
        """Take the measured joint positions, shape (n,)."""
        self._measured = q
        self._joints.feed(steady)

    def target(self, pose: Pose, stamp: int, now: int, steady: float) -> None:
        """Take a target (base frame) stamped `stamp` [ns]; one out of its time is noted and dropped."""
        age = (now - stamp) * NANOSECOND
        if now < self._woken:  # a simulator started anew sets the clock back
            self._woken = 0
        if age > self._config.max_wish_age:
            self.note("stale", f"target {age:.3f} s old")
        elif -age > self._config.max_wish_lead:
            self.note("future", f"target {-age:.3f} s ahead")
        elif stamp <= self._woken:
            self.note("stale", "target wanted before the servo was late")
        elif not self._joints.alive(steady) or self._measured is None:
            self.note("no_joint_state", f"last joint state {self._joints.age(steady):.3f} s ago")
        else:
            if self._resting:
                self._begin(now)
            self._core.set_target(pose)
            self._targets.feed(steady)

    def hold(self) -> None:
        """Come to rest now."""
        self._core.set_target(None)
        self._targets.rest()

    def tick(self, now: int, steady: float) -> Plan | None:
        """Return the trajectory to send at ROS time `now` [ns], or None while the arm rests."""
        if self._resting:
            return None
        self._watch(now, steady)
        if self._resting:
            return None
        while (time := self._ahead[-1][0] + self._period) < now + (LEAD + 1) * self._period:
            sample = self._core.tick(hold=time <= now)
            self.fired.update(sample.reasons)
            self._ahead.append((time, sample.q))
        rest = self._core.to_rest()
        if self._core.target is None and np.abs(rest[-1] - self._ahead[-1][1]).max() < _AT_REST:
            self._resting = True
        return self._plan(now, rest)

    def _begin(self, now: int) -> None:
        """Leave the rest: from the measured joints, if the last command lies elsewhere."""
        assert self._measured is not None
        at = self._ahead[-1][1] if self._ahead else None
        if at is None or np.abs(at - self._measured).max() > self._config.seed_tolerance:
            self._core.reset(self._measured)
            at = self._measured
        self._ahead.clear()
        self._ahead.append((now, at))
        self._resting = False

    def _watch(self, now: int, steady: float) -> None:
        """Look at the ages of the inputs and at the distance between command and arm."""
        assert self._measured is not None
        if self._targets.expired(steady):
            self.note("wish_timeout", f"no target for {self._targets.age(steady):.3f} s")
            self.hold()
        if self._joints.expired(steady) and self._core.target is not None:
            self.note("joint_timeout", f"no joint state for {self._joints.age(steady):.3f} s")
            self.hold()
        behind = (now - self._ahead[-1][0]) * NANOSECOND
        gap = float(np.abs(self._ahead[0][1] - self._measured).max())
        if abs(behind) > HORIZON:
            self.note("late", f"command {behind:.3f} s behind the clock")
            self._woken = now  # what was wanted while it slept may have been taken back since
            self._rest_at_measured()
        elif gap > self._config.jump_tolerance:
            self.note("jump", f"arm {gap:.3f} rad away from its command")
            self._rest_at_measured()

    def _rest_at_measured(self) -> None:
        assert self._measured is not None
        self._core.reset(self._measured)
        self._targets.rest()
        self._ahead.clear()
        self._resting = True

    def _plan(self, now: int, rest: Array) -> Plan:
        """Join the ticks known and the way to rest; velocities are central differences, none at the end."""
        q = np.vstack([*(q for _, q in self._ahead), rest])
        dq = np.zeros_like(q)
        dq[1:-1] = (q[2:] - q[:-2]) / (2.0 * self._core.period)
        dq[0] = dq[1]
        first = self._ahead[0][0]
        times = [(first + i * self._period - now) * NANOSECOND for i in range(len(q))]
        known = [i for i in range(len(self._ahead)) if times[i] > 0.0]
        tail = range(len(q) - 1, known[-1], -_TAIL_STRIDE)
        return Plan(now, [TrajectoryPoint(times[i], q[i], dq[i]) for i in [*known, *reversed(tail)]])

    def note(self, name: str, detail: str) -> None:
        """Count a finding by its name and keep its values."""
        self.fired[name] += 1
        self.details[name] = detail
