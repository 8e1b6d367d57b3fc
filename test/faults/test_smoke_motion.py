"""A few faults of the motion chain that `make test` causes too.

Simulated time waits for the nodes and the watchdogs wait longer, so that a busy machine changes nothing.
"""

from collections.abc import Iterator

import pytest

from faults.catalogue import FAULTS, Fault
from faults.test_motion_faults import LOAD, suffer
from qtopt_policy import topics
from support.fault_cell import FaultCell
from support.graph import ros_graph

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(240)]

PATIENCE = 4.0
NAMES = (f"{topics.POLICY_TARGET}: nan", f"{topics.TARGET_POSE}: outside", f"{topics.JOINT_STATES}: drop")
SMOKE = [fault for fault in FAULTS if fault.name in NAMES]


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultCell]:
    logs = tmp_path_factory.mktemp("smoke_motion")
    with ros_graph(logs, busy=True) as graph:
        built = FaultCell(graph, logs, PATIENCE)
        with built.running(logs):
            yield built


@pytest.mark.parametrize("fault", SMOKE, ids=lambda fault: fault.name)
def test_fault_ends_as_it_must(cell: FaultCell, fault: Fault) -> None:
    row, during, _, stopped = suffer(cell, fault)
    assert during.violations(cell.robot.limits) == []
    assert row.told is not None
    assert row.rest is not None
    assert row.rest <= PATIENCE * fault.rest + LOAD
    assert stopped == (fault.outcome == "stop")


def test_nothing_moves_while_unarmed(cell: FaultCell) -> None:
    cell.go()
    cell.arm(False)
    cell.until(lambda: cell.standing, "rest")
    cell.wire(topics.POLICY_TARGET, "huge")
    try:
        cell.stands(0.5)
    finally:
        cell.wire(topics.POLICY_TARGET)
    cell.go()
