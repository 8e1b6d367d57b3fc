"""What is known about the episode that runs: into its bag, and out as its outcome."""

from dataclasses import dataclass, replace

from qtopt_collector.bags import messages
from qtopt_collector.bags.records import decode_camera, outcome_values
from qtopt_collector.cell import Aborted, Picture
from qtopt_collector.episode import EpisodeInfo
from qtopt_collector.recorder import Recorder
from qtopt_collector.success import DropTest, GripperSample, Judgement
from qtopt_collector.switching import Assignment
from qtopt_policy import topics
from qtopt_policy.config import to_mapping
from qtopt_policy.errors import BagError
from qtopt_policy.mdp import EndReason, MdpConfig
from qtopt_policy.robot import RobotConfig
from qtopt_policy.share import package_version


@dataclass(frozen=True)
class Verdict:
    """How a grasp was judged: judgement, fingers before and after the lift, ground truth if any."""

    judgement: Judgement
    closed: GripperSample
    lifted: GripperSample
    truth: bool | None


class Books:
    """Keeps the books of one episode after the other.

    Args:
        recorder: writes the bags.
        robot, mdp: recorded with each episode.
        benchmark: digest to record.

    Attributes:
        outcomes: values of collector/outcome not yet published.
        pictures: images of the drop not yet published, as rosbags has them.
    """

    def __init__(self, recorder: Recorder, robot: RobotConfig, mdp: MdpConfig, benchmark: str) -> None:
        self.outcomes: list[dict[str, str]] = []
        self.pictures: list[object] = []
        self._recorder = recorder
        self._robot, self._mdp, self._benchmark = robot, mdp, benchmark
        self._info: EpisodeInfo | None = None

    @property
    def info(self) -> EpisodeInfo:
        """What is known about the episode that runs."""
        assert self._info is not None
        return self._info

    @property
    def steps(self) -> int:
        """Steps recorded of the episode that runs."""
        return self._recorder.steps

    @property
    def fault(self) -> str:
        """What keeps steps of the episode that runs out of its bag, "" where nothing is known."""
        return self._recorder.fault

    def open(self, assignment: Assignment, seed: int) -> None:
        """Begin an episode; errors as EpisodeWriter."""
        self._info = EpisodeInfo(
            episode_id=self._recorder.next_id(),
            seed=seed,
            policy=assignment.policy,
            end_reason="node_died",
            success=None,
            reward=None,
            epsilon=assignment.epsilon,
            robot=self._robot.name,
            benchmark=self._benchmark,
            package_version=package_version(),
            limits=to_mapping(self._robot.limits),
            mdp=to_mapping(self._mdp),
        )
        self._recorder.open(self._info)

    def learn(self, told: dict[str, str]) -> None:
        """Record what policy/episode tells about the policy with its first decision."""
        self._recorder.set_camera(decode_camera(told["camera"], topics.EPISODE))
        policy, weights = told.get("policy") or self.info.policy, told.get("checkpoint", "")
        self._info = replace(self.info, policy=policy, checkpoint=weights)
        self._recorder.update(self._info)

    def ended(self, reason: EndReason) -> None:
        """Note why the policy ended."""
        self._info = replace(self.info, end_reason=reason)

    def photograph(self, name: str, picture: Picture, now: float) -> None:
        """Record an image `before` or `after` the drop."""
        message = messages.compressed_image(picture.image, messages.nanoseconds(picture.stamp), name)
        self._recorder.record_message(topics.DROP_IMAGE, messages.nanoseconds(now), message)
        self.pictures.append(message)

    def close(self, verdict: Verdict, test: DropTest | None) -> None:
        """Close the bag of a judged episode."""
        success = verdict.judgement.success
        info = replace(
            self.info,
            success=success,
            reward=float(success),
            truth=verdict.truth,
            aperture_closed=verdict.closed.aperture,
            aperture_lifted=verdict.lifted.aperture,
        )
        extra: dict[str, object] = {"reason": verdict.judgement.reason}
        if test is not None:
            extra |= {"drop_changed": test.changed, "drop_area": test.area}
        self._close(info, extra)

    def abort(self, aborted: Aborted) -> bool:
        """Close the bag of an aborted episode; return whether it had a step, and so remains."""
        had_steps = self._recorder.steps > 0
        info = replace(self.info, end_reason=aborted.reason, success=None, reward=None)
        self._close(info, {"reason": str(aborted)})
        return had_steps

    def abort_quietly(self, aborted: Aborted) -> None:
        """Close an open bag where the disk still lets us; it is mended at the next start where not."""
        if self._info is None:
            return
        try:
            self.abort(aborted)
        except BagError:
            self._recorder.abandon()

    def _close(self, info: EpisodeInfo, extra: dict[str, object]) -> None:
        steps, self._info = self._recorder.steps, None
        bag = self._recorder.close(info, extra)
        self.outcomes.append(outcome_values(info, steps, str(bag or ""), extra))
