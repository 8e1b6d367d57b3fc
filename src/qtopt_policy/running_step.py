"""The step that is being carried out, from its decision to its record."""

from qtopt_policy.episode_events import Chosen, EpisodeRequest
from qtopt_policy.geometry import Pose
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.step_record import StepRecord, execution
from qtopt_policy.step_rule import EndCause, Measurement, StepMonitor

# The guard passed a target on unchanged if it differs by less [m, rad]. Angles of quaternions that differ in
# the last bit come out as large as 1e-8 ** 0.5.
SAME_POSITION, SAME_ANGLE = 1e-6, 1e-3


class RunningStep:
    """One step: feeds StepMonitor, remembers whether the guard let the wish through, writes the record.

    Args:
        mdp, start, reaction_time: as StepMonitor.
        request: the episode.
        chosen: what was decided.

    Attributes:
        interrupted: an input was silent, so that the wish was withdrawn for a while.
    """

    def __init__(
        self, mdp: MdpConfig, request: EpisodeRequest, chosen: Chosen, start: float, reaction_time: float
    ) -> None:
        self.interrupted = False
        self._mdp, self._request, self._chosen, self._start = mdp, request, chosen, start
        self._monitor = StepMonitor(mdp, chosen.target, chosen.asked.choice, start, reaction_time)
        self._guard_target: Pose | None = None

    @property
    def gripper_command(self) -> bool | None:
        """True once the fingers are to close, False once they are to open, else None."""
        return self._monitor.gripper_command

    def update(self, sample: Measurement) -> EndCause | None:
        """Take one measurement; return why the step has ended, or None. Older ones than it are skipped."""
        return self._monitor.update(sample) if sample.stamp >= self._start else None

    def guard_passed(self, stamp: float, target: Pose) -> None:
        """Take the target that the guard published at `stamp`."""
        if stamp >= self._start:
            self._guard_target = target

    def record(self, cause: EndCause, stamp: float, pose: Pose, *, is_terminal: bool) -> StepRecord:
        """Return the record of the step that ended at `stamp` with the tool at `pose`.

        Where the arm did not do what was asked although the guard passed the wish on unchanged, contact
        stopped it.
        """
        chosen, seen = self._chosen, self._chosen.ask.observation
        done = execution(chosen.asked, seen.tool_pose, pose, self._mdp)
        return StepRecord(
            episode_id=self._request.episode_id,
            index=chosen.ask.index,
            image_stamp=seen.stamp,
            gripper_closed=seen.gripper_closed,
            height_to_bottom=seen.height_to_bottom,
            aperture=seen.aperture,
            tool_pose=tuple(seen.tool_pose.as_array().tolist()),
            asked=tuple(chosen.asked.as_array().tolist()),
            executed=tuple(done.action.as_array().tolist()),
            altered=done.altered,
            contact=done.altered and self._passed_unchanged(),
            duration=stamp - seen.stamp,
            end_cause=cause,
            q=float(chosen.decision.q),
            is_terminal=is_terminal,
            policy=self._request.policy,
        )

    def _passed_unchanged(self) -> bool:
        passed, wanted = self._guard_target, self._chosen.target
        if passed is None or self.interrupted:
            return False
        return passed.distance(wanted) < SAME_POSITION and passed.angle(wanted) < SAME_ANGLE
