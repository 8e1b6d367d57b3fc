"""Each fault while the arm is on its way: detected, at rest in time, limits kept, on again when allowed."""

import signal
import time
from collections.abc import Iterator

import pytest

from faults.catalogue import FAULTS, Fault
from faults.table import Row, Table
from qtopt_policy import topics
from support.fault_cell import RTF, FaultCell
from support.graph import ros_graph
from support.trace import BOX_TOLERANCE, Trace

pytestmark = [pytest.mark.graph, pytest.mark.slow]

RIDE = 1.0  # [s] of wall time for which a fault without consequences lasts
AFTER = 0.2  # [s] of wall time for which a rest is looked at
# A loaded machine may keep a process waiting for so long; promises are tested beyond it [s].
LOAD = 0.3
# Without lockstep a controller whose trajectories are late leaps. What a machine that was seen to be held up
# has done to speeds says nothing of the fault: it is caused again.
TRIES = 3


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultCell]:
    logs = tmp_path_factory.mktemp("faults")
    with ros_graph(logs, busy=True) as graph:
        built = FaultCell(graph, logs)
        with built.running(logs):
            yield built


def selected(config: pytest.Config) -> list[Fault]:
    return [fault for fault in FAULTS if fault.quick or config.getoption("--fault-sweep")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", selected(metafunc.config), ids=lambda fault: fault.name)


RESTING = ("hold", "stop", "disarm")


def wait_outcome(cell: FaultCell, fault: Fault, wall: float) -> None:
    """Wait until what must come of a fault has come."""
    if fault.outcome in RESTING:
        stands = "sim_node" in fault.name
        cell.until(lambda: stands or cell.standing, f"rest by {fault.name}")
        cell.until(lambda: cell.witness.told(fault.word, wall) is not None or not fault.word, fault.word)
        cell.graph.spin(AFTER)
    else:
        cell.graph.spin(RIDE)


def suffer(cell: FaultCell, fault: Fault) -> tuple[Row, Trace, bool, bool]:
    """Cause a fault and take it back; return its row, what the arm did, whether it moved and was stopped."""
    cell.go()
    cell.witness.forget()
    stamp, wall = cell.trace.stamps[-1], time.monotonic()
    fault.begin(cell)
    try:
        wait_outcome(cell, fault, wall)
        during = cell.trace.since(stamp - 0.1)
        rest = cell.trace.rest_after(stamp) if fault.outcome in RESTING else None
        moving, stopped = cell.moving, cell.witness.arm["stopped"] == "1"
        told = cell.witness.told(fault.word, wall) if fault.word else None
    finally:
        cell.rest()
        fault.end(cell)
    word = told and ((told[0] - wall) * RTF, told[1])
    return Row(fault.name, fault.outcome, word, rest, during.tool_speed()), during, moving, stopped


def test_fault_ends_as_it_must(cell: FaultCell, fault: Fault, table: Table) -> None:
    for _ in range(TRIES):
        begun = time.monotonic()
        row, during, moving, stopped = suffer(cell, fault)
        violations = during.violations(cell.robot.limits)
        rode = moving or fault.outcome != "ride"
        if (rode and not violations) or not cell.witness.held_up(begun):
            break
    table.add(row)
    assert violations == []
    assert row.rest is None or row.rest <= fault.rest + LOAD
    assert rode
    assert stopped == (fault.outcome == "stop")
    if fault.outcome == "disarm":
        cell.until(lambda: cell.witness.arm.get("armed") == "0", "a disarmed guard")


# Faults under which an unarmed arm must not move either.
WHILE_UNARMED = (
    (topics.POLICY_TARGET, "huge"),
    (topics.POLICY_TARGET, "reorder"),
    (topics.ARM_STATE, "free"),
)


def test_nothing_moves_while_unarmed(cell: FaultCell, table: Table) -> None:
    cell.go()
    cell.arm(False)
    cell.graph.spin(0.5)
    assert cell.witness.arm["armed"] == "0"
    cell.witness.forget()
    stamp, wall = cell.trace.stamps[-1], time.monotonic()
    try:
        for topic, mode in WHILE_UNARMED:
            cell.wire(topic, mode, 4)
            cell.stands()
        for node in ("guard_node", "servo_node"):
            cell.signal(node, signal.SIGSTOP)
            cell.graph.spin(0.3)
            cell.signal(node, signal.SIGCONT)
            cell.stands()
    finally:
        for topic, _ in WHILE_UNARMED:
            cell.wire(topic)
    told = cell.witness.told("guard_node: not_armed", wall)
    assert told is not None
    during = cell.trace.since(stamp)
    assert during.tool_speed() < 0.005
    word = ((told[0] - wall) * RTF, told[1])
    table.add(Row("unarmed, with five of these", "still", word, 0.0, during.tool_speed()))


def test_leap_of_a_controller_that_missed_trajectories_ends_in_a_stop(cell: FaultCell, table: Table) -> None:
    """Nothing of ours stands between executor and controller: a leap is bounded by one step, and stopped."""
    cell.go()
    cell.witness.forget()
    cell.wire(topics.ARM_COMMAND, "drop")
    cell.until(lambda: cell.standing, "rest")
    cell.graph.spin(0.5)
    stamp, wall, here = cell.trace.stamps[-1], time.monotonic(), cell.tool
    cell.wire(topics.ARM_COMMAND)
    cell.graph.spin(0.3)
    cell.rest()
    during = cell.trace.since(stamp)
    told = cell.witness.told("guard: ", wall)
    rest = during.rest_after(stamp)
    name = f"{topics.ARM_COMMAND}: dropped, then back"
    table.add(Row(name, "leaps", told and ((told[0] - wall) * RTF, told[1]), rest, during.tool_speed()))
    assert during.outside(cell.robot.limits) < BOX_TOLERANCE
    assert cell.tool.distance(here) < cell.robot.limits.max_step_length + 0.25 * 0.3
