"""Bags to a store and back: every value as it was, nothing overwritten, nothing invented."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from qtopt_collector.bags import layout, schema
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.convert import episode_signals, write_episode
from qtopt_collector.bags.reader import open_bag, read_episode
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import Episode
from qtopt_learner import cli
from qtopt_learner.convert import Conversion, Kind, convert
from qtopt_learner.intake import Intake
from qtopt_learner.replay import Replay
from qtopt_learner.rows import Layout, Rows
from qtopt_learner.store import SUFFIX, StoreWriter, read_store, shard_paths, write_shard
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from qtopt_policy.mdp import MdpConfig
from support.episodes import assert_same, make_episode, write_sample
from support.recordings import make_store, recording

MDP = MdpConfig(image_size=(24, 32))


def run(paths: list[Path], out: Path, to: Kind) -> Conversion:
    return convert(paths, out, to, lambda done, total: None)


def intake_rows(path: Path, mdp: MdpConfig = MDP) -> Rows:
    replay = Replay(Layout.of(mdp.action_spec(), mdp.observation_spec()), 1000)
    intake = Intake(replay, mdp, 0.08, "tool")
    count = intake.take_all([path])
    assert count > 0
    assert intake.refused == {}
    return replay.gather(np.arange(count))


def assert_same_rows(found: Rows, expected: Rows) -> None:
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)


def aborted(name: str) -> Episode:
    whole = recording(name, seed=9, success=None, end_reason="watchdog").episode
    return replace(whole, steps=replace(whole.steps, is_terminal=np.zeros(len(whole.steps), dtype=bool)))


def various() -> list[Episode]:
    """Return episodes that differ in size, end, policy and known numbers."""
    judged = [recording(f"own0-{seed}", seed, seed % 2 == 0, policy="cem").episode for seed in range(3)]
    return [*judged, make_episode("scripted0-7"), make_episode("episode_000002", seed=3), aborted("a.b-1")]


def fill(folder: Path, episodes: list[Episode]) -> Path:
    with StoreWriter(folder, "own0", 2) as writer:
        for episode in episodes:
            writer.append(episode)
    return folder


def test_store_to_bags_to_store_gives_equal_episodes(tmp_path: Path) -> None:
    written = various()
    store = fill(tmp_path / "store", written)
    assert run([store], tmp_path / "bags", "bags") == Conversion(6, ())
    assert sorted(bag.name for bag in (tmp_path / "bags").iterdir()) == sorted(
        episode.info.episode_id for episode in written
    )
    assert run([tmp_path / "bags"], tmp_path / "again", "store") == Conversion(6, ())
    found = {episode.info.episode_id: episode for episode in read_store(tmp_path / "again")}
    assert len(found) == 6
    for expected in read_store(store):
        assert_same(found[expected.info.episode_id], expected)


@pytest.mark.parametrize("size", [128, 200])
def test_images_of_any_size_come_back_bit_by_bit(tmp_path: Path, size: int) -> None:
    small = make_episode()
    images = np.random.default_rng(0).integers(0, 256, (4, size, size + 1, 3), dtype=np.uint8)
    camera = replace(small.camera, width=size + 1, height=size)
    store = fill(tmp_path / "store", [Episode(small.info, replace(small.steps, image=images), camera)])
    assert run([store], tmp_path / "bags", "bags").refused == ()
    np.testing.assert_array_equal(read_episode(tmp_path / "bags" / "episode_000001").steps.image, images)


def test_bags_to_a_store_give_the_rows_of_the_bags(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_sample(tmp_path / "bags", f"episode_{number:06d}", seed=number)
    assert run([tmp_path / "bags"], tmp_path / "store", "store") == Conversion(3, ())
    assert_same_rows(intake_rows(tmp_path / "store"), intake_rows(tmp_path / "bags"))


def test_intake_takes_converted_bags_like_their_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", 3)
    run([store], tmp_path / "bags", "bags")
    assert_same_rows(intake_rows(tmp_path / "bags", MdpConfig()), intake_rows(store, MdpConfig()))


def test_converted_bags_are_whole_marked_and_hold_no_joint_states(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", 1)
    run([store], tmp_path / "bags", "bags")
    bag = tmp_path / "bags" / "e0"
    assert check_bag(bag) == []
    contents = open_bag(bag)
    assert contents.metadata[schema.CONVERT_RECORD] == {"source": str(shard_paths(store)[0])}
    held = {topic for topic, entries in contents.entries.items() if entries}
    assert held == {spec.name for spec in schema.TOPICS if spec.required} - {topics.JOINT_STATES}


def test_converted_bags_open_in_rosbags(tmp_path: Path) -> None:
    run([make_store(tmp_path / "store", 1)], tmp_path / "bags", "bags")
    with AnyReader([tmp_path / "bags" / "e0"]) as reader:
        decoded = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()]
        assert len(decoded) == reader.message_count > 0
        assert {c.topic: c.msgtype for c in reader.connections} == {
            f"/{spec.name}": spec.kind for spec in schema.TOPICS
        }


def test_an_ordinary_bag_without_joint_states_is_still_refused(tmp_path: Path) -> None:
    bag = write_episode(tmp_path, make_episode(), [])
    with pytest.raises(BagError, match="lacks topic joint_states"):
        read_episode(bag)


def test_the_marker_spares_joint_states_only(tmp_path: Path) -> None:
    episode = make_episode()
    writer = EpisodeWriter(tmp_path, episode.info)
    writer.set_camera(episode.camera)
    writer.annotate(schema.CONVERT_RECORD, {"source": "x"})
    for signal in sorted(episode_signals(episode, "base_link"), key=lambda signal: signal.time):
        if signal.topic != topics.TOOL_POSE:
            writer.write(signal.topic, signal.time, signal.message)
    with pytest.raises(BagError, match=r"lacks topic arm/tool_pose$"):
        read_episode(writer.close(episode.info))


def contents_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_existing_bag_is_named_and_left_and_the_others_are_converted(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", 3)
    old = write_sample(tmp_path / "bags", "e1")
    before = contents_of(tmp_path / "bags")
    result = run([store], tmp_path / "bags", "bags")
    assert result.episodes == 2
    assert [f"{old}: exists already" in reason for reason in result.refused] == [True]
    after = contents_of(tmp_path / "bags")
    assert {name: after[name] for name in before} == before
    assert sorted(entry.name for entry in (tmp_path / "bags").iterdir()) == ["e0", "e1", "e2"]


def test_an_episode_that_the_store_holds_already_is_named(tmp_path: Path) -> None:
    write_sample(tmp_path / "a")
    assert run([tmp_path / "a"], tmp_path / "store", "store").episodes == 1
    shard = shard_paths(tmp_path / "store")[0]
    before = shard.read_bytes()
    write_sample(tmp_path / "a", "episode_000002", seed=1)
    result = run([tmp_path / "a"], tmp_path / "store", "store")
    assert result.episodes == 1
    assert f"episode_000001 is in {shard} already" in result.refused[0]
    assert shard.read_bytes() == before
    assert [e.info.episode_id for e in read_store(tmp_path / "store")] == ["episode_000001", "episode_000002"]


def test_a_name_that_two_sources_share_is_converted_once(tmp_path: Path) -> None:
    first, second = write_sample(tmp_path / "a"), write_sample(tmp_path / "b", seed=5)
    result = run([tmp_path / "a", tmp_path / "b", first], tmp_path / "store", "store")
    assert result.episodes == 1
    assert result.refused == (f"{second}: episode_000001 is in {first} already; nothing is overwritten",)
    store = fill(tmp_path / "twice", [make_episode(), make_episode(seed=1)])
    assert run([store], tmp_path / "bags", "bags").episodes == 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200:300] = bytes(100)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_torn_shard_is_named_and_the_others_are_converted(
    tmp_path: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path / "store", 4)
    torn = shard_paths(store)[0]
    damage(torn)
    out = tmp_path / "bags"
    assert cli.main(("bags", "convert", str(store), "--to", "bags", "--out", str(out))) == 1
    told = capsys.readouterr().out
    assert f"left out {torn}: cannot be read as an episode shard" in told
    assert "2 episodes converted" in told
    assert [bag.name for bag in layout.list_bags(out)] == ["e2", "e3"]


def flip_meta(path: Path) -> None:
    data = bytearray(path.read_bytes())
    start = data.index(b"meta.npy") + 60
    data[start : start + 100] = bytes(100)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [cut, flip_meta])
def test_a_store_with_a_torn_shard_is_not_added_to(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = make_store(tmp_path / "store", 4)
    torn = shard_paths(store)[1]
    damage(torn)
    with pytest.raises(BagError, match=f"{torn}: cannot be read as an episode shard"):
        run([write_sample(tmp_path / "bags")], store, "store")
    assert len(shard_paths(store)) == 2


def test_a_torn_bag_is_named_and_the_others_are_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sample(tmp_path / "bags", "episode_000001")
    torn = write_sample(tmp_path / "bags", "episode_000002")
    cut(layout.mcap_path(torn))
    open_one = write_sample(tmp_path / "bags", "episode_000003")
    (open_one / layout.METADATA).unlink()
    out = tmp_path / "store"
    assert cli.main(("bags", "convert", str(tmp_path / "bags"), "--to", "store", "--out", str(out))) == 1
    told = capsys.readouterr().out
    assert f"left out {layout.mcap_path(torn)}: torn" in told
    assert f"left out {open_one}: torn" in told
    assert [e.info.episode_id for e in read_store(out)] == ["episode_000001"]


def test_the_command_line_goes_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = make_store(tmp_path / "store", 3)
    bags, again = str(tmp_path / "bags"), str(tmp_path / "again")
    assert cli.main(("bags", "convert", str(store), "--to", "bags", "--out", bags)) == 0
    assert "3 episodes converted" in capsys.readouterr().out
    assert cli.main(("bags", "check", bags)) == 0
    assert "3 of 3 bags are whole" in capsys.readouterr().out
    assert cli.main(("bags", "info", bags)) == 0
    assert "e2" in capsys.readouterr().out
    assert cli.main(("bags", "convert", bags, "--out", again, "--to", "store")) == 0
    for found, expected in zip(read_store(Path(again)), read_store(store), strict=True):
        assert_same(found, expected)


def test_a_single_shard_may_be_named(tmp_path: Path) -> None:
    shard = shard_paths(make_store(tmp_path / "store", 4))[1]
    assert run([shard, shard], tmp_path / "bags", "bags") == Conversion(2, ())


def test_an_episode_that_no_bag_can_hold_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    good, other, late = (recording(f"e{i}", seed=i).episode for i in range(3))
    half = replace(other, steps=replace(other.steps, gripper_closed=np.full(7, 0.5)))
    timeless = replace(late, steps=replace(late.steps, stamp=np.full(7, np.nan)))
    unnamed = replace(good, info=replace(good.info, episode_id="../e9"))
    shard = tmp_path / f"a-0{SUFFIX}"
    write_shard(shard, [half, unnamed, timeless, good])
    result = run([shard], tmp_path / "bags", "bags")
    assert result.episodes == 1
    expected = (
        f"{shard}: e1: {tmp_path}/bags/e1: a bag cannot hold its gripper_closed",
        f"{shard}: ../e9: episode '../e9': a name",
        f"{shard}: e2: cannot convert float NaN to integer",
    )
    assert [reason[: len(told)] for reason, told in zip(result.refused, expected, strict=True)] == [*expected]
    assert [entry.name for entry in (tmp_path / "bags").iterdir()] == ["e0"]


def test_a_full_disk_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qtopt_learner.store.write_shard", refuse)
    write_sample(tmp_path / "bags")
    with pytest.raises(BagError, match="store: cannot be written: No space left on device"):
        run([tmp_path / "bags"], tmp_path / "store", "store")


def test_shards_and_bags_are_kept_in_folders_of_their_own(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", 1)
    bag = write_sample(tmp_path / "bags")
    with pytest.raises(BagError, match="store: holds shards of a store: bags need a folder of their own"):
        run([store], store, "bags")
    for out in (tmp_path / "bags", bag):
        with pytest.raises(BagError, match=r"holds bags .*: a store needs a folder of its own"):
            run([bag], out, "store")


def test_sources_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", 1)
    bag = write_sample(tmp_path / "bags")
    with pytest.raises(BagError, match="store: holds no bags"):
        run([store], tmp_path / "out", "store")
    with pytest.raises(BagError, match=r"episode_000001: holds no shards \(\*\.episodes\.npz\)"):
        run([bag], tmp_path / "out", "bags")
    with pytest.raises(BagError, match="missing: does not exist"):
        run([tmp_path / "missing"], tmp_path / "out", "bags")
    assert not (tmp_path / "out").exists()


def test_progress_ends_at_the_number_of_sources(tmp_path: Path) -> None:
    told: list[tuple[float, int]] = []
    store = make_store(tmp_path / "store", 4)
    convert([store], tmp_path / "bags", "bags", lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == [0.5, 1.0, 1, 1.5, 2.0, 2]
    assert {total for _, total in told} == {2}


def test_a_repaired_converted_bag_keeps_its_mark(tmp_path: Path) -> None:
    run([make_store(tmp_path / "store", 1)], tmp_path / "bags", "bags")
    bag = tmp_path / "bags" / "e0"
    (bag / layout.METADATA).unlink()
    assert cli.main(("bags", "repair", str(bag))) == 0
    assert schema.CONVERT_RECORD in open_bag(bag).metadata
