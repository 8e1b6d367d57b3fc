"""What the cell remembers of the gripper: the driver's word holds for the command that it is about."""

import pytest

from qtopt_collector.cell import Cell
from qtopt_policy.robot import GripperConfig


@pytest.fixture
def cell() -> Cell:
    return Cell(GripperConfig(joints=("finger_joint1",)))


def result(command: str, stalled: str, effort: str = "null") -> dict[str, str]:
    return {"command": command, "stalled": stalled, "effort": effort}


def test_a_stall_is_remembered_with_its_force(cell: Cell) -> None:
    cell.hear_gripper(True)
    cell.hear_result(result("close", "true", "18.5"))
    assert (cell.stalled, cell.effort) == (True, 18.5)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("null", None)])
def test_a_driver_may_say_yes_no_or_nothing(cell: Cell, text: str, value: bool | None) -> None:
    cell.hear_gripper(True)
    cell.hear_result(result("close", text))
    assert cell.stalled is value
    assert cell.effort is None


def test_a_new_command_makes_the_earlier_word_void(cell: Cell) -> None:
    cell.hear_gripper(True)
    cell.hear_result(result("close", "true"))
    cell.hear_gripper(True)
    assert cell.stalled
    cell.hear_gripper(False)
    assert cell.stalled is None


def test_a_late_word_about_an_earlier_command_is_ignored(cell: Cell) -> None:
    cell.hear_gripper(False)
    cell.hear_result(result("close", "true", "9.0"))
    assert (cell.stalled, cell.effort) == (None, None)
