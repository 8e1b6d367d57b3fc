"""gripper_node with each way to drive fingers: what goes out on an edge, and the result that comes back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory

from grasp_bringup import gripper_action_node
from grasp_bringup.gripper_node import GripperNode
from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, LATEST_QOS, RECORD_QOS, as_dict
from qtopt_policy.share import resolve
from support.graph import Graph, ros_graph
from support.gripper_server import ABORTED, SUCCEEDED, TYPES, DoubleServer

pytestmark = pytest.mark.graph


class Fingers(Node):  # type: ignore[misc]
    """Wishes for `close` at 50 Hz, publishes the fingers at `finger` and keeps what gripper_node sends."""

    def __init__(self) -> None:
        super().__init__("fingers")
        self.close: bool | None = None
        self.finger = 0.04
        self.trajectories: list[JointTrajectory] = []
        self.results: list[dict[str, str]] = []
        self._joints = self.create_publisher(JointState, topics.JOINT_STATES, RECORD_QOS)
        self._close = self.create_publisher(Bool, topics.GRIPPER_CLOSE, LATEST_QOS)
        self.create_subscription(JointTrajectory, "hand/joint_trajectory", self._on_command, RECORD_QOS)
        self.create_subscription(DiagnosticArray, topics.GRIPPER_RESULT, self._on_result, LATCHED_QOS)
        self.create_timer(0.02, self._tick)

    def _on_command(self, message: JointTrajectory) -> None:
        self.trajectories.append(message)
        self.finger = message.points[-1].positions[0]

    def _on_result(self, message: DiagnosticArray) -> None:
        self.results.append(as_dict(message.status[0]))

    def _tick(self) -> None:
        joints = JointState(name=["finger_joint1"], position=[self.finger])
        joints.header.stamp = self.get_clock().now().to_msg()
        self._joints.publish(joints)
        if self.close is not None:
            self._close.publish(Bool(data=self.close))


def robot_file(folder: Path, **changes: object) -> Path:
    data = yaml.safe_load(resolve(Path("config/robots/sim.yaml")).read_text()) | changes
    path = folder / "robot.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture
def graph(tmp_path: Path, request: Any) -> Iterator[Graph]:
    rules = [f"gripper_node:robot:={robot_file(tmp_path, **request.param)}", "gripper_node:deadline:=5.0"]
    with ros_graph(tmp_path, rules) as graph:
        yield graph


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> DoubleServer:
    """A gripper's action server behind the node."""
    server = DoubleServer("gripper_command")
    monkeypatch.setattr(gripper_action_node, "ActionClient", server.client)
    monkeypatch.setattr(gripper_action_node, "action_type", TYPES.__getitem__)
    return server


TRAJECTORY = {
    "gripper_topic": "hand/joint_trajectory",
    "driver": {"gripper_message": "JointTrajectory", "stroke_time": 0.3},
}
SLOW = {**TRAJECTORY, "driver": {"gripper_message": "JointTrajectory", "gripper_reaction_time": 0.6}}
ACTION = {"gripper_topic": "hand/gripper_cmd", "gripper_command": "gripper_command"}


@pytest.mark.parametrize("graph", [TRAJECTORY], indirect=True, ids=["trajectory"])
def test_a_trajectory_goes_out_once_per_edge_and_its_end_is_published(graph: Graph) -> None:
    fingers = graph.add(Fingers())
    graph.start(GripperNode())
    fingers.close = True
    graph.spin_until(lambda: bool(fingers.results), "result")
    assert len(fingers.trajectories) == 1
    (message,) = fingers.trajectories
    assert list(message.joint_names) == ["finger_joint1"]
    assert list(message.points[0].positions) == [0.0]
    assert message.points[0].time_from_start.nanosec == 300_000_000
    assert set(fingers.results[0]) == set(topics.GRIPPER_RESULT_KEYS)
    assert (fingers.results[0]["command"], fingers.results[0]["outcome"]) == ("close", "reached")
    assert fingers.results[0]["stalled"] == "null"


@pytest.mark.parametrize("graph", [SLOW], indirect=True, ids=["slow"])
def test_fingers_that_do_not_move_are_waited_for_as_the_robot_file_says(graph: Graph) -> None:
    fingers = graph.add(Fingers())
    graph.start(GripperNode())
    fingers.close = False  # as they are already
    graph.spin_until(lambda: bool(fingers.results), "result")
    assert fingers.results[0]["outcome"] == "reached"
    assert 0.55 < float(fingers.results[0]["duration"]) < 2.0


@pytest.mark.parametrize("graph", [ACTION], indirect=True, ids=["action"])
def test_an_action_tells_a_stall_and_the_next_edge_waits_for_its_end(
    graph: Graph, server: DoubleServer
) -> None:
    fingers = graph.add(Fingers())
    graph.start(GripperNode())
    fingers.close = False
    graph.spin_until(lambda: bool(server.goals), "goal to open")
    server.settle()
    fingers.close = True  # before opening has ended: that goal is cancelled first

    def settled_goals() -> int:
        server.settle()
        return len(server.goals)

    graph.spin_until(lambda: settled_goals() == 2, "goal to close")
    assert server.cancels == 1
    assert [position for position, _ in server.goals] == [0.04, 0.0]
    fingers.finger = 0.015
    graph.spin(0.2)
    server.finish(ABORTED, stalled=True, effort=22.0)
    graph.spin_until(lambda: bool(fingers.results), "result")
    result = fingers.results[-1]
    assert (result["outcome"], result["stalled"], result["effort"]) == ("stalled", "true", "22.0")
    assert float(result["aperture"]) == pytest.approx(0.03, abs=1e-3)


def test_an_action_without_a_result_is_cancelled_and_sent_again(tmp_path: Path, server: DoubleServer) -> None:
    rules = [f"gripper_node:robot:={robot_file(tmp_path, **ACTION)}", "gripper_node:deadline:=0.5"]
    with ros_graph(tmp_path, rules) as graph:
        fingers = graph.add(Fingers())
        graph.start(GripperNode())
        fingers.close = False

        def settled_goals() -> int:
            server.settle()
            return len(server.goals)

        graph.spin_until(lambda: settled_goals() == 2, "second goal to open")
        assert server.cancels == 1
        assert [position for position, _ in server.goals] == [0.04, 0.04]
        server.finish(SUCCEEDED, reached=True)
        graph.spin_until(lambda: len(fingers.results) == 2, "both results")
    assert [result["outcome"] for result in fingers.results] == ["deadline", "reached"]


@pytest.mark.parametrize("graph", [ACTION], indirect=True, ids=["action"])
def test_a_missing_server_is_reported_until_it_is_there(graph: Graph, server: DoubleServer) -> None:
    server.ready = False
    fingers = graph.add(Fingers())
    seen: list[str] = []
    fingers.create_subscription(
        DiagnosticArray,
        topics.DIAGNOSTICS,
        lambda message: seen.extend(entry.message for entry in message.status),
        RECORD_QOS,
    )
    graph.start(GripperNode())
    fingers.close = True
    graph.spin_until(lambda: any("no action server of GripperCommand" in text for text in seen), "report")
    assert server.goals == []
    server.ready = True
    graph.spin_until(lambda: len(server.goals) == 1, "goal")
