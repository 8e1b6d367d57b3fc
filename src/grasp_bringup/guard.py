"""Who may move the arm, when and how far: the state machine behind guard_node (no ROS).

Nothing reaches an executor but through `Guard.wish`. Wishes are level-triggered and silence means hold, so to
hold the guard passes nothing on. Watchdogs go by steady times [s] (watchdog.WatchTime), all else by stamps of
ROS time [ns].
"""

from collections import Counter
from collections.abc import Sequence

from grasp_bringup.guard_types import GuardConfig, GuardState, Verdict
from grasp_bringup.guard_watches import Watches
from grasp_bringup.kinematics import Kinematics
from grasp_bringup.measured_arm import MeasuredArm
from grasp_bringup.wish import Finding, Wish, malformed, pose_text, tilted, too_far, untimely
from qtopt_policy.errors import ShapeError, UnknownNameError
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import Limits, clip
from qtopt_policy.topics import OWNERS, Owner


class Guard:
    """The state machine; see the module's docstring.

    Attributes:
        fired: how often each limit, refusal and watchdog has fired, by name.
        details: the values of the latest firing, by name.
        measured: where the arm is and how hard it pushes, against the `max_effort` of its joints
            (DriverConfig.max_joint_effort).
    """

    def __init__(
        self,
        kinematics: Kinematics,
        limits: Limits,
        base_frame: str,
        config: GuardConfig | None = None,
        max_effort: Sequence[float] = (),
    ) -> None:
        self._config = config = GuardConfig() if config is None else config
        self._limits = limits
        self._base_frame = base_frame
        self.measured = MeasuredArm(kinematics, limits, config, max_effort)
        self._watches = Watches(config)
        self._released = self._watches.dead_man.released(0.0)
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
        holding = bool(self._stopped or self._released or self._holding) or not self._armed
        reason = self._stopped or ("not armed" if not self._armed else self._released or self._holding)
        return GuardState(self._owner, self._armed, bool(self._stopped), holding, reason)

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
        silent = self.measured.silent(steady)
        if self.measured.tool_pose is None or silent:
            return Finding("no_joint_state", f"no fresh joint state of {', '.join(silent)}")
        if self._watches.executor.expired(steady):
            return Finding("executor_timeout", "no heartbeat of the executor")
        if self.measured.efforts.excess is not None:
            return self.measured.efforts.excess
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
        effort: list[float],
        stamp: int,
        steady: float,
    ) -> tuple[Pose, int] | None:
        """Merge a joint state; return the new tool pose and its stamp [ns] when all arm joints are newer.

        A message that cannot be used is noted as `joint_state` and dropped.
        """
        try:
            measured = self.measured.update(names, position, velocity, effort, stamp, steady)
        except ShapeError as error:
            self._note("joint_state", str(error))
            return None
        if measured is not None:
            self._stop_by(self.measured.too_fast())
            self._stop_by(self.measured.too_strong())
        return measured

    def heartbeat(self, source: Owner, steady: float) -> None:
        """Note a heartbeat of the node behind `source`."""
        self._watches.heartbeats[source].feed(steady)

    def executor_heartbeat(self, steady: float) -> None:
        """Note a heartbeat of the executor; from the first one on its silence stops the arm."""
        self._watches.executor.feed(steady)

    def dead_man(self, buttons: Sequence[int], now: int, steady: float) -> None:
        """Take the buttons of the dead-man switch at `now` [ns].

        Once it is pressed, the arm goes on with a wish stamped later that lies within one step.
        """
        was_released = self._see_dead_man(steady)
        self._watches.dead_man.feed(buttons, steady)
        if not self._see_dead_man(steady) and was_released:
            self._near_only = True
            self._start_over(now, "just pressed")

    def wish(self, wish: Wish, now: int, steady: float) -> Verdict:
        """Judge one wish at ROS time `now` [ns]; pass on `Verdict.target` at once if it is not None."""
        refusal = self._refuse(wish, now, steady)
        if refusal is not None:
            return self._refused(refusal)
        assert self.measured.tool_pose is not None
        target = Pose.from_array(wish.values)
        clipped = clip(self.measured.tool_pose, target, self._limits)
        tilt = tilted(self.measured.tool_pose, clipped.target, self._limits)
        if tilt is not None:
            return self._refused(tilt)
        for reason in clipped.reasons:
            self._note(reason, f"asked {pose_text(target)}, allowed {pose_text(clipped.target)}")
        if not self._armed:
            return self._refused(Finding("not_armed", f"dry run: would move to {pose_text(clipped.target)}"))
        self._near_only = False
        self._granted = True
        self._holding = ""
        self._watches.wishes.feed(steady)
        return Verdict(clipped.target, clipped.reasons)

    def gripper_wish(self, source: Owner, steady: float) -> bool:
        """Return whether a gripper wish of `source` may be passed on.

        It carries no stamp, so it counts only once a pose wish of the same owner has been accepted, since the
        dead-man switch was pressed too: fingers that close are a motion.
        """
        allowed = source == self._owner and self._granted and self._armed and not self._stopped
        if allowed and not self._see_dead_man(steady) and self._watches.heartbeats[source].alive(steady):
            return True
        self._note("gripper_refused", f"wish of {source}, owner {self._owner}, {self.state.reason}")
        return False

    def check(self, steady: float, clock_stalled: bool) -> None:
        """Look at every watchdog; call this more often than the shortest timeout."""
        silent = () if self.measured.tool_pose is None else self.measured.silent(steady)
        if not self._stopped:
            self._stop_by(self._watches.stops(silent, steady))
        self._see_dead_man(steady)
        hold = None if self._holding else self._watches.holds(self._owner, steady, clock_stalled)
        if hold is not None:
            self._hold(hold)

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
        if not self._watches.heartbeats[wish.source].alive(steady):
            return Finding("heartbeat_timeout", f"no heartbeat of {wish.source}")
        if self._stopped:
            return Finding("stopped", self._stopped)
        if self._armed and (released := self._see_dead_man(steady)):
            return Finding("dead_man", released)
        if self.measured.tool_pose is None:
            return Finding("no_joint_state", f"no joint state of {', '.join(self.measured.missing)} yet")
        if not self._near_only:
            return None
        return too_far(self.measured.tool_pose, Pose.from_array(wish.values), self._limits)

    def _refused(self, refusal: Finding) -> Verdict:
        self._note(refusal.name, refusal.detail)
        return Verdict(None, refusal=refusal)

    def _stop_by(self, finding: Finding | None) -> None:
        if finding is not None:
            self._note(finding.name, finding.detail)
            if not self._stopped:
                self.stop(finding.detail)

    def _start_over(self, now: int, reason: str) -> None:
        """Hold until a wish stamped after `now` [ns] is accepted."""
        self._accept_after = now
        self._granted = False
        self._holding = reason
        self._watches.wishes.rest()

    def _hold(self, finding: Finding) -> None:
        self._note(finding.name, finding.detail)
        self._holding = finding.detail
        self._watches.wishes.rest()

    def _see_dead_man(self, steady: float) -> str:
        """Hold as soon as the dead-man switch is released; return why the arm must not move, or ""."""
        released = self._watches.dead_man.released(steady)
        if released and not self._released:
            self._granted = False
            self._hold(Finding("dead_man", released))
        self._released = released
        return released

    def _note(self, name: str, detail: str) -> None:
        self.fired[name] += 1
        self.details[name] = detail
