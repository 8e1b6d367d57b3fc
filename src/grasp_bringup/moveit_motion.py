"""One move after another: wait for a state, plan a straight line, execute it, stop in time (no ROS).

MoveIt cannot be interrupted while it plans, and its `execute` returns at the end of the motion. So a thread
of its own waits for targets and plans; another one executes, while the first looks every 20 ms whether it
must stop. Targets are level-triggered: the latest one wins between moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from threading import Event, Thread
from typing import Protocol

from grasp_bringup.kinematics import Kinematics
from grasp_bringup.moveit_inputs import MoveConfig, MoveInputs
from grasp_bringup.moveit_path import step_towards
from qtopt_policy.errors import QtoptError
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import Limits

POLL = 0.02  # [s] between looks whether to stop
IDLE = 0.005  # [s] between looks for a target
GIVE_UP = 2.0  # [s] after which an execution that goes on in spite of a stop is given up
SAME_POSITION, SAME_ANGLE = 0.0005, 0.005  # targets this close are one [m, rad]
REST_SPEED = 0.05  # Pilz refuses to start from more than 0.1 [rad/s]
SUCCEEDED = "SUCCEEDED"


class MoveError(QtoptError):
    """A move failed. `name` is its status in the diagnostics, the message holds the values."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail)
        self.name = name


@dataclass(frozen=True, eq=False)
class Planned:
    """A trajectory of whatever type the arm executes, and how long it takes [s]."""

    trajectory: object
    duration: float


class Arm(Protocol):
    """What plans and moves. Failures are MoveError; anything else that is raised counts as `moveit_error`."""

    def wait_for_state(self, since: int, timeout: float) -> bool:
        """Return whether a robot state newer than `since` [ns] arrived within `timeout` [s]."""

    def plan(self, goal: Pose) -> Planned:
        """Plan a straight line from the current state, at rest, to the tool pose `goal` (base frame)."""

    def execute(self, planned: Planned) -> str:
        """Execute; return the controller's word at the end, SUCCEEDED if all went well."""

    def stop(self) -> None:
        """Stop what is being executed; from any thread, also where nothing is."""


