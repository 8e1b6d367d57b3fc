"""Two simulated graphs under namespaces in one domain: each on a clock of its own, each into its own bags."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock

from end_to_end.test_graph import NODES, short_mdp, stamps
from grasp_bringup.run import RunningSystem
from grasp_bringup.system import SystemOptions, system_nodes
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.layout import list_bags
from qtopt_collector.bags.reader import read_episode
from qtopt_policy import topics
from qtopt_policy.base_node import CLOCK_QOS, RECORD_QOS, nanoseconds
from support.graph import Graph, ros_graph

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(150)]

SPEEDS = {"a": 0.6, "b": 3.0}  # real-time factors by namespace
SEEDS = {"a": 10_000, "b": 20_000}
LIMIT = 100.0  # [s] of wall time


class Witness:
    """Hears the clocks of all namespaces, and sees who else is on them.

    Attributes:
        heard: by namespace, wall time and simulated time of each message [s].
        ends: by topic, the nodes that were seen to publish or hear it, with their namespaces.
        reports: names of diagnostics.
    """

    def __init__(self, graph: Graph) -> None:
        import rclpy

        self._graph = graph
        self._node: Any = graph.add(rclpy.create_node("witness"))
        self.heard: dict[str, list[tuple[float, float]]] = {space: [] for space in SPEEDS}
        self.ends: dict[str, set[str]] = {}
        for space in SPEEDS:
            self._node.create_subscription(Clock, f"/{space}/clock", self._keep(space), CLOCK_QOS)
        self.reports: set[str] = set()
        self._node.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_report, RECORD_QOS)
        self._end = time.monotonic() + LIMIT

    def _keep(self, space: str) -> Any:
        return lambda message: self.heard[space].append((time.monotonic(), nanoseconds(message.clock) * 1e-9))

    def _on_report(self, message: DiagnosticArray) -> None:
        self.reports.update(status.name for status in message.status)

    def look(self) -> None:
        """Hear for a moment; fail when time is up."""
        assert time.monotonic() < self._end, f"the graphs have not ended within {LIMIT} s"
        self._graph.spin(0.1)
        for topic in ("/clock", *(f"/{space}/clock" for space in SPEEDS)):
            ends = self._node.get_publishers_info_by_topic(topic)
            ends += self._node.get_subscriptions_info_by_topic(topic)
            names = {f"{end.node_namespace.rstrip('/')}/{end.node_name}" for end in ends}
            self.ends.setdefault(topic, set()).update(name for name in names if "UNKNOWN" not in name)

    def speed(self, space: str) -> float:
        """Return simulated seconds per second of wall time."""
        (wall, first), (end, last) = self.heard[space][0], self.heard[space][-1]
        return (last - first) / (end - wall)


@dataclass(frozen=True)
class Ran:
    """What is left of the two graphs: folders of bags by namespace, and what was seen."""

    bags: dict[str, Path]
    witness: Witness


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("namespaces")
    before, mdp = dict(os.environ), short_mdp(folder, 2)
    bags = {space: folder / space / "bags" for space in SPEEDS}
    options = {
        space: SystemOptions(
            namespace=space, bags=bags[space], episodes=1, seed=SEEDS[space], rtf=rtf, mdp=mdp
        )
        for space, rtf in SPEEDS.items()
    }
    try:
        with (
            ros_graph(folder) as graph,
            RunningSystem(system_nodes(options["a"]), folder / "a" / "logs") as slow,
        ):
            witness = Witness(graph)
            with RunningSystem(system_nodes(options["b"]), folder / "b" / "logs") as fast:
                fast.wait(progress=witness.look)
            slow.wait(progress=witness.look)
        yield Ran(bags, witness)
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_each_graph_has_a_clock_that_all_its_nodes_and_no_others_are_on(ran: Ran) -> None:
    expected = {f"/{space}/clock": {"/witness", *(f"/{space}/{name}" for name in NODES)} for space in SPEEDS}
    assert ran.witness.ends == {"/clock": set(), **expected}


def test_each_clock_rises_at_its_own_speed(ran: Ran) -> None:
    for space in SPEEDS:
        times = np.array([simulated for _, simulated in ran.witness.heard[space]])
        assert (np.diff(times) >= 0.0).all(), space
    assert ran.witness.speed("a") < 0.65 < ran.witness.speed("b")


def test_diagnostics_tell_the_graphs_apart(ran: Ran) -> None:
    nodes = {name.split(":")[0] for name in ran.witness.reports}
    assert nodes == {f"{space}/{name}" for space in SPEEDS for name in NODES}


@pytest.mark.parametrize("space", SPEEDS)
def test_each_graph_collects_into_its_own_folder(ran: Ran, space: str) -> None:
    (bag,) = list_bags(ran.bags[space])
    assert check_bag(bag) == []
    info = read_episode(bag).info
    assert info.seed == SEEDS[space]
    assert info.success == info.truth
    for topic in (topics.JOINT_STATES, topics.TOOL_POSE):
        np.testing.assert_allclose(np.diff(stamps(bag, topic)), 0.01, atol=1e-6)
