"""The real graph as separate processes: three episodes, their bags, and nothing left behind."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader

from grasp_bringup import shared_memory
from grasp_bringup.environment import ros_environment
from grasp_bringup.processes import Child
from grasp_bringup.run import RunningSystem
from grasp_bringup.system import SystemOptions, system_nodes
from qtopt_collector.bags import messages
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.layout import list_bags
from qtopt_collector.bags.reader import open_bag, read_episode
from qtopt_collector.bags.schema import SPECS
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.config import load_config, to_mapping
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.share import resolve

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(240)]

F64 = NDArray[np.float64]
EPISODES = 3
SEED = 10_000
NODES = ("sim_node", "guard_node", "servo_node", "gripper_node", "policy_node", "collector_node")

# Publisher, type, reliable, latched: the contract of docs/architecture.md.
CONTRACT: dict[str, tuple[str, str, bool, bool]] = {
    topics.IMAGE: ("sim_node", "sensor_msgs/msg/Image", False, False),
    topics.CAMERA_INFO: ("sim_node", "sensor_msgs/msg/CameraInfo", False, False),
    topics.JOINT_STATES: ("sim_node", "sensor_msgs/msg/JointState", True, False),
    topics.TOOL_POSE: ("guard_node", "geometry_msgs/msg/PoseStamped", True, False),
    topics.TARGET_POSE: ("guard_node", "geometry_msgs/msg/PoseStamped", True, False),
    topics.GRIPPER_CLOSE: ("guard_node", "std_msgs/msg/Bool", True, False),
    topics.POLICY_TARGET: ("policy_node", "geometry_msgs/msg/PoseStamped", True, False),
    topics.COLLECTOR_TARGET: ("collector_node", "geometry_msgs/msg/PoseStamped", True, False),
    topics.OBSERVATION: ("policy_node", "sensor_msgs/msg/CompressedImage", True, False),
    topics.ACTION: ("policy_node", "sensor_msgs/msg/JointState", True, False),
    topics.STEP: ("policy_node", "diagnostic_msgs/msg/DiagnosticArray", True, False),
    topics.EPISODE: ("policy_node", "diagnostic_msgs/msg/DiagnosticArray", True, True),
    topics.OUTCOME: ("collector_node", "diagnostic_msgs/msg/DiagnosticArray", True, True),
    topics.ARM_COMMAND: ("servo_node", "trajectory_msgs/msg/JointTrajectory", True, False),
    topics.GRIPPER_COMMAND: ("gripper_node", "std_msgs/msg/Float64MultiArray", True, False),
}


@dataclass(frozen=True)
class Run:
    """One run of the graph.

    Attributes:
        bags: folders, by number.
        publishers: of each topic of CONTRACT, as an outsider saw them.
        pids: of all nodes.
        shared: shared memory that they used.
    """

    bags: list[Path]
    publishers: dict[str, list[dict[str, Any]]]
    pids: list[int]
    shared: set[Path]


def short_mdp(folder: Path, max_steps: int = 8) -> Path:
    """Write the usual MDP with short episodes."""
    path = folder / "mdp.yaml"
    mdp = to_mapping(load_config(resolve(Path("config/mdp.yaml")), MdpConfig))
    path.write_text(yaml.safe_dump(mdp | {"max_steps": max_steps}))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("graph")
    before = dict(os.environ)
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 200)
    options = SystemOptions(
        bags=folder / "bags", episodes=EPISODES, seed=SEED, rtf=6.0, mdp=short_mdp(folder)
    )
    shared: set[Path] = set()
    try:
        with RunningSystem(system_nodes(options), folder / "logs") as system:
            pids = [child.pid for child in system.children]
            watcher = observe(folder)
            system.wait(progress=lambda: shared.update(*map(shared_memory.used_by, pids)))
            watcher.stop()
        watcher.remove_leftovers()  # the nodes held its port open when it ended; it is not theirs to remove
        seen = json.loads((folder / "publishers.json").read_text())
        yield Run(list_bags(folder / "bags"), seen, pids, shared)
    finally:
        os.environ.clear()
        os.environ.update(before)


def observe(folder: Path) -> Child:
    environment = {**os.environ, **ros_environment(os.environ, one_machine=True)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    environment["ROS_LOG_DIR"] = str(folder / "logs")
    command = [sys.executable, "-m", "support.observer", str(folder / "publishers.json"), *CONTRACT]
    return Child("observer", command, environment, folder / "observer.log")


@pytest.fixture(scope="module")
def episodes(run: Run) -> list[Episode]:
    return [read_episode(bag) for bag in run.bags]


def test_every_episode_left_a_whole_bag(run: Run) -> None:
    assert len(run.bags) == EPISODES
    assert [problem for bag in run.bags for problem in check_bag(bag)] == []


def test_every_episode_was_judged(episodes: list[Episode]) -> None:
    assert {episode.info.end_reason for episode in episodes} <= {"terminate", "max_steps"}
    assert all(isinstance(episode.info.success, bool) for episode in episodes)


def test_the_judge_agrees_with_the_simulator(episodes: list[Episode]) -> None:
    assert [episode.info.success for episode in episodes] == [episode.info.truth for episode in episodes]


def test_scenes_are_counted_on(episodes: list[Episode]) -> None:
    assert [episode.info.seed for episode in episodes] == [SEED, SEED + 1, SEED + 2]


def test_the_last_step_alone_is_terminal(episodes: list[Episode]) -> None:
    for episode in episodes:
        assert episode.steps.is_terminal.tolist() == [False] * (len(episode.steps) - 1) + [True]


def test_the_arm_did_what_was_asked(episodes: list[Episode]) -> None:
    """Where nothing altered a step, the displacement is the asked one within twice the tolerances."""
    for episode in episodes:
        steps = episode.steps
        free = ~steps.altered
        assert free.any()
        np.testing.assert_allclose(steps.executed[free, :3], steps.asked[free, :3], atol=0.0061)


@pytest.mark.parametrize("topic", CONTRACT)
def test_topics_have_their_publisher_type_and_qos(run: Run, topic: str) -> None:
    node, kind, reliable, latched = CONTRACT[topic]
    expected = {"node": node, "kind": kind, "reliable": reliable, "latched": latched}
    assert run.publishers[topic] == [expected]


def stamps(bag: Path, topic: str) -> F64:
    """Return the distinct header stamps of a topic [s]; a waiting simulator sends its last messages again."""
    found = [messages.stamp_of(message) for message in open_bag(bag).decode(topic)]
    return np.unique(np.array(found, dtype=np.float64)) * 1e-9


@pytest.mark.parametrize(("topic", "rate"), [(topics.JOINT_STATES, 100.0), (topics.CAMERA_INFO, 10.0)])
def test_no_message_of_the_drivers_is_lost(run: Run, topic: str, rate: float) -> None:
    for bag in run.bags:
        np.testing.assert_allclose(np.diff(stamps(bag, topic)), 1.0 / rate, atol=1e-6)


def test_the_tool_pose_follows_every_joint_state(run: Run) -> None:
    for bag in run.bags:
        np.testing.assert_allclose(np.diff(stamps(bag, topics.TOOL_POSE)), 0.01, atol=1e-6)


def test_a_target_is_republished_while_it_is_wanted(run: Run) -> None:
    """At 20 Hz of simulated time within each move: the median gap is one period."""
    for bag in run.bags:
        assert np.median(np.diff(stamps(bag, topics.TARGET_POSE))) == pytest.approx(0.05, abs=0.011)


def test_bags_open_in_rosbags_with_their_types(run: Run) -> None:
    with AnyReader(run.bags) as reader:
        found = {connection.topic.lstrip("/"): connection.msgtype for connection in reader.connections}
    assert found == {spec.name: spec.kind for spec in SPECS.values()}


def test_no_process_is_left(run: Run) -> None:
    assert len(run.pids) == len(NODES)
    assert [pid for pid in run.pids if Path(f"/proc/{pid}").exists()] == []


def test_no_shared_memory_is_left(run: Run) -> None:
    assert run.shared, "the nodes used no shared memory: the profile was not in force"
    # What still exists and no process uses: other graphs on this machine share some of the files.
    assert shared_memory.remove_unused(run.shared) == ()