class MoveLoop:
    """Moves an arm to the latest target.

    Args:
        arm: plans and executes.
        inputs: targets and joint states; findings go there.
        kinematics: of the arm, used by this loop's thread alone.
        limits: of one step.
        config: thresholds.
        now: ROS time [ns].
    """

    def __init__(
        self,
        arm: Arm,
        inputs: MoveInputs,
        kinematics: Kinematics,
        limits: Limits,
        config: MoveConfig,
        now: Callable[[], int],
    ) -> None:
        self._arm, self._inputs, self._config, self._now = arm, inputs, config, now
        self._kinematics, self._limits = kinematics, limits
        self._closed = Event()
        self._reached: Pose | None = None
        self._failed: tuple[Pose, float] | None = None
        self._execution: Thread | None = None
        self._thread: Thread | None = None
        self.state = "at rest"
        self.moves = 0

    def start(self) -> None:
        """Begin to move, in a thread."""
        self._thread = Thread(target=self._run, name="moves", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the arm and end the threads, as far as they end within GIVE_UP."""
        self._closed.set()
        self._inputs.hold("the node ends")
        for thread in (self._thread, self._execution):
            if thread is not None:
                thread.join(GIVE_UP)

    def _run(self) -> None:
        while not self._closed.is_set():
            if not self.step():
                self._closed.wait(IDLE)

    def step(self) -> bool:
        """Make one move if there is a target that is not reached; return whether one was tried."""
        wanted = self._inputs.wanted()
        if wanted is None:
            self._reached = None  # after a pause the same target is a new wish
            return False
        if self._execution is not None and self._execution.is_alive():
            self.state = "stuck: an execution goes on in spite of the stop"
            return False
        target, q = wanted
        measured = self._kinematics.forward(q)
        if self._is_done(target, measured):
            return False
        goal = step_towards(measured, target, self._limits)
        try:
            self._move(goal)
        except MoveError as error:
            self._fail(target, error.name, str(error))
        except Exception as error:  # pybind11 turns what C++ throws into exceptions of many types
            self._fail(target, "moveit_error", f"{type(error).__name__}: {error}")
        else:
            self._failed = None
            self._reached = goal
            self.moves += 1
        self.state = "at rest"
        return True

    def _is_done(self, target: Pose, measured: Pose) -> bool:
        if _same(target, measured) or (self._reached is not None and _same(target, self._reached)):
            return True
        if self._failed is None or not _same(target, self._failed[0]):
            return False
        return self._inputs.steady() - self._failed[1] < self._config.retry_time

    def _fail(self, target: Pose, name: str, detail: str) -> None:
        self._inputs.note(name, detail)
        self._reached = None
        self._failed = None if name == "stopped" else (target, self._inputs.steady())

    def _move(self, goal: Pose) -> None:
        holds = self._inputs.holds()
        self.state = "waiting for a robot state"
        self._wait_for_state(holds)
        self.state = "planning"
        with self._inputs.deaf():
            planned = self._arm.plan(goal)
            self._listen(holds)
        self._go_on(holds)  # planning took its time: a stop may have come, the target may be old by now
        self.state = "moving"
        self._execute(planned, holds)

    def _listen(self, holds: int) -> None:
        """Let in what has waited while MoveIt kept Python's lock: a stop, targets, joint states.

        The thread that takes them in needs a while for it, and the machine may keep it waiting: a joint state
        shows that it runs again. MoveError if none comes in.
        """
        heard, timeout = self._inputs.heard(), self._config.joint_timeout
        self._closed.wait(POLL)
        for _ in range(ceil(timeout / IDLE)):
            if self._inputs.heard() != heard or self._closed.is_set():
                return
            self._closed.wait(IDLE)
        self._go_on(holds)
        raise MoveError("stale_state", f"no joint state within {timeout} s after planning")

    def _go_on(self, holds: int) -> None:
        """Raise MoveError if the arm must stand still."""
        reason = "the node ends" if self._closed.is_set() else self._inputs.stop_reason(holds)
        if reason:
            raise MoveError("stopped", reason)

    def _wait_for_state(self, holds: int) -> None:
        """Wait for a new state, at rest; in short pieces, because MoveIt keeps Python's lock meanwhile."""
        end = self._inputs.steady() + self._config.state_timeout
        since = self._now()
        while True:
            fresh = self._arm.wait_for_state(since, POLL)
            speed = self._inputs.joint_speed()
            if fresh and speed <= REST_SPEED:
                return
            self._go_on(holds)
            if self._inputs.steady() >= end:
                limit = self._config.state_timeout
                if fresh:
                    raise MoveError("not_at_rest", f"{speed:.3f} rad/s after {limit} s of waiting")
                raise MoveError("stale_state", f"no robot state within {limit} s")
            if fresh:
                self._closed.wait(IDLE)
                since = self._now()

    def _execute(self, planned: Planned, holds: int) -> None:
        ends: list[str] = []
        thread = Thread(target=self._call_execute, args=(planned, ends), name="execution", daemon=True)
        allowed = 1.5 * planned.duration + self._config.execution_margin
        begun = self._inputs.steady()
        self._execution = thread
        thread.start()
        failure: MoveError | None = None
        given_up = float("inf")
        while thread.is_alive():
            thread.join(POLL)
            now = self._inputs.steady()
            if failure is None and thread.is_alive():
                failure = self._must_stop(holds, now - begun, allowed)
                given_up = now + GIVE_UP if failure is not None else given_up
            if failure is not None and thread.is_alive():
                self._arm.stop()  # again and again: one that comes before the start is forgotten
            if now > given_up:
                raise MoveError("stuck", f"the execution goes on {GIVE_UP} s after the stop: {failure}")
        if failure is not None:
            raise failure
        status = ends[0] if ends else "no status"
        if status != SUCCEEDED:
            raise MoveError("execution", status)

    def _must_stop(self, holds: int, elapsed: float, allowed: float) -> MoveError | None:
        try:
            self._go_on(holds)
        except MoveError as error:
            return error
        if elapsed > allowed:
            return MoveError("overdue", f"not at its end after {elapsed:.2f} s, {allowed:.2f} s are allowed")
        return None

    def _call_execute(self, planned: Planned, ends: list[str]) -> None:
        try:
            ends.append(self._arm.execute(planned))
        except Exception as error:
            ends.append(f"{type(error).__name__}: {error}")


def _same(a: Pose, b: Pose) -> bool:
    return a.distance(b) <= SAME_POSITION and a.angle(b) <= SAME_ANGLE
