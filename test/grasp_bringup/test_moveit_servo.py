import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter

from conformance.executors import DOUBLE
from grasp_bringup.moveit_servo import POSE, SCENE, STATUS, ServoRequest, ServoScene, status_of
from qtopt_policy.base_node import ERROR, OK, WARN, status
from qtopt_policy.errors import ConfigError
from qtopt_policy.share import resolve
from support.graph import ros_graph

# What is imported with the double must not stay for other tests.
MODULES = ("moveit", "shape_msgs", "grasp_bringup.moveit_scene_node", "grasp_bringup.moveit_servo_node")
BOXES = 7  # of the sim robot's collision scene: table, bin's floor and four walls, a camera's stand


@pytest.mark.parametrize("code", STATUS)
def test_every_documented_code_has_a_name_of_its_own(code: int) -> None:
    assert [other for other in STATUS if STATUS[other][0] == STATUS[code][0]] == [code]


def test_halts_are_errors_and_slowing_down_is_a_warning() -> None:
    for name, level in STATUS.values():
        assert level == ("error" if name.startswith(("halt", "invalid")) else level)
        assert not name.startswith("decelerate") or level == "warn"
    assert status_of(0, "").level == "ok"


def test_an_unknown_code_is_an_error_with_its_number() -> None:
    found = status_of(42, "new")
    assert (found.name, found.level, found.text) == ("code_42", "error", "new")


def test_pose_mode_is_asked_for_until_it_is_granted() -> None:
    mode = ServoRequest(POSE)
    assert not mode.must_ask(False, 0.0)
    assert mode.must_ask(True, 1.0)
    assert not mode.must_ask(True, 1.2)
    assert mode.must_ask(True, 1.6)
    mode.answered(POSE, True)
    assert not mode.must_ask(True, 9.0)


def test_a_restarted_servo_is_asked_again() -> None:
    mode = ServoRequest(POSE)
    mode.must_ask(True, 1.0)
    mode.answered(POSE, True)
    assert not mode.must_ask(False, 2.0)
    assert not mode.settled
    assert mode.must_ask(True, 2.1)


def test_a_pause_is_asked_for_until_servo_agrees() -> None:
    pause = ServoRequest(False)
    pause.want(True)
    assert pause.must_ask(True, 0.1)
    assert not pause.must_ask(True, 0.2)
    pause.answered(True, False)
    assert not pause.settled
    assert pause.must_ask(True, 0.7)
    pause.answered(True, True)
    assert pause.settled
    assert not pause.must_ask(True, 9.0)


def test_a_resume_does_not_wait_for_the_answer_to_the_stop() -> None:
    pause = ServoRequest(False)
    pause.want(True)
    assert pause.must_ask(True, 0.0)
    pause.answered(True, True)
    pause.want(False)
    assert pause.must_ask(True, 0.1)
    assert not pause.settled
    pause.answered(False, True)
    assert pause.settled


def test_a_servo_that_has_said_nothing_is_asked_to_go_on() -> None:
    pause = ServoRequest(False)
    assert not pause.settled
    assert pause.must_ask(True, 0.0)
    pause.answered(False, True)
    assert pause.settled


def test_a_servo_whose_word_on_the_stop_was_lost_is_asked_to_go_on() -> None:
    pause = ServoRequest(False)
    assert pause.must_ask(True, 0.0)
    pause.answered(False, True)
    pause.want(True)
    assert pause.must_ask(True, 0.1)  # it pauses, but its answer does not come
    pause.want(False)
    assert not pause.settled
    assert pause.must_ask(True, 0.2)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_late_word_is_none_on_a_request_that_has_passed_it(stopped: bool) -> None:
    pause = ServoRequest(False)
    for time, wanted in enumerate((stopped, not stopped)):
        pause.want(wanted)
        assert pause.must_ask(True, 0.1 * time)
    pause.answered(stopped, True)  # Servo has yet to do the second request
    assert not pause.settled
    pause.want(stopped)
    assert not pause.settled
    assert pause.must_ask(True, 0.2)


def test_a_servo_that_was_away_at_the_resume_is_asked_to_go_on() -> None:
    pause = ServoRequest(False)
    pause.want(True)
    assert pause.must_ask(True, 0.0)
    pause.answered(True, True)
    assert not pause.must_ask(False, 1.0)  # it may be the same Servo, still paused
    pause.want(False)
    assert not pause.settled
    assert pause.must_ask(True, 1.1)


