"""The whole graph, recording: each topic between camera, arm, policy and bag broken in mid-episode.

Whatever happens to the messages of an episode, it ends either without a verdict, or with the one that the
simulator's ground truth gives it; its bag is whole; the arm keeps its limits; the next one is undisturbed.
"""

import time
from collections.abc import Iterator

import pytest

from faults.table import Row, Table
from faults.topic_catalogue import ABORTS, BROKEN, Broken
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.reader import read_episode
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from support.graph import ros_graph
from support.recording_cell import assert_aborted, assert_judged, recording_options
from support.relayed_cell import RelayedCell

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(300)]

RTF = 2.0
# What a bag holds as it came over the wire: a check names the broken messages, and the episode reads.
AS_IT_CAME = (topics.JOINT_STATES, topics.TOOL_POSE, topics.OBSERVATION)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "broken" in metafunc.fixturenames:
        sweep = metafunc.config.getoption("--fault-sweep")
        metafunc.parametrize("broken", [one for one in BROKEN if one.quick or sweep], ids=str)


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayedCell]:
    folder = tmp_path_factory.mktemp("topics")
    with ros_graph(folder / "ros", busy=True) as graph:
        built = RelayedCell(graph, recording_options(folder, rtf=RTF), folder / "logs")
        with built.running():
            yield built


def read(cell: RelayedCell, name: str, topic: str) -> Episode:
    """Return a closed episode; its bag must be whole but for what came broken over the wire."""
    problems = check_bag(cell.bags / name)
    allowed = topic if topic in AS_IT_CAME else None
    assert [problem for problem in problems if f" {allowed}, message" not in problem] == []
    return read_episode(cell.bags / name)


def test_a_broken_topic_costs_at_most_the_episode(cell: RelayedCell, broken: Broken, table: Table) -> None:
    name = cell.mid_episode(steps=1)
    cell.trace.clear()
    start = time.monotonic()
    cell.wire(broken.topic, broken.mode, broken.much)
    try:
        cell.until(lambda: cell.closed(name), f"the end of {name}")
    finally:
        cell.wire(broken.topic)
    episode, took = read(cell, name, broken.topic), time.monotonic() - start
    info = episode.info
    told = (took, info.end_reason) if info.aborted else None
    outcome = "aborted" if told else "success" if info.success else "failure"
    table.add(Row(f"recording: {broken}", outcome, told, None, cell.trace.tool_speed()))
    if info.aborted:
        assert_aborted(episode, *ABORTS)
    else:
        assert_judged(episode)
    assert (info.end_reason if info.aborted else "judged") in broken.ends
    assert cell.violations(name) == []


def test_a_stop_in_an_episode_lasts_until_somebody_resumes(cell: RelayedCell, table: Table) -> None:
    name = cell.mid_episode()
    start = time.monotonic()
    cell.stop()
    rest = cell.rests()
    cell.until(lambda: cell.closed(name), f"the end of {name}")
    table.add(Row("recording: arm/stop", "aborted", (time.monotonic() - start, "operator"), rest, None))
    assert_aborted(cell.episode(name), "operator")
    cell.stands(2.0)
    cell.resume()
    assert_judged(cell.episode(cell.whole_episode()))


def test_nothing_moves_while_unarmed_whatever_is_wished(cell: RelayedCell, table: Table) -> None:
    name = cell.mid_episode()
    start = time.monotonic()
    cell.arm(False)
    rest = cell.rests()
    cell.until(lambda: cell.closed(name), f"the end of {name}")
    told = (time.monotonic() - start, "operator")
    table.add(Row("recording: disarmed, with three of these", "aborted", told, rest, None))
    assert_aborted(cell.episode(name), "operator")
    wires = (
        (topics.COLLECTOR_TARGET, "huge"),
        (topics.POLICY_TARGET, "huge"),
        (topics.JOINT_STATES, "names"),
    )
    try:
        for topic, mode in wires:
            cell.wire(topic, mode)
            cell.stands(1.0)
    finally:
        for topic, _ in wires:
            cell.wire(topic)
    cell.arm(True)
    assert_judged(cell.episode(cell.whole_episode()))
