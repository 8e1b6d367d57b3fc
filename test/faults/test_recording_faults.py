"""The whole graph, recording: each process killed and frozen in the middle of an episode.

A moment's freeze costs nothing, because simulated time waits. A longer one, and a death, cost the episode: it
is aborted and has no verdict, its bag is whole, and the next episode is as good as any.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from faults.table import Row, Table
from grasp_bringup.system import system_nodes
from support.graph import isolated
from support.recording_cell import (
    SHORT,
    RecordingCell,
    assert_aborted,
    assert_judged,
    recording_options,
)

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(600)]

NODES = ("policy_node", "collector_node", "guard_node", "servo_node", "gripper_node", "sim_node")
RESTARTED = ("policy_node", "guard_node", "servo_node", "gripper_node")
# Frozen for longer than the simulator waits for anybody: time goes on without it.
BEYOND_LOCKSTEP = 12.0  # [s] of wall time


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingCell]:
    folder = tmp_path_factory.mktemp("recording")
    with isolated(folder / "ros"):
        options = recording_options(folder, restarts=1)
        built = RecordingCell(system_nodes(options), options.bags, folder / "logs")
        with built.running():
            yield built
        assert built.left_behind() == []


def costs(cell: RecordingCell, table: Table, fault: str, strike: Callable[[str], None]) -> str:
    """Strike in the middle of an episode, wait until its bag is closed, and return its name."""
    before = {name for name in cell.names() if cell.closed(name)}
    name = cell.mid_episode()
    start = time.monotonic()
    strike(name)
    cell.until(lambda: cell.closed(name), f"the end of {name}")
    episode = cell.episode(name)
    told = (time.monotonic() - start, episode.info.end_reason) if episode.info.aborted else None
    table.add(Row(f"recording: {fault}", "aborted" if told else "judged", told, None, None))
    assert all(cell.closed(other) for other in before)
    return name


@pytest.mark.parametrize("node", NODES)
def test_a_short_freeze_costs_nothing(cell: RecordingCell, node: str, table: Table) -> None:
    def freeze(name: str) -> None:
        cell.freeze_for(node, name, SHORT)

    assert_judged(cell.episode(costs(cell, table, f"{node} frozen for {SHORT:g} s", freeze)))


@pytest.mark.parametrize("node", [node for node in NODES if node != "collector_node"])
def test_a_long_freeze_costs_the_episode(cell: RecordingCell, node: str, table: Table) -> None:
    def freeze(name: str) -> None:
        with cell.frozen(node):
            cell.until(lambda: cell.closed(name), f"the end of {name} while {node} is frozen")

    name = costs(cell, table, f"{node} frozen", freeze)
    assert_aborted(cell.episode(name), "node_died", "watchdog")


def test_a_collector_frozen_for_long_costs_the_episode(cell: RecordingCell, table: Table) -> None:
    def freeze(name: str) -> None:
        cell.freeze_for("collector_node", name, BEYOND_LOCKSTEP)

    name = costs(cell, table, f"collector_node frozen for {BEYOND_LOCKSTEP:g} s", freeze)
    assert_aborted(cell.episode(name), "node_died", "watchdog")


@pytest.mark.parametrize("node", RESTARTED)
def test_a_death_costs_the_episode_and_the_node_comes_back(
    cell: RecordingCell, node: str, table: Table
) -> None:
    name = costs(cell, table, f"{node} killed", lambda _: cell.system.child(node).kill())
    assert_aborted(cell.episode(name), "node_died", "watchdog")
    assert_judged(cell.episode(cell.whole_episode()))


def test_the_simulators_death_ends_the_run_and_every_bag_is_whole(cell: RecordingCell, table: Table) -> None:
    name = cell.mid_episode()
    cell.system.child("sim_node").kill()
    assert "sim_node ended with SIGKILL" in str(cell.run_out())
    assert_aborted(cell.episode(name), "node_died")
    table.add(Row("recording: sim_node killed", "aborted, ends the run", None, None, None))
    episodes = [cell.episode(bag) for bag in cell.names()]
    for episode in episodes:
        if not episode.info.aborted:
            assert_judged(episode)
    seeds = [episode.info.seed for episode in episodes]
    assert seeds == list(range(seeds[0], seeds[0] + len(seeds)))
