"""The few faults that `make test` causes too: with a simulator that waits, they hold on a loaded machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from grasp_bringup.system import system_nodes
from qtopt_collector.bags import layout
from qtopt_collector.bags.check import check_bag
from qtopt_learner.cli import main
from support.graph import isolated
from support.recording_cell import (
    SHORT,
    RecordingCell,
    assert_aborted,
    assert_judged,
    recording_options,
)

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingCell]:
    """Freeze the policy for a moment in the first episode, kill the collector in the second one."""
    folder = tmp_path_factory.mktemp("smoke")
    with isolated(folder / "ros"):
        options = recording_options(folder, max_steps=4, rtf=6.0)
        cell = RecordingCell(system_nodes(options), options.bags, folder / "logs")
        with cell.running():
            cell.freeze_for("policy_node", cell.mid_episode(), SHORT)
            cell.mid_episode()
            cell.system.child("collector_node").kill()
            cell.run_out()
        yield cell


def test_a_policy_that_stood_still_for_a_moment_costs_nothing(ended: RecordingCell) -> None:
    assert_judged(ended.episode(ended.names()[0]))


def test_a_killed_collector_ends_the_run_and_is_named(ended: RecordingCell) -> None:
    assert "collector_node ended with SIGKILL" in str(ended.ended)
    assert ended.left_behind() == []


def test_what_it_was_recording_is_torn_and_can_be_mended(ended: RecordingCell, tmp_path: Path) -> None:
    closed, torn = ended.names()
    assert layout.is_torn(ended.bags / torn)
    assert "qtopt bags repair" in check_bag(ended.bags / torn)[0]
    bags = shutil.copytree(ended.bags, tmp_path / "bags")
    before = ended.recorded(torn)
    assert main(["bags", "repair", str(bags)]) == 0
    cell = RecordingCell((), bags, tmp_path / "logs")
    assert_aborted(cell.episode(torn), "node_died")
    assert len(cell.episode(torn).steps) == before
    assert_judged(cell.episode(closed))
