"""One episode as a state machine without ROS: images and states in, wishes and step records out.

    idle -> waiting (for an image) -> deciding (the policy thinks) -> moving (the step runs) -> waiting ...

The MDP of GraspEnv: the same StepMonitor, limits.clip, observation and records (docs/architecture.md).
Times named `stamp` and `now` are ROS time; `steady` is steady time scaled by the real-time factor. What
comes out lies in `wish` (republish it while it lasts) and `take_events`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from qtopt_policy.episode_events import (
    Ask,
    Chosen,
    Ended,
    EpisodeRequest,
    Event,
    Frame,
    Paused,
    Refused,
    StepEnded,
    Wish,
)
from qtopt_policy.errors import QtoptError
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import TERMINATE, GraspAction
from qtopt_policy.image_codec import decode, encode_observation
from qtopt_policy.input_watch import InputWatch
from qtopt_policy.limits import clip
from qtopt_policy.mdp import EndReason, MdpConfig
from qtopt_policy.policies.base import Decision
from qtopt_policy.preprocess import RobotState, View, observe
from qtopt_policy.robot import RobotConfig
from qtopt_policy.running_step import RunningStep
from qtopt_policy.state_buffer import StateBuffer
from qtopt_policy.step_rule import EndCause, Measurement

Phase = Literal["idle", "waiting", "deciding", "moving"]

IMAGE, TOOL_POSE, JOINT_STATE = "image", "tool pose", "joint state"
SILENCE = 1.0  # [s] without an input after which the policy stops asking
ABORT = 5.0  # [s] more after which the episode is aborted


class EpisodeRunner:
    """Runs one episode after the other.

    Attributes:
        phase: what it is doing.
        state: the robot's recent state; fed by `add_pose` and `add_joints`, in all phases.
    """

    def __init__(self, mdp: MdpConfig, robot: RobotConfig, view: View) -> None:
        self.phase: Phase = "idle"
        self.state = StateBuffer(robot.gripper)
        self._mdp, self._limits, self._view = mdp, robot.limits, view
        self._reaction_time = robot.driver.gripper_reaction_time
        self._watch = InputWatch((IMAGE, TOOL_POSE, JOINT_STATE), SILENCE)
        self._request = EpisodeRequest("", 0, "")
        self._events: list[Event] = []
        self._frame: Frame | None = None
        self._ask: Ask | None = None
        self._step: RunningStep | None = None
        self._wish: Wish | None = None
        self._silent: tuple[str, ...] = ()
        self._gripper_closed = False
        self._not_before = 0.0
        self._waiting_since = 0.0
        self._refusal = ""
        self._steps = 0
        self._asks = 0

    @property
    def active(self) -> bool:
        """Whether an episode is running."""
        return self.phase != "idle"

    @property
    def request(self) -> EpisodeRequest:
        """The episode that runs or ran last."""
        return self._request

    @property
    def steps(self) -> int:
        """Steps ended so far."""
        return self._steps

    @property
    def wish(self) -> Wish | None:
        """What is wanted now; None means silence, so that the arm holds."""
        return None if self._silent else self._wish

    def take_events(self) -> list[Event]:
        """Return what has happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def start(self, request: EpisodeRequest, now: float, steady: float, gripper_closed: bool) -> None:
        """Begin an episode: the first image stamped after `now` starts the first step."""
        assert not self.active
        self._request = request
        self._wish, self._silent, self._step = None, (), None
        self._gripper_closed = gripper_closed
        self._steps = 0
        self._watch.restart(steady)
        self._wait(now, steady)

    def cancel(self, detail: str = "cancelled") -> None:
        """End the episode by an operator's will; the step that runs is not recorded."""
        self._end("operator", detail)

    def fail(self, detail: str) -> None:
        """End the episode because of an error of ours."""
        self._end("error", detail)

    def image_arrived(self, stamp: float, steady: float) -> bool:
        """Note a usable image message; return whether its picture is wanted (then call `add_image`)."""
        self._watch.heard(IMAGE, steady)
        return self.phase == "waiting" and stamp > self._not_before

    def add_image(self, frame: Frame) -> None:
        """Take a picture that was wanted; a newer one replaces one that still waits for the state."""
        self._frame = frame
        self._use_frame()

    def add_pose(self, stamp: float, pose: Pose, steady: float) -> None:
        """Take a measured tool pose (arm/tool_pose)."""
        if not self.state.add_pose(stamp, pose):
            return
        self._watch.heard(TOOL_POSE, steady)
        if self.phase == "moving":
            self._follow(stamp, pose, steady)
        self._use_frame()

    def add_joints(
        self, stamp: float, names: Sequence[str], positions: Sequence[float], steady: float
    ) -> None:
        """Take a joint state; errors as `StateBuffer.add_joints`."""
        if self.state.add_joints(stamp, names, positions):
            self._watch.heard(JOINT_STATE, steady)
            self._use_frame()

    def add_guard_target(self, stamp: float, target: Pose) -> None:
        """Take what the guard passed on: it tells contact from a limit of ours."""
        if self._step is not None:
            self._step.guard_passed(stamp, target)

    def decided(self, number: int, decision: Decision, now: float) -> None:
        """Take the policy's answer to the Ask of that number; an answer to an older one is ignored."""
        ask = self._ask
        if self.phase != "deciding" or ask is None or ask.number != number:
            return
        start, frame = ask.observation.tool_pose, self._mdp.action_frame
        clipped = clip(start, decision.action.target(start, frame), self._limits)
        asked = decision.action
        if clipped.reasons and asked.choice != TERMINATE:
            asked = GraspAction.between(start, clipped.target, frame, asked.choice)
        chosen = Chosen(ask, decision, asked, clipped.target, clipped.reasons)
        self._step = RunningStep(self._mdp, self._request, chosen, now, self._reaction_time)
        self._wish = Wish(clipped.target, self._wish.gripper_close if self._wish else None)
        self.phase = "moving"
        self._events.append(chosen)
        if asked.choice == TERMINATE:
            self._end_step("terminate", ask.observation.stamp, start)

    def tick(self, steady: float) -> None:
        """Watch the inputs; call it at 10 Hz or faster."""
        if not self.active:
            return
        silent = self._watch.silent(steady)
        if silent != self._silent:
            self._silent = silent
            self._events.append(Paused(silent))
        if silent and self._step is not None:
            self._step.interrupted = True
        longest = self._watch.longest(steady)
        waited = steady - self._waiting_since
        if silent and longest > SILENCE + ABORT:
            self._end("watchdog", f"no {' and no '.join(silent)} for {longest:.1f} s")
        elif self.phase == "waiting" and waited > SILENCE + ABORT:
            why = self._refusal or self._missing()
            self._end("watchdog", f"no usable image for {waited:.1f} s: {why}")

    def _missing(self) -> str:
        if self._frame is None:
            return f"none is stamped after {self._not_before:.3f}"
        poses, apertures = self.state.latest_pose, self.state.latest_aperture
        newest = {TOOL_POSE: poses and poses[0], JOINT_STATE: apertures and apertures[0]}
        found = ", ".join(f"{name} {stamp}" for name, stamp in newest.items())
        return f"image stamped {self._frame.stamp:.3f}, newest stamps: {found}"

    def _wait(self, not_before: float, steady: float) -> None:
        self.phase, self._frame, self._ask = "waiting", None, None
        self._not_before, self._waiting_since, self._refusal = not_before, steady, ""

    def _use_frame(self) -> None:
        """Turn the frame into a question as soon as the robot's state at its stamp is known."""
        frame = self._frame
        if self.phase != "waiting" or frame is None:
            return
        pose, aperture = self.state.pose_at(frame.stamp), self.state.aperture_at(frame.stamp)
        if pose is None or aperture is None:
            return
        self._frame = None
        for source, skew in ((TOOL_POSE, pose.skew), (JOINT_STATE, aperture.skew)):
            if skew > self._mdp.max_skew:
                text = f"{source} {skew:.3f} s away from the image, max_skew {self._mdp.max_skew} s"
                self._refuse(frame.stamp, text)
                return
        try:
            self._question(frame, RobotState(pose.value, aperture.value, self._gripper_closed))
        except QtoptError as error:
            self._refuse(frame.stamp, str(error))

    def _question(self, frame: Frame, robot: RobotState) -> None:
        seen = observe(frame.image, frame.camera, robot, self._view, frame.stamp)
        encoded = encode_observation(seen.image)
        observation = replace(seen, image=decode(encoded))
        self._asks += 1
        self._ask = Ask(self._asks, self._steps, observation, encoded, frame.arrival)
        self.phase = "deciding"
        self._events.append(self._ask)

    def _refuse(self, stamp: float, reason: str) -> None:
        self._refusal = reason
        self._events.append(Refused(stamp, reason))

    def _follow(self, stamp: float, pose: Pose, steady: float) -> None:
        """Feed the step with one measurement and see whether it has ended."""
        assert self._step is not None
        speed, aperture = self.state.speed(), self.state.latest_aperture
        if speed is None or aperture is None:
            return
        cause = self._step.update(Measurement(stamp, pose, speed, aperture[1]))
        command = self._step.gripper_command
        if command is not None and self._wish is not None:
            self._gripper_closed = command
            self._wish = Wish(self._wish.target, command)
        if cause is not None:
            self._end_step(cause, stamp, pose)
            if self.active:
                self._wait(stamp, steady)

    def _end_step(self, cause: EndCause, stamp: float, pose: Pose) -> None:
        assert self._step is not None
        last = self._steps + 1 >= self._mdp.max_steps
        record = self._step.record(cause, stamp, pose, is_terminal=last or cause == "terminate")
        self._step = None
        self._steps += 1
        self._events.append(StepEnded(record))
        if cause == "terminate":
            self._end("terminate", "the policy terminated")
        elif last:
            self._end("max_steps", f"step {self._steps}")

    def _end(self, reason: EndReason, detail: str) -> None:
        if self.active:
            self.phase, self._wish, self._silent, self._step = "idle", None, (), None
            self._frame = self._ask = None
            self._events.append(Ended(reason, detail, self._steps))
