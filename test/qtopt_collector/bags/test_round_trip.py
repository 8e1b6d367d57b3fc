from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from qtopt_collector.bags import layout, messages, schema
from qtopt_collector.bags.convert import write_episode
from qtopt_collector.bags.reader import open_bag, read_episode
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.config import to_mapping
from support.episodes import make_episode, make_signals, write_sample


def assert_equal(found: Episode, expected: Episode) -> None:
    assert to_mapping(found.info) == to_mapping(expected.info)
    assert found.camera.to_mapping() == expected.camera.to_mapping()
    for entry in fields(expected.steps):
        ours, theirs = getattr(expected.steps, entry.name), getattr(found.steps, entry.name)
        if isinstance(ours, tuple):
            assert theirs == ours, entry.name
        else:
            assert theirs.dtype == ours.dtype, entry.name
            np.testing.assert_array_equal(theirs, ours, err_msg=entry.name)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1), st.floats(0.0, 2e9))
def test_every_field_comes_back(
    tmp_path_factory: pytest.TempPathFactory, count: int, seed: int, start: float
) -> None:
    episode = make_episode(count=count, seed=seed, start=start)
    bag = write_episode(tmp_path_factory.mktemp("bags"), episode, make_signals(episode, rate=2.0))
    assert_equal(read_episode(bag), episode)


def test_the_file_itself_may_be_named(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    assert_equal(read_episode(layout.mcap_path(bag)), make_episode())


def test_every_signal_comes_back(tmp_path: Path) -> None:
    episode = make_episode()
    signals = make_signals(episode)
    contents = open_bag(write_episode(tmp_path, episode, signals))
    sent = [signal for signal in signals if signal.topic == topics.JOINT_STATES]
    found = contents.decode(topics.JOINT_STATES)
    assert len(found) == len(sent) > 100
    for message, signal in zip(found, sent, strict=True):
        assert messages.stamp_of(message) == signal.time
        np.testing.assert_array_equal(message.position, signal.message.position)  # type: ignore[attr-defined]


def test_opens_in_rosbags(tmp_path: Path) -> None:
    bag = write_sample(tmp_path, count=3)
    with AnyReader([bag]) as reader:
        found = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
        assert {f"/{spec.name}": spec.kind for spec in schema.TOPICS} == {k: v[0] for k, v in found.items()}
        assert found["/policy/step"][1] == found["/policy/action"][1] == 3
        decoded = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()]
        assert len(decoded) == reader.message_count == sum(count for _, count in found.values())


def test_opens_in_mcap(tmp_path: Path) -> None:
    path = layout.mcap_path(write_sample(tmp_path))
    with path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        found = list(reader.iter_messages())
        assert len(found) == summary.statistics.message_count
        names = {record.name for record in reader.iter_metadata()}
        assert names == {schema.INFO_RECORD, schema.CAMERA_RECORD}


def test_definitions_are_those_of_ros(tmp_path: Path) -> None:
    with AnyReader([write_sample(tmp_path)]) as reader:
        for connection in reader.connections:
            assert reader.typestore.hash_rihs01(connection.msgtype) == connection.digest


def test_an_existing_episode_is_never_overwritten(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    before = layout.mcap_path(bag).read_bytes()
    with pytest.raises(Exception, match="never overwritten"):
        write_sample(tmp_path, seed=1)
    assert layout.mcap_path(bag).read_bytes() == before


def test_log_times_never_go_back(tmp_path: Path) -> None:
    contents = open_bag(write_sample(tmp_path))
    times = sorted(entry.time for entries in contents.entries.values() for entry in entries)
    assert times[0] >= 100_000_000_000
    with layout.mcap_path(tmp_path / "episode_000001").open("rb") as stream:
        logged = [
            message.log_time for _, _, message in make_reader(stream).iter_messages(log_time_order=False)
        ]
    assert logged == times