def test_a_servo_that_starts_anew_is_paused_again() -> None:
    pause = ServoRequest(False)
    pause.want(True)
    assert pause.must_ask(True, 0.0)
    pause.answered(True, True)
    assert not pause.must_ask(False, 1.0)
    assert not pause.settled
    assert pause.must_ask(True, 1.1)


def test_the_scene_is_sent_again_and_again_while_somebody_listens() -> None:
    scene = ServoScene(("table", "bin"))
    assert not scene.must_send(False, 0.0)
    assert scene.must_send(True, 0.1)
    assert not scene.must_send(True, 2.0)
    assert scene.must_send(True, 2.2)


def test_an_object_is_missing_until_servo_names_it_and_when_it_no_longer_does() -> None:
    scene = ServoScene(("table", "bin"))
    scene.made(("bin", "something else"), 1.0)
    assert scene.missing(1.0) == ("table",)
    scene.made(("table",), 7.0)
    assert scene.missing(7.5) == ()
    assert scene.missing(8.5) == ("bin",)


def test_the_scene_goes_where_servo_listens() -> None:
    parameters = yaml.safe_load(resolve(Path("config/moveit/servo.yaml")).read_text())
    assert parameters["monitored_planning_scene_topic"] == SCENE
    assert parameters["is_primary_planning_scene_monitor"]


class Client:
    """A service's client that keeps what it was asked and answers at once, or never."""

    def __init__(self) -> None:
        self.ready, self.requests, self.success = True, [], True  # type: tuple[bool, list[Any], bool]
        self.answers = True

    def service_is_ready(self) -> bool:
        return self.ready

    def call_async(self, request: Any) -> Any:
        self.requests.append(request)
        answer = SimpleNamespace(result=lambda: SimpleNamespace(success=self.success))
        return SimpleNamespace(add_done_callback=lambda done: done(answer) if self.answers else None)


class Scenes:
    """MoveIt Servo's scene monitor: listens, and keeps what it was sent."""

    def __init__(self) -> None:
        self.listeners, self.messages = 1, []  # type: tuple[int, list[Any]]

    def get_subscription_count(self) -> int:
        return self.listeners

    def publish(self, message: Any) -> None:
        self.messages.append(message)


