"""A gripper's action server over ROS, with control_msgs; same interface as gripper_server.DoubleServer."""

from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node
from rclpy.task import Future

from grasp_bringup.gripper_action_node import action_type
from support.graph import Graph
from support.gripper_server import ABORTED, CANCELED, SUCCEEDED, fill_result, read_goal


class RealServer:
    """A real action server of a gripper; attributes as DoubleServer."""

    def __init__(self, kind: Any, graph: Graph, name: str) -> None:
        self.kind, self.graph = kind, graph
        self.goals: list[tuple[float, float]] = []
        self.cancels = 0
        self.accept = True
        self.node = graph.add(Node("gripper_driver"))
        self._type = action_type(kind)
        self._future: Any = None
        self._server = ActionServer(
            self.node,
            self._type,
            name,
            self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
        )

    def _on_goal(self, goal: Any) -> Any:
        self.goals.append(read_goal(self.kind, goal))
        return GoalResponse.ACCEPT if self.accept else GoalResponse.REJECT

    def _on_cancel(self, handle: Any) -> Any:
        self.cancels += 1
        self.finish(CANCELED)
        return CancelResponse.ACCEPT

    async def _execute(self, handle: Any) -> Any:
        future = self._future = Future()
        status, stalled, reached, effort = await future
        end = {SUCCEEDED: handle.succeed, ABORTED: handle.abort, CANCELED: handle.canceled}[status]
        end()
        return fill_result(self.kind, self._type.Result(), stalled, reached, effort)

    def settle(self) -> None:
        """Let everything arrive that is on its way."""
        self.graph.spin(0.5)

    def finish(self, status: int, stalled: bool = False, reached: bool = False, effort: float = 0.0) -> None:
        """End the running goal; `settle` brings the result to the client."""
        if not self._future.done():
            self._future.set_result((status, stalled, reached, effort))
