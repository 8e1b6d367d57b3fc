"""A gripper's action server that does what it is told: a strict double, and a real one over ROS.

The double stands for control_msgs and rclpy.action where control_msgs is not installed. It enforces what the
real ones do: fields have names and types, a goal needs a server, a result is asked for once and only of an
accepted goal, a goal ends once, and only a running goal can be cancelled.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

EXECUTING, SUCCEEDED, CANCELED, ABORTED = 2, 4, 5, 6  # action_msgs/msg/GoalStatus


def _record(title: str, /, **fields: type) -> type:
    """Return a class that takes only the given fields, and only values of their types, as rosidl's do."""

    def init(self: Any) -> None:
        for key, kind in fields.items():
            object.__setattr__(self, key, kind())

    def assign(self: Any, key: str, value: object) -> None:
        if key not in fields:
            raise AttributeError(f"'{title}' object has no attribute '{key}'")
        if not isinstance(value, fields[key]):
            raise AssertionError(f"{title}.{key} must be {fields[key].__name__}, found {value!r}")
        object.__setattr__(self, key, value)

    return type(title, (), {"__init__": init, "__setattr__": assign})


_Command = _record("GripperCommand_Command", position=float, max_effort=float)
_State = _record("JointState", name=list, position=list, velocity=list, effort=list)


class GripperCommand:
    """control_msgs/action/GripperCommand (control_msgs 13dacdd)."""

    Goal = _record("GripperCommand_Goal", command=_Command)
    Result = _record("GripperCommand_Result", position=float, effort=float, stalled=bool, reached_goal=bool)


class ParallelGripperCommand:
    """control_msgs/action/ParallelGripperCommand (control_msgs 13dacdd)."""

    Goal = _record("ParallelGripperCommand_Goal", command=_State)
    Result = _record("ParallelGripperCommand_Result", state=_State, stalled=bool, reached_goal=bool)


TYPES: dict[str, Any] = {
    "gripper_command": GripperCommand,
    "parallel_gripper_command": ParallelGripperCommand,
}


def fill_result(kind: str, result: Any, stalled: bool, reached: bool, effort: float) -> Any:
    """Fill in an action's result, real or double."""
    result.stalled, result.reached_goal = stalled, reached
    if kind == "gripper_command":
        result.effort = effort
    else:
        result.state.effort = [effort]
    return result


def read_goal(kind: str, goal: Any) -> tuple[float, float]:
    """Return position and effort of a goal; refuse one as the real controllers do."""
    command = goal.command
    if kind == "gripper_command":
        return command.position, command.max_effort
    assert len(command.name) == len(command.position) == len(command.effort) == 1, "one joint per goal"
    return command.position[0], command.effort[0]


class DoubleFuture:
    """A future of rclpy: callbacks run once it is done."""

    def __init__(self) -> None:
        self._result: Any = None
        self._done = False
        self._callbacks: list[Callable[[Any], None]] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if self._done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def set_result(self, result: Any) -> None:
        assert not self._done, "a future has one result"
        self._result, self._done = result, True
        for callback in self._callbacks:
            callback(self)

    def result(self) -> Any:
        assert self._done, "result() of a future that is not done blocks for ever in a callback"
        return self._result


class DoubleGoal:
    """A goal: what the client holds (rclpy's ClientGoalHandle) and its state in the server."""

    def __init__(self, server: "DoubleServer", accepted: bool) -> None:
        self.accepted = accepted
        self.status = EXECUTING
        self._server = server
        self._result: DoubleFuture | None = None

    def get_result_async(self) -> DoubleFuture:
        assert self.accepted, "a rejected goal has no result"
        assert self._result is None, "the result is asked for once"
        self._result = DoubleFuture()
        return self._result

    def cancel_goal_async(self) -> DoubleFuture:
        assert self.accepted, "a rejected goal cannot be cancelled"
        future = DoubleFuture()
        self._server.cancel(self, future)
        return future

    def end(self, status: int, result: Any) -> None:
        assert self.status == EXECUTING, "a goal ends once"
        assert status in (SUCCEEDED, CANCELED, ABORTED)
        self.status = status
        if self._result is not None:
            self._result.set_result(SimpleNamespace(status=status, result=result))


class DoubleServer:
    """A strict double of a gripper's action server with its client.

    Attributes:
        goals: position and effort of all goals that came in.
        cancels: cancel requests that came in.
        ready, accept, answering: whether the server is there, takes goals, and responds to them at all.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.goals: list[tuple[float, float]] = []
        self.cancels = 0
        self.ready = self.accept = self.answering = True
        self._todo: list[Callable[[], None]] = []
        self._running: DoubleGoal | None = None

    def client(self, node: object, action_type: Any, name: str) -> "DoubleServer":
        """Stand for rclpy.action.ActionClient(node, action_type, name)."""
        assert action_type is TYPES[self.kind]
        assert name
        return self

    def server_is_ready(self) -> bool:
        return self.ready

    def send_goal_async(self, goal: Any) -> DoubleFuture:
        assert self.ready, "a goal without a server is lost"
        assert isinstance(goal, TYPES[self.kind].Goal)
        future = DoubleFuture()
        self.goals.append(read_goal(self.kind, goal))
        self._todo.append(lambda: self._respond(future))
        return future

    def _respond(self, future: DoubleFuture) -> None:
        goal = DoubleGoal(self, self.accept)
        if goal.accepted:
            if self._running is not None and self._running.status == EXECUTING:
                self._running.end(CANCELED, TYPES[self.kind].Result())  # preempted
            self._running = goal
        future.set_result(goal)

    def cancel(self, goal: DoubleGoal, future: DoubleFuture) -> None:
        self.cancels += 1

        def act() -> None:
            if goal.status == EXECUTING:
                goal.end(CANCELED, TYPES[self.kind].Result())
            future.set_result(SimpleNamespace())

        self._todo.append(act)

    def settle(self) -> None:
        """Let everything arrive that is on its way."""
        while self.answering and self._todo:
            self._todo.pop(0)()

    def finish(self, status: int, stalled: bool = False, reached: bool = False, effort: float = 0.0) -> None:
        """End the running goal."""
        assert self._running is not None
        result = fill_result(self.kind, TYPES[self.kind].Result(), stalled, reached, effort)
        self._running.end(status, result)
        self.settle()
