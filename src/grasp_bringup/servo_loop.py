"""When the servo moves: its timeline, the age of its inputs and where it starts (no ROS).

The core runs on a grid of ticks, `LEAD` ticks ahead of the clock. Each call yields a trajectory: the ticks
that lie ahead, then a stop, HORIZON long in all. Ticks that a late timer missed are made up, so the motion's
speed is that of the clock; a silence longer than the horizon means that the controller stands where the arm
is measured.
"""

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.servo import ServoCore, ServoSample
from grasp_bringup.smoothing import JointMotion
from grasp_bringup.trajectory import TrajectoryPoint, stopping_points
from grasp_bringup.watchdog import Watchdog
from grasp_bringup.wish import NANOSECOND
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose

Array = NDArray[np.float64]

LEAD = 2  # ticks: how late a message may come before the controller begins to brake
HORIZON = 0.1  # [s]
TAIL_POINTS = 4
_REST_SPEED = 1e-6  # [rad/s]


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
class Plan:
    """A trajectory that starts at `stamp` [ns]; its last point is at rest."""

    stamp: int
    points: list[TrajectoryPoint]


class ServoLoop:
    """Feeds a ServoCore with targets and joint states and turns its samples into trajectories.

    Attributes:
        fired: how often each limit, refusal and watchdog has fired, by name.
        details: the values of the latest firing, by name.
    """

    def __init__(self, core: ServoCore, config: LoopConfig | None = None) -> None:
        self._core = core
        self._config = LoopConfig() if config is None else config
        self._period = round(core.period / NANOSECOND)
        self._targets = Watchdog(self._config.wish_timeout)
        self._joints = Watchdog(self._config.joint_timeout)
        self._measured: Array | None = None
        self._ahead: deque[tuple[int, ServoSample]] = deque(maxlen=LEAD + 1)
        self._resting = True
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
        if age > self._config.max_wish_age:
            self._note("stale", f"target {age:.3f} s old")
        elif -age > self._config.max_wish_lead:
            self._note("future", f"target {-age:.3f} s ahead")
        elif not self._joints.alive(steady) or self._measured is None:
            self._note("no_joint_state", f"last joint state {self._joints.age(steady):.3f} s ago")
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
        while self._ahead[-1][0] < now + LEAD * self._period:
            sample = self._core.tick()
            self.fired.update(sample.reasons)
            self._ahead.append((self._ahead[-1][0] + self._period, sample))
        plan = self._plan(now)
        latest = self._ahead[-1][1]
        if self._core.target is None and np.abs(latest.dq).max() < _REST_SPEED:
            self._resting = True
        return plan

    def _begin(self, now: int) -> None:
        """Leave the rest: from the measured joints, if the last command lies elsewhere."""
        assert self._measured is not None
        at = self._ahead[-1][1].q if self._ahead else None
        if at is None or np.abs(at - self._measured).max() > self._config.seed_tolerance:
            self._core.reset(self._measured)
            at = self._measured
        still = np.zeros_like(at)
        self._ahead.clear()
        self._ahead.append((now, ServoSample(at, still, still, ())))
        self._resting = False

    def _watch(self, now: int, steady: float) -> None:
        """Look at the ages of the inputs and at the distance between command and arm."""
        assert self._measured is not None
        if self._targets.expired(steady):
            self._note("wish_timeout", f"no target for {self._targets.age(steady):.3f} s")
            self.hold()
        if self._joints.expired(steady) and self._core.target is not None:
            self._note("joint_timeout", f"no joint state for {self._joints.age(steady):.3f} s")
            self.hold()
        behind = (now - self._ahead[-1][0]) * NANOSECOND
        gap = float(np.abs(self._ahead[0][1].q - self._measured).max())
        if abs(behind) > HORIZON:
            self._note("late", f"command {behind:.3f} s behind the clock")
            self._rest_at_measured()
        elif gap > self._config.jump_tolerance:
            self._note("jump", f"arm {gap:.3f} rad away from its command")
            self._rest_at_measured()

    def _rest_at_measured(self) -> None:
        assert self._measured is not None
        self._core.reset(self._measured)
        self._targets.rest()
        self._ahead.clear()
        self._resting = True

    def _plan(self, now: int) -> Plan:
        ahead = [(stamp, sample) for stamp, sample in self._ahead if stamp > now]
        points = [TrajectoryPoint((t - now) * NANOSECOND, s.q, s.dq) for t, s in ahead]
        last = ahead[-1][1]
        start = points[-1].time
        motion = JointMotion(last.q, last.dq, last.ddq)
        tail = stopping_points(motion, HORIZON - start, TAIL_POINTS)
        return Plan(now, points + [TrajectoryPoint(start + p.time, p.q, p.dq) for p in tail])

    def _note(self, name: str, detail: str) -> None:
        self.fired[name] += 1
        self.details[name] = detail
