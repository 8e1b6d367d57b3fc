"""collector_node among stand-ins for the other nodes, over real topics and services."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from qtopt_collector.bags import layout
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.reader import open_bag, read_episode
from qtopt_collector.collector_node import CollectorNode
from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, RECORD_QOS, as_dict
from qtopt_policy.errors import BagError
from support.collector_peers import GRIP_FORCE, Peers
from support.episodes import write_sample
from support.graph import Graph, ros_graph

pytestmark = pytest.mark.graph


@contextmanager
def cell(tmp_path: Path, **parameters: object) -> Iterator[tuple[Graph, Peers]]:
    """Open a graph with everything but the collector; `parameters` are the collector's."""
    values = {"bags": tmp_path / "bags", "episodes": 1, "seed": 5, "heartbeat_timeout": 1.5} | parameters
    rules = [f"collector_node:{name}:={value}" for name, value in values.items()]
    with ros_graph(tmp_path / "logs", rules) as graph:
        yield graph, Peers(graph)


class Listener(Node):  # type: ignore[misc]
    """A node that only listens."""

    def take(self, found: list[str]) -> Callable[[DiagnosticArray], None]:
        """Return a callback that keeps the messages of statuses."""
        return lambda message: found.extend(status.message for status in message.status)


def listen_to_outcomes(graph: Graph, outcomes: list[dict[str, str]]) -> None:
    """Subscribe late to the latched outcomes."""

    def take(message: DiagnosticArray) -> None:
        outcomes.append(as_dict(message.status[0]))

    graph.add(Listener("late")).create_subscription(DiagnosticArray, topics.OUTCOME, take, LATCHED_QOS)


def through(graph: Graph, node: CollectorNode) -> None:
    def finished() -> bool:
        return node._collector is not None and node._collector.finished

    graph.spin_until(finished, "the end of the collection")


def test_episodes_become_bags(tmp_path: Path) -> None:
    outcomes: list[dict[str, str]] = []
    with cell(tmp_path, episodes=2, split="test") as (graph, peers):
        node = graph.start(CollectorNode())
        through(graph, node)
        assert node.failure == ""
        listen_to_outcomes(graph, outcomes)
        graph.spin_until(lambda: len(outcomes) == 2, "both outcomes, latched")
        assert peers.sim.scenes == [("test", 5), ("test", 6)]
        assert peers.policy.ids == ["episode_000001", "episode_000002"]
        assert node._collector is not None
        assert node._collector.cell.effort == GRIP_FORCE
        graph.spin_until(lambda: peers.guard.owners[-1] == "none", "the arm without an owner")
    assert peers.guard.owners == [*["collector", "policy", "collector"] * 2, "none"]
    for name, outcome in zip(peers.policy.ids, outcomes, strict=True):
        bag = tmp_path / "bags" / name
        assert check_bag(bag) == []
        episode = read_episode(bag)
        assert (episode.info.success, episode.info.truth, episode.info.policy) == (True, True, "fake")
        assert episode.info.robot == "sim"
        assert len(episode.steps) == 3
        assert (outcome["success"], outcome["drop_changed"], outcome["bag"]) == ("true", "true", str(bag))
        recorded = {topic: len(entries) for topic, entries in open_bag(bag).entries.items()}
        assert recorded[topics.JOINT_STATES] > 100
        assert recorded[topics.TOOL_POSE] > 100
        assert recorded[topics.DROP_IMAGE] == 2
        assert recorded[topics.EPISODE] == 3
        assert recorded[topics.TARGET_POSE] > 3


def test_a_policy_that_dies_aborts_its_episode(tmp_path: Path) -> None:
    with cell(tmp_path) as (graph, peers):
        peers.policy.dies = True
        node = graph.start(CollectorNode())
        graph.spin_until(lambda: layout.is_closed(tmp_path / "bags" / "episode_000001"), "the aborted bag")
        through(graph, node)
    episode = read_episode(tmp_path / "bags" / "episode_000001")
    assert (episode.info.end_reason, episode.info.success, len(episode.steps)) == ("node_died", None, 1)
    assert peers.guard.owners[-1] == "none"


