"""A guard with a clock and an arm at rest, for tests."""

import numpy as np

from grasp_bringup.guard import Guard
from grasp_bringup.guard_types import GuardConfig, Verdict
from grasp_bringup.kinematics import Kinematics
from grasp_bringup.wish import Wish
from qtopt_policy.geometry import Array, Pose, pointing_down
from qtopt_policy.limits import Limits
from qtopt_policy.topics import Owner
from support.arms import ARM_JOINTS, HOME, arm_urdf

KINEMATICS = Kinematics(arm_urdf(), "base_link", "tcp", ARM_JOINTS)
START = pointing_down(np.array([0.0, 0.0, 0.2]), 0.0)
START_Q = KINEMATICS.solve(START, HOME).q
LIMITS = Limits((-0.15, -0.15, 0.0), (0.15, 0.15, 0.4), tip_offset=0.025)
SECOND = 1_000_000_000


class Bench:
    """A guard with a clock: ROS time and steady time run together unless a test says otherwise."""

    def __init__(
        self,
        config: GuardConfig | None = None,
        owner: Owner = "policy",
        max_effort: tuple[float, ...] = (),
    ) -> None:
        config = config or GuardConfig(require_arming=False)
        self.guard = Guard(KINEMATICS, LIMITS, "base_link", config, max_effort)
        self.time = 100.0
        self.measure()
        self.beat()
        self.guard.set_owner(owner, self.now)
        self.time += 0.01

    @property
    def now(self) -> int:
        """ROS time [ns]."""
        return round(self.time * SECOND)

    def measure(
        self, q: Array = START_Q, velocity: Array | None = None, effort: Array | None = None
    ) -> tuple[Pose, int] | None:
        """Let a joint state arrive."""
        speed = [] if velocity is None else velocity.tolist()
        force = [] if effort is None else effort.tolist()
        return self.guard.joint_state(list(ARM_JOINTS), q.tolist(), speed, force, self.now, self.time)

    def press(self, *buttons: int) -> None:
        """Let a message of the dead-man switch arrive."""
        self.guard.dead_man(buttons, self.now, self.time)

    def beat(self) -> None:
        """Let heartbeats of both owners arrive."""
        for owner in ("policy", "collector"):
            self.guard.heartbeat(owner, self.time)

    def live(self, duration: float, *, joints: bool = True, beats: bool = True) -> None:
        """Let time pass [s]; the watchdogs look every 50 ms."""
        for _ in range(round(duration / 0.05)):
            self.time += 0.05
            if joints:
                self.measure()
            if beats:
                self.beat()
            self.guard.check(self.time, clock_stalled=False)

    def ask(
        self, target: Pose, source: Owner = "policy", age: float = 0.0, frame: str = "base_link"
    ) -> Verdict:
        """Let a wish arrive."""
        stamp = self.now - round(age * SECOND)
        return self.guard.wish(Wish(source, frame, stamp, target.as_array()), self.now, self.time)


def near(x: float = 0.03, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> Pose:
    """Return a pose beside the start, by default within one step."""
    return pointing_down(START.position + np.array([x, y, z]), yaw)


def refusal(verdict: Verdict) -> str:
    """Return the name of why a wish was refused; fail if it was not."""
    assert verdict.target is None
    assert verdict.refusal is not None
    return verdict.refusal.name