@pytest.fixture
def node(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """moveit_servo_node with doubles of the types that are not on the package index."""
    monkeypatch.syspath_prepend(str(DOUBLE))
    before = dict(os.environ)
    module: Any = importlib.import_module("grasp_bringup.moveit_servo_node")

    class Node(module.MoveItServoNode):  # type: ignore[misc]
        clients_made: dict[str, Client] = {}  # noqa: RUF012
        scenes = Scenes()

        def create_publisher(self, kind: Any, topic: str, qos: Any, **options: Any) -> Any:
            if kind is module.PlanningScene:
                assert (topic, qos.durability.name) == ("planning_scene", "VOLATILE")
                return self.scenes
            return super().create_publisher(kind, topic, qos, **options)

        def create_client(self, kind: Any, name: str) -> Client:
            return self.clients_made.setdefault(name, Client())

        def create_subscription(self, kind: Any, topic: str, callback: Any, qos: Any, **options: Any) -> Any:
            if kind is module.ServoStatus:
                assert topic == "servo_node/status"
                self.on_servo_status = callback
                return None
            if kind is module.PlanningScene:
                assert topic == "servo_node/publish_planning_scene"
                self.on_scene_made = callback
                return None
            return super().create_subscription(kind, topic, callback, qos, **options)

    Node.status_type = module.ServoStatus
    with ros_graph(tmp_path) as graph:
        yield graph.start(Node())
    os.environ.clear()
    os.environ.update(before)
    for name in [name for name in sys.modules if name.startswith(MODULES)]:
        del sys.modules[name]


@pytest.mark.graph
def test_servo_is_sent_the_scene_and_gets_poses_only_when_it_has_it(node: Any) -> None:
    node._check()
    (sent,) = node.scenes.messages
    assert sent.is_diff
    assert sent.robot_state.is_diff
    objects = sent.world.collision_objects
    assert len({item.id for item in objects}) == len(objects) == BOXES
    assert {item.header.frame_id for item in objects} == {"base_link"}
    assert not node.clients_made["servo_node/switch_command_type"].requests
    found = node._statuses["moveit_servo_node: scene"]
    assert found.level == WARN
    assert "table" in found.message
    table = next(item for item in objects if item.id == "table")
    table.operation = table.REMOVE
    node.on_scene_made(sent)
    node._check()
    assert node._statuses["moveit_servo_node: scene"].message == "lacks table"
    assert not node.clients_made["servo_node/switch_command_type"].requests
    table.operation = table.ADD
    node.on_scene_made(sent)
    node._check()
    assert node._statuses["moveit_servo_node: scene"].level == OK
    assert len(node.clients_made["servo_node/switch_command_type"].requests) == 1


@pytest.mark.graph
def test_the_scene_waits_for_servo_to_listen(node: Any) -> None:
    node.scenes.listeners = 0
    node._check()
    assert not node.scenes.messages
    node.scenes.listeners = 1
    node._check()
    assert len(node.scenes.messages) == 1


@pytest.mark.graph
def test_the_node_asks_for_poses_and_reports_what_servo_says(node: Any) -> None:
    node._check()
    node.on_scene_made(node.scenes.messages[0])
    node._check()
    asked = node.clients_made["servo_node/switch_command_type"].requests
    assert [request.command_type for request in asked] == [POSE]
    node._check()
    assert node._statuses["moveit_servo_node: mode"].level == OK
    for code, level in ((0, OK), (4, WARN), (5, ERROR)):
        node.on_servo_status(node.status_type(code=code, message="text"))
        found = node._statuses["moveit_servo_node: status"]
        assert (found.level, found.message) == (level, STATUS[code][0])


@pytest.mark.graph
def test_the_node_pauses_servo_at_a_stop_and_lets_it_go_on(node: Any) -> None:
    for stopped in (0, 1, 1, 0):
        entry = status("arm", OK, "", {"stopped": stopped, "holding": 1})
        node._on_arm_state(DiagnosticArray(status=[entry]))
    assert [r.data for r in node.clients_made["servo_node/pause_servo"].requests] == [False, True, False]


@pytest.mark.graph
def test_the_node_asks_until_servo_goes_on_and_says_so(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is absent at first, loses a word, refuses once, and then agrees."""
    times = iter(range(99))
    monkeypatch.setattr(node, "steady_now", lambda: 0.3 * next(times))
    client = node.clients_made["servo_node/pause_servo"]

    def seen() -> str:
        node._check()
        return str(node._statuses["moveit_servo_node: mode"].message)

    client.ready = False
    assert seen() == "MoveIt Servo has not agreed to move"
    node.on_scene_made(node.scenes.messages[0])
    assert not client.requests
    client.ready, client.answers = True, False
    node._on_arm_state(DiagnosticArray(status=[status("arm", OK, "", {"stopped": 1})]))
    assert seen() == "MoveIt Servo has not agreed to pause"
    client.answers, client.success = True, False
    node._on_arm_state(DiagnosticArray(status=[status("arm", OK, "", {"stopped": 0})]))
    assert seen() == "MoveIt Servo has not agreed to move"
    client.success = True
    assert seen() == "takes poses"
    asked = [request.data for request in client.requests]
    assert (asked[0], asked[-1]) == (True, False)
    assert seen() == "takes poses"
    assert len(client.requests) == len(asked)


@pytest.mark.graph
def test_a_change_is_asked_for_at_once(node: Any) -> None:
    client = node.clients_made["servo_node/pause_servo"]

    def hear(stopped: int) -> str:
        node._on_arm_state(DiagnosticArray(status=[status("arm", OK, "", {"stopped": stopped})]))
        node._report_mode()
        return str(node._statuses["moveit_servo_node: mode"].message)

    assert hear(1) == "paused: the guard has stopped the arm"
    client.success = False
    assert hear(0) == "MoveIt Servo has not agreed to move"
    client.success = True
    node._pause.want(True)  # another change is not held back by the time of the last request
    assert hear(0) == "takes no poses yet"
    client.ready = False
    assert hear(1) == "MoveIt Servo has not agreed to pause"
    client.ready = True
    node._check()
    assert [request.data for request in client.requests] == [True, False, False, True]


@pytest.mark.graph
def test_the_node_refuses_another_real_time_factor(node: Any) -> None:
    node.set_parameters([Parameter("rtf", value=2.0)])
    with pytest.raises(ConfigError, match="must be 1"):
        node.setup()