def test_torn_bags_are_mended_and_numbering_goes_on(tmp_path: Path) -> None:
    torn = write_sample(tmp_path / "bags", "episode_000004")
    path = layout.mcap_path(torn)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (torn / layout.METADATA).unlink()
    with cell(tmp_path) as (graph, peers):
        through(graph, graph.start(CollectorNode()))
        assert peers.policy.ids == ["episode_000005"]
    assert read_episode(torn).info.end_reason == "node_died"


def test_a_refusal_of_the_policy_is_told(tmp_path: Path) -> None:
    found: list[str] = []
    with cell(tmp_path) as (graph, peers):
        peers.policy.refuses = "policy 'cem' needs a checkpoint"
        listener = graph.add(Listener("diagnostics_listener"))
        listener.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, listener.take(found), RECORD_QOS)
        node = graph.start(CollectorNode())
        through(graph, node)
        assert "policy 'cem' needs a checkpoint" in node.failure
        graph.spin_until(lambda: any("needs a checkpoint" in text for text in found), "a diagnostic")
        assert node._collector is not None
        assert node._collector.wish is None


def test_a_full_disk_stops_the_collection_with_the_arm_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cell(tmp_path, episodes=5) as (graph, peers):
        node = graph.start(CollectorNode())
        first = tmp_path / "bags" / "episode_000001"
        graph.spin_until(lambda: layout.is_closed(first), "the first bag")

        def refuse(*_: object) -> None:
            raise BagError("episode_000002.mcap: cannot be written: No space left on device")

        monkeypatch.setattr("qtopt_collector.bags.writer.EpisodeWriter.write_cdr", refuse)
        through(graph, node)
        assert "No space left on device" in node.failure
        graph.spin_until(lambda: peers.guard.owners[-1] == "none", "the arm without an owner")
        before = len(peers.guard.wishes)
        graph.spin(0.5)
        assert len(peers.guard.wishes) == before
    assert read_episode(first).info.success is True


def test_a_bags_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bags").write_text("precious")
    with cell(tmp_path) as (graph, _):
        node = graph.add(CollectorNode())
        assert not node.start()
    assert (tmp_path / "bags").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "value"),
    [("reset", "magic"), ("policy", "auto"), ("epsilon", 2.0), ("noise", -1.0), ("explore", 2.0)],
)
def test_a_parameter_that_makes_no_sense_is_refused(tmp_path: Path, name: str, value: object) -> None:
    with cell(tmp_path, **{name: value}) as (graph, _):
        assert not graph.add(CollectorNode()).start()


def test_the_process_ends_after_the_last_episode(tmp_path: Path) -> None:
    with cell(tmp_path, exit_when_done=True) as (graph, _):
        node = graph.start(CollectorNode())
        graph.spin_until(lambda: node.through, "the end")
        assert node.failure == ""


def test_deactivation_takes_the_arm_from_the_policy_and_tells_the_outcome(tmp_path: Path) -> None:
    outcomes: list[dict[str, str]] = []
    with cell(tmp_path) as (graph, peers):
        node = graph.start(CollectorNode())
        graph.spin_until(lambda: node._recorder.steps == 1, "a step")
        node.trigger_deactivate()
        graph.spin_until(lambda: peers.guard.owners[-1] == "none", "the arm without an owner")
        graph.spin_until(lambda: not peers.policy._queue, "the policy's end")
        listen_to_outcomes(graph, outcomes)
        graph.spin_until(lambda: bool(outcomes), "the outcome")
        assert not peers.guard.closed
    assert outcomes[0]["end_reason"] == "operator"
    assert peers.guard.owners == ["collector", "policy", "none"]


def test_a_stopped_node_closes_its_bag_as_aborted(tmp_path: Path) -> None:
    with cell(tmp_path) as (graph, peers):
        node = graph.start(CollectorNode())
        graph.spin_until(lambda: node._recorder.steps == 2, "two steps")
    info = read_episode(tmp_path / "bags" / "episode_000001").info
    assert info.end_reason == "operator"
    assert peers.policy.ids == ["episode_000001"]
