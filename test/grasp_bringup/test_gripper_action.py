"""ActionDrive against an action server: a strict double, and the real types where control_msgs is there."""

import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grasp_bringup import gripper_action_node
from grasp_bringup.gripper_action_node import ActionDrive, action_type
from grasp_bringup.gripper_drive_node import make_drive
from qtopt_policy.errors import MissingDependencyError
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from support.graph import ros_graph
from support.gripper_server import ABORTED, SUCCEEDED, TYPES, DoubleServer

REAL = importlib.util.find_spec("control_msgs") is not None
KINDS = ("gripper_command", "parallel_gripper_command")
SIM = load_robot(resolve(Path("config/robots/sim.yaml")))

Cell = tuple[ActionDrive, Any]


def robot(kind: Any) -> RobotConfig:
    return dataclasses.replace(SIM, gripper_command=kind, gripper_topic="gripper_controller/gripper_cmd")


@pytest.fixture(params=[(kind, real) for kind in KINDS for real in (False, True)], ids=str)
def cell(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    """Yield a drive and the server behind it."""
    kind, real = request.param
    if not real:
        server = DoubleServer(kind)
        monkeypatch.setattr(gripper_action_node, "ActionClient", server.client)
        monkeypatch.setattr(gripper_action_node, "action_type", TYPES.__getitem__)
        yield ActionDrive(None, robot(kind)), server
        return
    if not REAL:
        pytest.skip("control_msgs is not installed")
    from support.gripper_server_real import RealServer

    with ros_graph(tmp_path) as graph:
        node = RealServer(kind, graph, robot(kind).gripper_topic)
        drive = ActionDrive(node.node, robot(kind))
        graph.spin_until(lambda: drive.obstacle() == "", "action server")
        yield drive, node


def test_a_goal_carries_position_and_force(cell: Cell) -> None:
    drive, server = cell
    drive.send(True, 0.01)
    server.settle()
    assert server.goals == [(0.01, SIM.gripper.max_effort)]
    assert drive.busy
    assert drive.answer() is None


@pytest.mark.parametrize("status", [SUCCEEDED, ABORTED])
def test_a_stall_is_told_whatever_the_status(cell: Cell, status: int) -> None:
    drive, server = cell
    drive.send(True, 0.0)
    server.settle()
    server.finish(status, stalled=True, effort=-31.5)
    server.settle()
    answer = drive.answer()
    assert answer is not None
    assert (answer.accepted, answer.stalled, answer.reached, answer.effort) == (True, True, False, 31.5)
    assert answer.detail == ("succeeded" if status == SUCCEEDED else "aborted")
    assert not drive.busy
    assert drive.answer() is None


def test_a_goal_that_is_reached_reports_no_force_that_nobody_measured(cell: Cell) -> None:
    drive, server = cell
    drive.send(False, 0.04)
    server.settle()
    server.finish(SUCCEEDED, reached=True, effort=0.0)
    server.settle()
    answer = drive.answer()
    assert answer is not None
    assert (answer.stalled, answer.reached, answer.effort) == (False, True, None)


def test_a_server_may_abort_without_a_word_about_why(cell: Cell) -> None:
    drive, server = cell
    drive.send(True, 0.0)
    server.settle()
    server.finish(ABORTED)
    server.settle()
    answer = drive.answer()
    assert answer is not None
    assert (answer.accepted, answer.stalled, answer.reached) == (True, False, False)


def test_a_rejected_goal_is_answered(cell: Cell) -> None:
    drive, server = cell
    server.accept = False
    drive.send(True, 0.0)
    server.settle()
    answer = drive.answer()
    assert answer is not None
    assert not answer.accepted
    assert not drive.busy


def test_a_running_goal_is_cancelled_once_and_then_the_next_can_go(cell: Cell) -> None:
    drive, server = cell
    drive.send(True, 0.0)
    server.settle()
    for _ in range(3):
        drive.abandon(at_once=False)
    server.settle()
    assert server.cancels == 1
    assert not drive.busy
    assert (drive.answer() or pytest.fail("no answer")).detail == "canceled"
    drive.send(False, 0.04)
    server.settle()
    server.finish(SUCCEEDED, reached=True)
    server.settle()
    answer = drive.answer()
    assert answer is not None
    assert answer.reached


def test_a_goal_given_up_before_it_was_accepted_is_cancelled_when_it_is(cell: Cell) -> None:
    drive, server = cell
    drive.send(True, 0.0)
    drive.abandon(at_once=True)
    assert not drive.busy
    server.settle()
    assert server.cancels == 1
    assert drive.answer() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = DoubleServer(kind)
    server.ready = False
    monkeypatch.setattr(gripper_action_node, "ActionClient", server.client)
    monkeypatch.setattr(gripper_action_node, "action_type", TYPES.__getitem__)
    drive = ActionDrive(None, robot(kind))
    assert "GripperCommand on gripper_controller/gripper_cmd" in drive.obstacle()


def test_an_answer_to_a_goal_that_was_given_up_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    server = DoubleServer("gripper_command")
    monkeypatch.setattr(gripper_action_node, "ActionClient", server.client)
    monkeypatch.setattr(gripper_action_node, "action_type", TYPES.__getitem__)
    drive = ActionDrive(None, robot("gripper_command"))
    drive.send(True, 0.0)
    server.settle()
    server.answering = False  # the server hangs: no answer to the cancel request either
    drive.abandon(at_once=True)
    drive.send(False, 0.04)
    server.finish(SUCCEEDED, stalled=True)
    assert drive.answer() is None
    assert drive.busy


@pytest.mark.parametrize("kind", KINDS)
def test_without_control_msgs_the_error_names_the_apt_package(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "control_msgs", None)
    with pytest.raises(MissingDependencyError, match=r"apt install ros-\$ROS_DISTRO-control-msgs"):
        make_drive(None, robot(kind))


def test_control_msgs_without_the_action_is_told_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("control_msgs")
    module.action = type(sys)("control_msgs.action")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "control_msgs", module)
    monkeypatch.setitem(sys.modules, "control_msgs.action", module.action)
    with pytest.raises(MissingDependencyError, match="no action/ParallelGripperCommand"):
        action_type("parallel_gripper_command")


def test_the_double_is_as_strict_as_the_messages() -> None:
    goal = TYPES["gripper_command"].Goal()
    refusals: list[tuple[Callable[[], None], type[Exception]]] = [
        (lambda: setattr(goal, "comand", 1.0), AttributeError),
        (lambda: setattr(goal.command, "position", 1), AssertionError),
        (lambda: DoubleServer("gripper_command").finish(SUCCEEDED), AssertionError),
    ]
    for act, error in refusals:
        with pytest.raises(error):
            act()
