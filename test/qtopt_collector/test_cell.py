"""What the cell remembers of the gripper: the driver's word holds for the command that it is about."""

import pytest

from qtopt_collector.cell import STALE, Cell
from qtopt_policy.errors import BagError
from qtopt_policy.geometry import pointing_down
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


@pytest.mark.parametrize("nothing", [0.0, -0.0, float("nan")])
def test_joint_states_that_measure_nothing_leave_the_results_force(cell: Cell, nothing: float) -> None:
    cell.hear_gripper(True)
    cell.hear_joint_effort(nothing)
    assert cell.effort is None
    cell.hear_result(result("close", "true", "18.5"))
    cell.hear_joint_effort(nothing)
    assert cell.effort == 18.5


def test_a_results_force_counts_until_the_next_command_and_the_joint_states_where_there_is_none(
    cell: Cell,
) -> None:
    cell.hear_gripper(True)
    cell.hear_result(result("close", "true", "18.5"))
    cell.hear_joint_effort(-3.0)
    assert cell.effort == 18.5
    cell.hear_gripper(False)
    assert cell.effort == 3.0
    cell.hear_result(result("open", "false"))
    assert cell.effort == 3.0


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"elsewhere_command": "close"},
        result("close", "elsewhere"),
        result("elsewhere", "true"),
        result("close", "3"),
        result("close", "true", '"much"'),
        result("close", "true", "[1]"),
    ],
)
def test_a_broken_word_is_refused_and_not_taken(cell: Cell, values: dict[str, str]) -> None:
    cell.hear_gripper(True)
    with pytest.raises(BagError, match="no result of a command"):
        cell.hear_result(values)
    assert (cell.stalled, cell.effort) == (None, None)


@pytest.mark.parametrize(("silent", "told"), [("pose", "no tool pose"), ("fingers", "no gripper position")])
def test_an_arm_or_fingers_of_which_nobody_tells_any_more_are_an_obstacle(
    cell: Cell, silent: str, told: str
) -> None:
    pose = pointing_down([0.5, 0.0, 0.2], 0.0)
    for now in (10.0, 10.01):
        cell.state.add_pose(now, pose)
        cell.state.add_joints(now, ["finger_joint1"], [0.02])
    cell.now = 10.01 + STALE
    assert cell.obstacle == ""
    cell.now += 0.1
    if silent == "fingers":
        cell.state.add_pose(cell.now, pose)
    else:
        cell.state.add_joints(cell.now, ["finger_joint1"], [0.02])
    assert cell.obstacle == f"{told} for {STALE + 0.1:.1f} s"
