"""The collector as one readable procedure without ROS: home, reset, episode, lift, judge, drop, again.

The procedure is a generator that `tick` advances; it waits by yielding. What it wants lies in `wish`
(republish it while it lasts), `cell.requests` and `books.outcomes`; what it knows lies in `cell`.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qtopt_collector.books import Books, Verdict
from qtopt_collector.cell import Aborted, Cell, Picture, Request, Script
from qtopt_collector.motions import Motions
from qtopt_collector.recorder import Recorder
from qtopt_collector.success import DropTest, compare_drop, judge
from qtopt_collector.switching import Assignment, PolicyPlan
from qtopt_policy import topics
from qtopt_policy.episode_events import Wish
from qtopt_policy.errors import QtoptError
from qtopt_policy.geometry import Pose
from qtopt_policy.mdp import ABORTED, EndReason, MdpConfig
from qtopt_policy.robot import RobotConfig

END_REASONS: tuple[EndReason, ...] = ("terminate", "max_steps", *ABORTED)

SETTLE_TIME = 1.0  # [s] for fingers that open and objects that fall
CLOSE_TIME = 0.8  # [s]
LATE_STEPS = 2.0  # [s] in which the last step records may arrive after the end of the episode
ABORT_PATIENCE = 2.0  # [s] of steady time for answers while something is wrong
MAX_IN_VAIN = 3  # episodes in a row without a step after which something must be wrong
RETRY_TIME = 1.0  # [s] of steady time between two tries to get ready


@dataclass(frozen=True)
class CollectorConfig:
    """What to collect.

    Attributes:
        episodes: how many.
        seed: of the first; each further one adds one.
        split: of the simulated scenes.
        reset: `sim` places a new scene before each episode; `none` stirs by dropping at random places.
        deadline: longest episode of the policy [s].
        benchmark: digest to record.
    """

    episodes: int = 10
    seed: int = 1
    split: str = "train"
    reset: Literal["sim", "none"] = "sim"
    deadline: float = 90.0
    benchmark: str = ""


class Collector:
    """Collects episodes.

    Attributes:
        cell: what is known; filled in from outside.
        books: of the episodes; their outcomes are taken from there.
        phase: what it is doing, for people.
        finished: whether it is through, well or not.
        failure: why it gave up, "" where it did not.
        collected: episodes with at least one step, aborted ones included.
    """

    def __init__(
        self,
        robot: RobotConfig,
        mdp: MdpConfig,
        config: CollectorConfig,
        plan: PolicyPlan,
        recorder: Recorder,
    ) -> None:
        self.cell = Cell(robot.gripper)
        self.books = Books(recorder, robot, mdp, config.benchmark)
        self.phase = "starting"
        self.finished = False
        self.failure = ""
        self.collected = 0
        self._robot, self._mdp, self._config = robot, mdp, config
        self._plan = plan
        self._motions = Motions(robot, mdp, self.cell)
        self._script = self._collect()

    @property
    def wish(self) -> Wish | None:
        """What is wanted of the arm now; None means silence, so that it holds."""
        return self._motions.wish

    def tick(self, now: float, steady: float) -> None:
        """Go on at ROS time `now` and steady time `steady` [s]; call it at 20 Hz or faster."""
        self.cell.now, self.cell.steady = now, steady
        if self.finished:
            return
        try:
            next(self._script)
        except StopIteration:
            self._finish("done")
        except QtoptError as error:
            self.fail(str(error))

    def fail(self, reason: str) -> None:
        """Give up: the arm holds, and what is recorded stays."""
        if not self.finished:
            self.failure = reason
            self._cut_short(f"gave up: {reason}", Aborted("error", reason))

    def interrupt(self) -> None:
        """End now, by an operator's will: the arm holds, an open bag is closed as aborted."""
        self._cut_short("interrupted", Aborted("operator", "the collector was stopped"))

    def _cut_short(self, phase: str, aborted: Aborted) -> None:
        """End: nobody owns the arm, the policy plays no episode; these last requests must still be taken."""
        self._script.close()  # what it has asked for and not been answered is given up
        self._finish(phase)
        self.books.abort_quietly(aborted)
        self.cell.requests += [Request("own", {"owner": "none"}), Request("cancel")]

    @property
    def _name(self) -> str:
        """Name of the episode that runs."""
        return self.books.info.episode_id

    def _finish(self, phase: str) -> None:
        self.finished, self.phase, self._motions.wish = True, phase, None

    # ---- the procedure

    def _collect(self) -> Script:
        yield from self._wait_until_free()
        # An episode that an earlier collector left running would fight for the arm.
        yield from self.cell.urge("cancel", ABORT_PATIENCE)
        in_vain = 0
        while self.collected < self._config.episodes:
            seed = self._config.seed + self.collected
            yield from self._get_ready(seed)
            had_steps = yield from self._episode(seed)
            self.collected += had_steps
            in_vain = 0 if had_steps else in_vain + 1
            if in_vain == MAX_IN_VAIN:
                raise QtoptError(f"{in_vain} episodes in a row ended before their first step: {self.phase}")
        yield from self.cell.urge("own", ABORT_PATIENCE, owner="none")

    def _get_ready(self, seed: int) -> Script:
        """Bring arm and scene to where an episode starts, however long it takes to be allowed to."""
        while True:
            yield from self._wait_until_free()
            try:
                yield from self._go_home()
                if self._config.reset == "sim":
                    self.phase = f"placing scene {self._config.split} {seed}"
                    yield from self.cell.ask("reset", seed=seed, split=self._config.split)
                return
            except Aborted as aborted:
                self.phase = f"not ready: {aborted}"
                self._motions.wish = None
            again = self.cell.steady + RETRY_TIME
            while self.cell.steady < again:
                yield

    def _wait_until_free(self) -> Script:
        while self.cell.obstacle:
            self.phase, self._motions.wish = f"waiting: {self.cell.obstacle}", None
            # A simulated arm harms nobody; a real one is resumed by its operator.
            if self._config.reset == "sim" and self.cell.stopped not in ("", "operator"):
                yield from self.cell.urge("resume", RETRY_TIME)
            yield

    def _go_home(self) -> Script:
        self.phase = "going home"
        yield from self.cell.ask("own", owner="collector")
        home = self._robot.start_pose
        was_open = self.cell.gripper_closed is False
        yield from self._motions.travel(home, close=False)
        if not self._motions.arrived(home):
            owner = self.cell.arm.get("owner", "unknown")
            raise Aborted("error", f"the arm did not get home; its owner is {owner}")
        yield from self._motions.fingers(False, 0.0 if was_open else SETTLE_TIME)

    def _episode(self, seed: int) -> Generator[None, None, bool]:
        """Collect one episode; return whether it had a step, and so left a bag."""
        assignment = self._plan.next()
        self.books.open(assignment, seed)
        try:
            yield from self._run_policy(assignment)
            verdict = yield from self._lift_and_judge()
        except Aborted as aborted:
            self.phase = f"{self._name} aborted: {aborted}"
            had_steps = self.books.abort(aborted)
            yield from self._hold()
            return had_steps
        test: DropTest | None = None
        try:
            test = yield from self._drop(np.random.default_rng(seed))
        except Aborted as aborted:
            self.phase = f"drop cut short: {aborted}"  # the verdict stands
        self.books.close(verdict, test)
        self._plan.judged(assignment, verdict.judgement.success)
        return True

    def _run_policy(self, assignment: Assignment) -> Script:
        """Let the policy run its episode and wait for its end."""
        self.phase = f"{self._name}: {assignment.policy}"
        names = {"episode.id": self._name, "policy.name": assignment.policy}
        numbers = {"policy.epsilon": assignment.epsilon, "policy.noise": assignment.noise}
        yield from self.cell.ask("prepare", **names, **numbers, seed=self.books.info.seed)
        yield from self.cell.ask("own", owner="policy")
        self._motions.wish = None
        yield from self.cell.ask("run")
        deadline = self.cell.now + self._config.deadline
        known = False
        while True:
            told = self._told()
            if told.get("camera") and not known:
                known = True
                self.books.learn(told)
            if told.get("state") == "ended":
                break
            if self.cell.now > deadline:
                raise Aborted("deadline", f"the policy took more than {self._config.deadline} s")
            yield
            self.cell.require()
        yield from self._finish_policy(told)

    def _told(self) -> dict[str, str]:
        """Return what policy/episode says of this episode."""
        episode = self.cell.episode
        return episode if episode.get("episode_id") == self._name else {}

    def _finish_policy(self, told: dict[str, str]) -> Script:
        """Note why the policy ended, once all its steps have been recorded."""
        reason = next((reason for reason in END_REASONS if reason == told.get("reason")), None)
        if reason is None:
            raise Aborted("error", f"{topics.EPISODE} tells no valid reason: '{told.get('reason')}'")
        steps, end = _count(told.get("steps", "")), self.cell.now + LATE_STEPS
        while self.books.steps < steps and self.cell.now < end:
            yield
            self.cell.require()
        if reason in ABORTED:
            raise Aborted(reason, f"the policy ended by {reason}: {told.get('detail', '')}")
        if self.books.steps != steps:
            why = f": {self.books.fault}" if self.books.fault else ""
            raise Aborted("error", f"{steps} steps were made, {self.books.steps} recorded{why}")
        self.books.ended(reason)

    def _lift_and_judge(self) -> Generator[None, None, Verdict]:
        self.phase = f"{self._name}: lifting"
        closed, commanded = self._motions.sample(), self.cell.gripper_closed is True
        yield from self.cell.ask("own", owner="collector")
        if not (yield from self._motions.lift()):
            raise Aborted("error", "the arm did not lift: what it holds cannot be judged")
        lifted = self._motions.sample()
        effort = self._robot.driver.min_grip_effort or None
        judgement = judge(self._robot.gripper, commanded, closed, lifted, effort)
        truth = yield from self._motions.truth()
        return Verdict(judgement, closed, lifted, truth)

    def _drop(self, rng: np.random.Generator) -> Generator[None, None, DropTest | None]:
        """Drop what is held; compare the images before and after, fingers closed in both."""
        self.phase = f"{self._name}: dropping"
        closed = self.cell.gripper_closed is True
        yield from self._motions.travel(self._drop_pose(rng), self.cell.gripper_closed)
        before = (yield from self._photograph("before")) if closed else None
        yield from self._motions.fingers(False, SETTLE_TIME)
        if before is None:
            return None
        yield from self._motions.fingers(True, CLOSE_TIME)
        after = yield from self._photograph("after")
        if after is None or after.image.shape != before.image.shape:  # a camera that changed has no opinion
            return None
        return compare_drop(before.image, after.image)

    def _photograph(self, name: str) -> Generator[None, None, Picture | None]:
        picture = yield from self._motions.look()
        if picture is not None:
            self.books.photograph(name, picture, self.cell.now)
        return picture

    def _drop_pose(self, rng: np.random.Generator) -> Pose:
        """Return where to let go; without a simulator a random place, so that the bin is stirred."""
        pose = self._robot.drop_pose
        if self._config.reset == "sim":
            return pose
        quarter = np.array([*self._robot.bin.size[:2], 0.0]) / 4.0
        return Pose(pose.position + rng.uniform(-quarter, quarter), pose.quaternion)

    def _hold(self) -> Script:
        """After an abort: nobody moves the arm."""
        self._motions.wish = None
        yield from self.cell.urge("own", ABORT_PATIENCE, owner="none")
        yield from self.cell.urge("cancel", ABORT_PATIENCE)


def _count(text: str) -> int:
    """Return a number of steps as policy/episode tells it; Aborted where it is none."""
    if text and not text.isdecimal():
        raise Aborted("error", f"{topics.EPISODE} tells no number of steps: '{text}'")
    return int(text or 0)
