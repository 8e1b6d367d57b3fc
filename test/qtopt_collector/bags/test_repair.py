import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qtopt_collector.bags import layout, messages
from qtopt_collector.bags.convert import Signal, episode_signals
from qtopt_collector.bags.reader import read_episode
from qtopt_collector.bags.repair import repair, repair_bag
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from support.episodes import make_episode, make_signals, write_sample

COUNT = 4


def tear(bag: Path, size: int) -> None:
    """Leave what a crash leaves: the first `size` bytes and no metadata.yaml."""
    (bag / layout.METADATA).unlink()
    path = layout.mcap_path(bag)
    path.write_bytes(path.read_bytes()[:size])


def assert_prefix(found: Episode, expected: Episode) -> None:
    for entry in fields(expected.steps):
        ours, theirs = getattr(expected.steps, entry.name), getattr(found.steps, entry.name)
        if entry.name != "is_terminal":
            np.testing.assert_array_equal(theirs, ours[: len(found.steps)], err_msg=entry.name)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.floats(0.0, 1.0))
def test_a_tear_anywhere_is_mended_or_named(tmp_path_factory: pytest.TempPathFactory, where: float) -> None:
    bag = write_sample(tmp_path_factory.mktemp("bags"), count=COUNT)
    size = int(where * layout.mcap_path(bag).stat().st_size)
    tear(bag, size)
    result = repair_bag(bag)
    if result.action == "removed":
        assert (result.steps, bag.exists()) == (0, False)
        return
    if result.action == "hopeless":
        assert 0 < size < 100  # not even the header
        assert layout.mcap_path(bag).stat().st_size == size
        return
    episode = read_episode(bag)
    assert result.action in ("repaired", "closed")
    assert len(episode.steps) == result.steps
    assert_prefix(episode, make_episode(count=COUNT))
    if result.action == "repaired":
        assert (episode.info.end_reason, episode.info.success) == ("node_died", None)
        assert not episode.steps.is_terminal.any()
    else:
        assert (episode.info.end_reason, episode.info.success) == ("terminate", True)


def test_a_bag_that_lost_only_its_metadata_keeps_its_outcome(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    (bag / layout.METADATA).unlink()
    assert repair_bag(bag).action == "closed"
    assert read_episode(bag).info.success is True


def test_the_last_steps_before_the_tear_are_kept(tmp_path: Path) -> None:
    bag = write_sample(tmp_path, count=COUNT)
    tear(bag, layout.mcap_path(bag).stat().st_size // 2)
    result = repair_bag(bag)
    assert result.action == "repaired"
    assert result.steps in range(1, COUNT)
    assert "torn" in result.reason


def test_zeros_after_a_power_cut_are_cut_off(tmp_path: Path) -> None:
    bag = write_sample(tmp_path, count=COUNT)
    path = layout.mcap_path(bag)
    half = path.stat().st_size // 2
    tear(bag, half)
    path.write_bytes(path.read_bytes() + bytes(4096))
    assert repair_bag(bag).action == "repaired"
    assert_prefix(read_episode(bag), make_episode(count=COUNT))


def test_the_camera_is_recalled_from_what_the_policy_told(tmp_path: Path) -> None:
    episode = make_episode(count=COUNT)
    writer = EpisodeWriter(tmp_path, episode.info)
    told = {"camera": json.dumps(episode.camera.to_mapping())}
    message = messages.diagnostics("episode", told, 1)
    signals = [
        *make_signals(episode),
        *episode_signals(episode, "base_link"),
        Signal(1, topics.EPISODE, message),
    ]
    for signal in sorted(signals, key=lambda signal: signal.time):
        writer.write(signal.topic, signal.time, signal.message)
    writer.abandon()
    assert repair_bag(writer.bag).action == "repaired"
    assert read_episode(writer.bag).camera.to_mapping() == episode.camera.to_mapping()


def test_closed_bags_are_not_touched(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in bag.iterdir()}
    assert [result.action for result in repair(tmp_path)] == ["intact"]
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in bag.iterdir()} == before


def test_a_copy_left_by_a_crash_in_the_repair_is_replaced(tmp_path: Path) -> None:
    bag = write_sample(tmp_path, count=COUNT)
    tear(bag, layout.mcap_path(bag).stat().st_size // 2)
    layout.mcap_path(bag).with_suffix(f".mcap{layout.REPAIRING}").write_bytes(b"half a copy")
    assert repair_bag(bag).action == "repaired"
    assert sorted(path.name for path in bag.iterdir()) == [f"{bag.name}.mcap", layout.METADATA]


def test_repair_twice_is_repair_once(tmp_path: Path) -> None:
    bag = write_sample(tmp_path, count=COUNT)
    tear(bag, layout.mcap_path(bag).stat().st_size // 2)
    repair_bag(bag)
    mended = layout.mcap_path(bag).read_bytes()
    assert repair_bag(bag).action == "intact"
    assert layout.mcap_path(bag).read_bytes() == mended


def test_every_bag_of_a_folder_is_looked_at(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_sample(tmp_path, f"episode_{number:06d}", seed=number)
    torn = tmp_path / "episode_000002"
    tear(torn, layout.mcap_path(torn).stat().st_size // 2)
    assert [result.action for result in repair(tmp_path)] == ["intact", "repaired", "intact"]


@pytest.mark.parametrize("size", [0, 8192])
def test_what_was_only_begun_is_removed(tmp_path: Path, size: int) -> None:
    bag = write_sample(tmp_path)
    tear(bag, size)
    assert repair_bag(bag).action == "removed"
    assert not bag.exists()


def test_a_file_that_is_no_bag_is_named_and_left(tmp_path: Path) -> None:
    bag = tmp_path / "episode_000009"
    bag.mkdir()
    layout.mcap_path(bag).write_bytes(b"not an mcap file at all")
    result = repair_bag(bag)
    assert result.action == "hopeless"
    assert "magic" in result.reason
    assert layout.mcap_path(bag).read_bytes() == b"not an mcap file at all"


def test_a_folder_without_bags_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="holds no bags"):
        repair(tmp_path)
