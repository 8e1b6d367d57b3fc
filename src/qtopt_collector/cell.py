"""What the collector knows of the robot and the other nodes, and what it asks of them. No ROS."""

import json
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.errors import BagError, QtoptError
from qtopt_policy.geometry import Pose
from qtopt_policy.mdp import EndReason
from qtopt_policy.robot import GripperConfig
from qtopt_policy.state_buffer import StateBuffer
from qtopt_policy.step_rule import Measurement
from qtopt_policy.topics import DEAD_MAN

# A procedure that waits by yielding; the collector goes on with it at every tick.
Script = Generator[None, None, None]
RequestKind = Literal["own", "resume", "reset", "prepare", "run", "cancel"]
Value = str | int | float

ANSWER_TIMEOUT = 30.0  # [s] of steady time
# A refusal is asked about again for so long [s, steady]: the other node may still be starting or ending.
REFUSAL_PATIENCE = 5.0
REFUSAL_PAUSE = 0.2
STALE = 1.0  # [s] an arm or fingers that nobody has told of for so long are not known


class Aborted(Exception):  # noqa: N818 (an outcome of an episode, not an error)
    """The episode, or the way to it, has ended without a verdict."""

    def __init__(self, reason: EndReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: EndReason = reason


@dataclass(frozen=True)
class Reply:
    """Answer to a request: done or not, and what the other node says."""

    done: bool
    message: str = ""


@dataclass(eq=False)
class Request:
    """Something that another node is to do.

    Attributes:
        kind: own: give the arm to `owner`; resume: end a stop of the arm; reset: place the scene `seed` of
            `split`; prepare: set the policy's parameters `values`; run, cancel: the policy's episode.
        values: arguments.
        reply: None while there is none.
        given_up: nobody waits for the reply any more: what has not been sent yet must not be.
    """

    kind: RequestKind
    values: Mapping[str, Value] = field(default_factory=dict)
    reply: Reply | None = None
    given_up: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A camera image: RGB uint8, shape (H, W, 3), and its stamp [s]."""

    image: NDArray[np.uint8]
    stamp: float


class Cell:
    """The latest of everything that arrives; the node fills it in.

    Attributes:
        now, steady: ROS time and steady time [s].
        state: tool poses and apertures of the last seconds.
        stalled: whether the driver says that the last command to the gripper ended before its goal; None: it
            does not say, or not yet.
        gripper_closed: last command to the gripper, None before the first.
        arm: values of arm/state.
        episode: values of policy/episode, with `detail` for people.
        truth: values of sim/truth, with `stamp` [s].
        silent: watched nodes whose heartbeat has stopped or never came.
        picture: latest image, None before the first.
        picture_wanted: whether images are to be decoded into `picture` now.
        requests: not yet taken by the node.
    """

    def __init__(self, gripper: GripperConfig) -> None:
        self.now = self.steady = 0.0
        self.state = StateBuffer(gripper)
        self._joint_effort: float | None = None
        self._told_effort: float | None = None
        self.stalled: bool | None = None
        self.gripper_closed: bool | None = None
        self.arm: dict[str, str] = {}
        self.episode: dict[str, str] = {}
        self.truth: dict[str, str] = {}
        self.silent: tuple[str, ...] = ()
        self.picture: Picture | None = None
        self.picture_wanted = False
        self.requests: list[Request] = []

    @property
    def effort(self) -> float | None:
        """Magnitude of the grip force [N], None where nobody tells it.

        What the driver said at the end of the last command counts; else the newest of the joint states.
        """
        return self._joint_effort if self._told_effort is None else self._told_effort

    def measurement(self) -> Measurement | None:
        """Return the newest state of tool and gripper, None while something has not arrived."""
        pose, aperture, speed = self.state.latest_pose, self.state.latest_aperture, self.state.speed()
        if pose is None or aperture is None or speed is None:
            return None
        return Measurement(pose[0], pose[1], speed, aperture[1])

    @property
    def tool_pose(self) -> Pose:
        """The newest tool pose; only once `obstacle` has not said that there is none."""
        state = self.measurement()
        assert state is not None
        return state.tool_pose

    @property
    def stopped(self) -> str:
        """Why the arm is stopped, "" where it is not."""
        return (self.arm.get("reason") or "unknown") if self.arm.get("stopped") == "1" else ""

    @property
    def _let_go(self) -> bool:
        """Whether the dead-man switch is released: what is judged meanwhile says nothing of a grasp."""
        return self.arm.get("reason", "").startswith(DEAD_MAN)

    @property
    def _stale(self) -> str:
        """What is known of arm and fingers only as it was a while ago; "" where all is fresh.

        Arm and fingers may be told of by different drivers: one of them may be dead.
        """
        latest = (
            ("no tool pose for", self.state.latest_pose),
            ("no gripper position for", self.state.latest_aperture),
        )
        ages = ((text, self.now - known[0]) for text, known in latest if known is not None)
        return next((f"{text} {age:.1f} s" for text, age in ages if age > STALE), "")

    @property
    def obstacle(self) -> str:
        """What keeps the arm from moving, "" where nothing does."""
        if self.silent:
            return f"no heartbeat of {', '.join(self.silent)}"
        if self.measurement() is None:
            return "no tool pose or gripper position yet"
        if stale := self._stale:
            return stale
        if self.stopped:
            return f"the arm is stopped: {self.stopped}"
        if self.arm.get("armed") == "0":
            return "the arm is not armed"
        return self.arm["reason"] if self._let_go else ""

    def require(self) -> None:
        """Raise Aborted where a node has died or the arm was stopped, disarmed or let go of."""
        obstacle = self.obstacle
        if not obstacle:
            return
        by_hand = self._let_go or self.arm.get("reason") in ("operator", "not armed")
        stopped: EndReason = "operator" if by_hand else "watchdog"
        raise Aborted("node_died" if self.silent else stopped, obstacle)

    def hear_gripper(self, close: bool) -> None:
        """Take a command to the gripper; what was said of an earlier one no longer holds."""
        if close is not self.gripper_closed:
            self.gripper_closed, self.stalled, self._told_effort = close, None, None

    def hear_joint_effort(self, effort: float) -> None:
        """Take the effort of the gripper's joint [N]; zero and NaN come from drivers that measure none."""
        self._joint_effort = abs(effort) if math.isfinite(effort) and effort != 0.0 else None

    def hear_result(self, values: Mapping[str, str]) -> None:
        """Take a message of gripper/result: how a command to the gripper ended.

        Raises:
            BagError: it has not the form of such a message; nothing of it is taken.
        """
        try:
            command, stalled = values["command"], json.loads(values["stalled"])
            effort = json.loads(values["effort"])
            effort = None if effort is None else float(effort)
        except (KeyError, ValueError, TypeError) as error:
            raise BagError(f"no result of a command: {dict(values)}: {error!r}") from error
        if command not in ("open", "close") or stalled not in (True, False, None):
            raise BagError(f"no result of a command: {dict(values)}")
        if (command == "close") is not self.gripper_closed:
            return
        self.stalled = stalled
        self._told_effort = effort

    def hear_episode(self, values: Mapping[str, str]) -> None:
        """Take a message of policy/episode; what an earlier one of the same episode said stays known."""
        same = values.get("episode_id") == self.episode.get("episode_id")
        known = self.episode if same else {}
        self.episode = known | {key: value for key, value in values.items() if value}

    def ask(self, kind: RequestKind, **values: Value) -> Script:
        """Ask another node, more than once if need be, until it has done so.

        Raises:
            Aborted: it does not answer, or `require` fails meanwhile.
            QtoptError: it keeps refusing: something is configured wrong.
        """
        patience = self.steady + REFUSAL_PATIENCE
        while not (reply := (yield from self._request(kind, values))).done:
            if self.steady > patience:
                raise QtoptError(f"'{kind}' {dict(values)} was refused: {reply.message}")
            again = self.steady + REFUSAL_PAUSE
            while self.steady < again:
                yield
                self.require()

    def _request(self, kind: RequestKind, values: Mapping[str, Value]) -> Generator[None, None, Reply]:
        request = Request(kind, values)
        self.requests.append(request)
        end = self.steady + ANSWER_TIMEOUT
        try:
            while request.reply is None:
                yield
                self.require()
                if self.steady > end:
                    raise Aborted("node_died", f"no answer to '{kind}' within {ANSWER_TIMEOUT} s")
        finally:
            request.given_up = request.reply is None
        return request.reply

    def urge(self, kind: RequestKind, patience: float, **values: Value) -> Script:
        """Ask another node, dead or alive; wait for an answer for `patience` [s], whatever it is."""
        request = Request(kind, values)
        self.requests.append(request)
        end = self.steady + patience
        try:
            while request.reply is None and self.steady < end:
                yield
        finally:
            request.given_up = request.reply is None
