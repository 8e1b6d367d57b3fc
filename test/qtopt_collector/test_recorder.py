from dataclasses import replace
from pathlib import Path

import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from qtopt_collector.bags import layout
from qtopt_collector.bags.convert import episode_signals
from qtopt_collector.bags.reader import open_bag, read_episode
from qtopt_collector.episode import EpisodeInfo
from qtopt_collector.recorder import Recorder
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from support.episodes import make_episode, make_info, write_sample


def record_one(recorder: Recorder, info: EpisodeInfo | None = None, policy: str = "scripted") -> Path | None:
    episode = make_episode(recorder.next_id(), seed=1)
    recorder.open(episode.info)
    recorder.set_camera(episode.camera)
    for signal in episode_signals(episode, "base_link"):
        recorder.record_message(signal.topic, signal.time, signal.message)
    raw = serialize_message(JointState(name=["a"], position=[0.5]))
    recorder.record(topics.JOINT_STATES, 10**12, raw)
    return recorder.close(replace(info or episode.info, episode_id=episode.info.episode_id, policy=policy))


def test_bags_are_numbered_on_and_never_overwritten(tmp_path: Path) -> None:
    first = record_one(Recorder(tmp_path))
    second = record_one(Recorder(tmp_path))
    assert [bag and bag.name for bag in (first, second)] == ["episode_000001", "episode_000002"]
    assert all(len(read_episode(bag).steps) == 4 for bag in (first, second) if bag)


def test_messages_of_rclpy_are_recorded(tmp_path: Path) -> None:
    bag = record_one(Recorder(tmp_path))
    assert bag is not None
    (state,) = open_bag(bag).decode(topics.JOINT_STATES)
    assert (state.name, state.position.tolist()) == (["a"], [0.5])


def test_torn_bags_are_mended_at_the_start(tmp_path: Path) -> None:
    torn = write_sample(tmp_path, "episode_000003")
    path = layout.mcap_path(torn)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (torn / layout.METADATA).unlink()
    recorder = Recorder(tmp_path)
    assert [(result.bag.name, result.action) for result in recorder.repaired] == [
        ("episode_000003", "repaired")
    ]
    assert read_episode(torn).info.end_reason == "node_died"
    assert recorder.next_id() == "episode_000004"


def test_an_episode_without_steps_leaves_no_bag_and_frees_no_name(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.open(make_info(recorder.next_id()))
    assert recorder.close(make_info(end_reason="node_died")) is None
    assert list(tmp_path.iterdir()) == []
    assert recorder.next_id() == "episode_000002"


def test_without_an_open_bag_messages_are_dropped(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.record(topics.JOINT_STATES, 1, b"")
    assert not recorder.active
    assert recorder.close(make_info()) is None


def test_outcomes_of_earlier_runs_are_recalled(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    record_one(recorder, policy="scripted")
    record_one(recorder, make_info(end_reason="watchdog"), policy="scripted")
    record_one(recorder, policy="epsilon(cem, 0.2)")
    assert Recorder(tmp_path).history() == [("scripted", True), ("epsilon(cem, 0.2)", True)]


def test_a_message_that_is_none_is_refused(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.open(make_info(recorder.next_id()))
    with pytest.raises(BagError, match="JointState"):
        recorder.record(topics.JOINT_STATES, 1, b"\0\1\0\0abc")
