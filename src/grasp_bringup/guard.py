"""Who may move the arm, when and how far: the state machine behind guard_node (no ROS).

Nothing reaches an executor but through `Guard.wish`. Wishes are level-triggered and silence means hold, so to
hold the guard passes nothing on. Watchdogs go by steady times [s] (watchdog.WatchTime), all else by stamps of
ROS time [ns].
"""

from collections import Counter

import numpy as np

from grasp_bringup.guard_types import GuardConfig, GuardState, Verdict
from grasp_bringup.kinematics import Kinematics
from grasp_bringup.measured_arm import MeasuredArm
from grasp_bringup.watchdog import Watchdog
from grasp_bringup.wish import Finding, Wish, malformed, too_far, untimely
from qtopt_policy.errors import ShapeError, UnknownNameError
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import Limits, clip
from qtopt_policy.topics import OWNERS, Owner

# What a level target may differ in tilt from a measured pose [rad]; limits.clip bounds the yaw alone.
TILT_TOLERANCE = 0.1


class Guard:
    """The state machine; see the module's docstring.

    Attributes:
        fired: how often each limit, refusal and watchdog has fired, by name.
        details: the values of the latest firing, by name.
    """

    def __init__(
        self, kinematics: Kinematics, limits: Limits, base_frame: str, config: GuardConfig | None = None
    ) -> None:
        self._config = config = GuardConfig() if config is None else config
        self._limits = limits
        self._base_frame = base_frame
        self._measured = MeasuredArm(kinematics, limits, config.overspeed, config.overspeed_time)
        self._wishes = Watchdog(config.wish_timeout)
        self._heartbeats = {owner: Watchdog(config.heartbeat_timeout) for owner in OWNERS}
        self._executor = Watchdog(config.executor_timeout)
        self._owner: Owner = "none"
        self._armed = not config.require_arming
        self._stopped = ""
        self._holding = "no owner"
        self._accept_after = 0
        self._near_only = False
        self._granted = False
        self.fired: Counter[str] = Counter()
        self.details: dict[str, str] = {}

    @property
    def state(self) -> GuardState:
        """What the guard allows now."""
        holding = bool(self._stopped) or not self._armed or bool(self._holding)
        reason = self._stopped or ("not armed" if not self._armed else self._holding)
        return GuardState(self._owner, self._armed, bool(self._stopped), holding, reason)

    @property
    def tool_pose(self) -> Pose | None:
        """The measured tool pose, or None before the first complete joint state."""
        return self._measured.tool_pose

    @property
    def missing_joints(self) -> tuple[str, ...]:
        """Arm joints that no joint state has held yet."""
        return self._measured.missing

    # ---- what the operator and the collector do

    def set_owner(self, owner: str, now: int) -> None:
        """Give the arm to `owner` at `now` [ns]; it holds until a wish stamped later arrives.

        Raises:
            UnknownNameError: not one of topics.OWNERS.
        """
        match = next((name for name in OWNERS if name == owner), None)
        if match is None:
            raise UnknownNameError("owner", owner, OWNERS)
        if match != self._owner:
            self._owner = match
            self._start_over(now, "no owner" if match == "none" else "owner changed")

    def arm(self, armed: bool, now: int) -> None:
        """Allow motion, or end it at once; after arming the first wish must lie within one step."""
        if armed and not self._armed:
            self._near_only = True
            self._start_over(now, "just armed")
        self._armed = armed

    def stop(self, reason: str) -> None:
        """Stop until `resume`; the first reason is kept."""
        self._note("stop", reason)
        self._stopped = self._stopped or reason

    def resume(self, now: int, steady: float) -> Finding | None:
        """End a stop; return why that is not possible, or None if it is done."""
        silent = self._silent_joints(steady)
        if self._measured.tool_pose is None or silent:
            return Finding("no_joint_state", f"no fresh joint state of {', '.join(silent)}")
        if self._executor.expired(steady):
            return Finding("executor_timeout", "no heartbeat of the executor")
        self._stopped = ""
        self._near_only = True
        self._start_over(now, "just resumed")
        return None

    # ---- what arrives

    def joint_state(
        self,
        names: list[str],
        position: list[float],
        velocity: list[float],
        stamp: int,
        steady: float,
    ) -> tuple[Pose, int] | None:
        """Merge a joint state; return the new tool pose and its stamp [ns] when all arm joints are newer.

        A message that cannot be used is noted as `joint_state` and dropped.
        """
        try:
            measured = self._measured.update(names, position, velocity, stamp, steady)
        except ShapeError as error:
            self._note("joint_state", str(error))
            return None
        finding = None if measured is None else self._measured.too_fast()
        if finding is not None:
            self._note(finding.name, finding.detail)
            self._stop_once(finding.detail)
        return measured

    def heartbeat(self, source: Owner, steady: float) -> None:
        """Note a heartbeat of the node behind `source`."""
        self._heartbeats[source].feed(steady)

    def executor_heartbeat(self, steady: float) -> None:
        """Note a heartbeat of the executor; from the first one on its silence stops the arm."""
        self._executor.feed(steady)

    def wish(self, wish: Wish, now: int, steady: float) -> Verdict:
        """Judge one wish at ROS time `now` [ns]; pass on `Verdict.target` at once if it is not None."""
        refusal = self._refuse(wish, now, steady)
        if refusal is not None:
            return self._refused(refusal)
        assert self._measured.tool_pose is not None
        target = Pose.from_array(wish.values)
        clipped = clip(self._measured.tool_pose, target, self._limits)
        turned = self._measured.tool_pose.angle(clipped.target)
        if turned > self._limits.max_step_yaw + TILT_TOLERANCE:
            return self._refused(Finding("tilt", f"turned by {turned:.3f} rad, not about the vertical alone"))
        for reason in clipped.reasons:
            self._note(reason, f"asked {_text(target)}, allowed {_text(clipped.target)}")
        if not self._armed:
            return self._refused(Finding("not_armed", f"dry run: would move to {_text(clipped.target)}"))
        self._near_only = False
        self._granted = True
        self._holding = ""
        self._wishes.feed(steady)
        return Verdict(clipped.target, clipped.reasons)

    def gripper_wish(self, source: Owner, steady: float) -> bool:
        """Return whether a gripper wish of `source` may be passed on.

        It carries no stamp, so it counts only once a pose wish of the same owner has been accepted.
        """
        allowed = source == self._owner and self._granted and self._armed and not self._stopped
        if allowed and self._heartbeats[source].alive(steady):
            return True
        self._note("gripper_refused", f"wish of {source}, owner {self._owner}, {self.state.reason}")
        return False

    def check(self, steady: float, clock_stalled: bool) -> None:
        """Look at every watchdog; call this more often than the shortest timeout."""
        silent = self._silent_joints(steady)
        if self._measured.tool_pose is not None and silent and not self._stopped:
            self._note("joint_timeout", f"no joint state of {', '.join(silent)}")
            self._stop_once(f"no joint state of {', '.join(silent)} for {self._config.joint_timeout} s")
        if self._executor.expired(steady) and not self._stopped:
            self._note("executor_timeout", f"no heartbeat for {self._executor.age(steady):.3f} s")
            self._stop_once(f"no heartbeat of the executor for {self._config.executor_timeout} s")
        if self._holding:
            return
        if clock_stalled:
            self._hold("clock_timeout", "/clock stands still")
        elif not self._heartbeats[self._owner].alive(steady):
            self._hold("heartbeat_timeout", f"no heartbeat of {self._owner}")
        elif self._wishes.expired(steady):
            self._hold("wish_timeout", f"no wish of {self._owner}")

    # ---- inside

    def _refuse(self, wish: Wish, now: int, steady: float) -> Finding | None:
        if wish.source != self._owner:
            return Finding("not_owner", f"wish of {wish.source}, owner is {self._owner}")
        ages = (self._config.max_wish_age, self._config.max_wish_lead)
        bad = malformed(wish, self._base_frame) or untimely(wish, now, *ages)
        if bad is not None:
            return bad
        self._accept_after = min(self._accept_after, now)  # a simulator started anew sets the clock back
        if wish.stamp <= self._accept_after:
            return Finding("before_change", f"stamped before: {self._holding or 'change'}")
        if not self._heartbeats[wish.source].alive(steady):
            return Finding("heartbeat_timeout", f"no heartbeat of {wish.source}")
        if self._stopped:
            return Finding("stopped", self._stopped)
        if self._measured.tool_pose is None:
            return Finding("no_joint_state", f"no joint state of {', '.join(self.missing_joints)} yet")
        if not self._near_only:
            return None
        return too_far(self._measured.tool_pose, Pose.from_array(wish.values), self._limits)

    def _refused(self, refusal: Finding) -> Verdict:
        self._note(refusal.name, refusal.detail)
        return Verdict(None, refusal=refusal)

    def _stop_once(self, reason: str) -> None:
        if not self._stopped:
            self.stop(reason)

    def _start_over(self, now: int, reason: str) -> None:
        """Hold until a wish stamped after `now` [ns] is accepted."""
        self._accept_after = now
        self._granted = False
        self._holding = reason
        self._wishes.rest()

    def _hold(self, name: str, reason: str) -> None:
        self._note(name, reason)
        self._holding = reason
        self._wishes.rest()

    def _silent_joints(self, steady: float) -> tuple[str, ...]:
        return self._measured.silent(steady - self._config.joint_timeout)

    def _note(self, name: str, detail: str) -> None:
        self.fired[name] += 1
        self.details[name] = detail


def _text(pose: Pose) -> str:
    return f"{np.round(pose.position, 4).tolist()} yaw {pose.yaw():.3f}"
