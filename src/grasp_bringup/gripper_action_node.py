"""Grippers behind an action: control_msgs/action/GripperCommand and ParallelGripperCommand.

What a server does with a command differs (read in ros2_controllers 94e74de and franka_ros2 29cb85a):
GripperActionController ends a stalled goal as succeeded or aborted, as its `allow_stalling` says, with
`stalled` set; franka_gripper aborts a grasp that ends wider than its goal with neither flag set, and its
result's `position` is the whole opening though the goal's is half of it. So the flags count wherever one is
set, never the status, and the aperture comes from the joint states alone.
"""

import math
from functools import partial
from typing import Any

from rclpy.action import ActionClient

from grasp_bringup.gripper import ServerAnswer
from qtopt_policy.errors import MissingDependencyError
from qtopt_policy.robot import GripperDrive, RobotConfig

# Of action_msgs/msg/GoalStatus.
ENDS = {4: "succeeded", 5: "canceled", 6: "aborted"}
NAMES: dict[GripperDrive, str] = {
    "gripper_command": "GripperCommand",
    "parallel_gripper_command": "ParallelGripperCommand",
}


def action_type(kind: GripperDrive) -> Any:
    """Return the action's type.

    Raises:
        MissingDependencyError: control_msgs is not installed, or too old to have it.
    """
    mend = "apt install ros-$ROS_DISTRO-control-msgs (it is not on PyPI), or gripper_command: topic"
    try:
        from control_msgs import action
    except ImportError as error:
        raise MissingDependencyError(f"gripper_command '{kind}' needs control_msgs: {mend}") from error
    found = getattr(action, NAMES[kind], None)
    if found is None:
        raise MissingDependencyError(
            f"gripper_command '{kind}': the installed control_msgs has no action/{NAMES[kind]} (ROS 2 Jazzy "
            f"and newer have); {mend}"
        )
    return found


class ActionDrive:
    """Sends each command as one goal and keeps the answer to the latest.

    A goal runs until its result has come; `abandon` cancels it. Answers to goals that were given up before
    they answered are ignored, and such a goal is cancelled as soon as it is accepted.
    """

    served = True

    def __init__(self, node: Any, robot: RobotConfig) -> None:
        self._kind = robot.gripper_command
        self._type = action_type(self._kind)
        self._joint = robot.gripper.joints[0]
        self._effort = robot.gripper.max_effort
        self._name = robot.gripper_topic
        self._client = ActionClient(node, self._type, robot.gripper_topic)
        self._number = 0
        self._handle: Any = None
        self._busy = self._cancelling = False
        self._answer: ServerAnswer | None = None

    @property
    def busy(self) -> bool:
        """Whether the latest goal has no result yet."""
        return self._busy

    def obstacle(self) -> str:
        """Return why no goal can be sent now, "" where one can."""
        ready = self._client.server_is_ready()
        return "" if ready else f"no action server of {NAMES[self._kind]} on {self._name}"

    def send(self, close: bool, position: float) -> None:
        """Send a goal for the gripper's first joint [m or rad]."""
        self._number += 1
        self._handle, self._answer = None, None
        self._busy, self._cancelling = True, False
        future = self._client.send_goal_async(self._goal(position))
        future.add_done_callback(partial(self._on_response, self._number))

    def _goal(self, position: float) -> Any:
        goal = self._type.Goal()
        if self._kind == "gripper_command":
            goal.command.position = position
            goal.command.max_effort = self._effort
        else:
            goal.command.name = [self._joint]
            goal.command.position = [position]
            goal.command.effort = [self._effort]
        return goal

    def answer(self) -> ServerAnswer | None:
        """Return the answer to the latest goal, once; None while there is none."""
        answer, self._answer = self._answer, None
        return answer

    def abandon(self, at_once: bool) -> None:
        """Cancel the running goal, once; `at_once` takes it as ended without waiting for the server."""
        if self._busy and not self._cancelling:
            self._cancelling = True
            if self._handle is not None:
                self._handle.cancel_goal_async()
        if at_once:
            self._number += 1
            self._busy = False

    def _on_response(self, number: int, future: Any) -> None:
        handle = future.result()
        given_up = number != self._number
        if not handle.accepted:
            if not given_up:
                self._end(ServerAnswer(accepted=False, detail="rejected"))
            return
        if given_up or self._cancelling:
            handle.cancel_goal_async()
        if not given_up:
            self._handle = handle
            handle.get_result_async().add_done_callback(partial(self._on_result, number))

    def _on_result(self, number: int, future: Any) -> None:
        if number != self._number:
            return
        response = future.result()
        result = response.result
        self._end(
            ServerAnswer(
                accepted=True,
                stalled=bool(result.stalled),
                reached=bool(result.reached_goal),
                effort=_effort(result, self._kind),
                detail=ENDS.get(response.status, f"status {response.status}"),
            )
        )

    def _end(self, answer: ServerAnswer) -> None:
        self._busy = False
        self._answer = answer


def _effort(result: Any, kind: GripperDrive) -> float | None:
    efforts = [result.effort] if kind == "gripper_command" else list(result.state.effort[:1])
    known = [abs(float(value)) for value in efforts if math.isfinite(value) and value != 0.0]
    return known[0] if known else None
