from dataclasses import replace
from pathlib import Path

import pytest

from qtopt_collector.episode import Episode
from qtopt_learner.intake import find_sources
from qtopt_learner.store import PART, SUFFIX, StoreWriter, read_shard, read_store, shard_paths, write_shard
from qtopt_policy.errors import BagError, ShapeError
from support.episodes import assert_same
from support.recordings import recording


def episodes(count: int) -> list[Episode]:
    return [recording(f"e{i}", seed=i, count=4 + i).episode for i in range(count)]


def test_a_shard_gives_back_every_field_of_every_episode(tmp_path: Path) -> None:
    written = episodes(5)
    write_shard(tmp_path / f"a{SUFFIX}", written)
    read = read_shard(tmp_path / f"a{SUFFIX}")
    assert len(read) == 5
    for a, b in zip(written, read, strict=True):
        assert_same(a, b)


def test_an_aborted_episode_keeps_its_missing_reward(tmp_path: Path) -> None:
    episode = recording("x", success=None, end_reason="watchdog").episode
    write_shard(tmp_path / f"a{SUFFIX}", [episode])
    info = read_shard(tmp_path / f"a{SUFFIX}")[0].info
    assert info.success is None
    assert info.reward is None
    assert info.aborted


def test_writer_fills_shards_in_order_and_flushes_at_the_end(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, "actor0", per_shard=2) as writer:
        for episode in episodes(5):
            writer.append(episode)
        assert len(shard_paths(tmp_path)) == 2
    assert [e.info.episode_id for e in read_store(tmp_path)] == ["e0", "e1", "e2", "e3", "e4"]


def test_a_new_writer_never_overwrites_what_an_old_one_wrote(tmp_path: Path) -> None:
    for episode in episodes(2):
        with StoreWriter(tmp_path, "actor0") as writer:
            writer.append(episode)
    assert [e.info.episode_id for e in read_store(tmp_path)] == ["e0", "e1"]


def test_a_second_writer_of_a_prefix_is_refused_and_replaces_nothing(tmp_path: Path) -> None:
    first, second = StoreWriter(tmp_path, "actor0"), StoreWriter(tmp_path, "actor0")
    kept, other = episodes(2)
    first.append(kept)
    path = first.flush()
    second.append(other)
    with pytest.raises(BagError, match=r"actor0-000000.*exists already"):
        second.flush()
    assert path is not None
    assert_same(read_shard(path)[0], kept)


def test_images_of_another_size_start_a_new_shard(tmp_path: Path) -> None:
    first, second = episodes(2)
    small = replace(second, steps=replace(second.steps, image=second.steps.image[:, ::2, ::2]))
    with StoreWriter(tmp_path, "a") as writer:
        writer.append(first)
        writer.append(small)
    assert [e.steps.image.shape[1] for e in read_store(tmp_path)] == [64, 32]


def test_a_shard_of_mixed_image_sizes_is_refused(tmp_path: Path) -> None:
    first, second = episodes(2)
    small = replace(second, steps=replace(second.steps, image=second.steps.image[:, ::2, ::2]))
    with pytest.raises(ShapeError, match="images of one size"):
        write_shard(tmp_path / f"a{SUFFIX}", [first, small])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_torn_shard_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = tmp_path / f"torn{SUFFIX}"
    write_shard(path, episodes(2))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BagError, match="torn"):
        read_shard(path)


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / f"flipped{SUFFIX}"
    write_shard(path, episodes(1))
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(BagError, match="flipped"):
        read_shard(path)


def test_unfinished_files_are_not_part_of_the_store(tmp_path: Path) -> None:
    (tmp_path / f".a-000000{SUFFIX}.1.tmp").write_bytes(b"half")
    assert shard_paths(tmp_path) == []
    assert list(read_store(tmp_path / "missing")) == []


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BagError, match="cannot hold an episode store"):
        StoreWriter(tmp_path / "file", "a")


def parts(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.glob(f".*{PART}"))}


def ids(folder: Path) -> list[str]:
    return [episode.info.episode_id for episode in read_store(folder)]


def died(folder: Path, written: list[Episode], per_shard: int = 4, prefix: str = "a") -> StoreWriter:
    """Return a writer that is left as SIGKILL leaves it: not flushed."""
    writer = StoreWriter(folder, prefix, per_shard, parts=True)
    for episode in written:
        writer.append(episode)
    return writer


def test_parts_of_a_writer_that_died_are_taken_up_by_the_next_of_its_prefix(tmp_path: Path) -> None:
    written = episodes(7)
    died(tmp_path, written[:6])
    assert (ids(tmp_path), len(parts(tmp_path))) == (["e0", "e1", "e2", "e3"], 2)
    with StoreWriter(tmp_path, "a", 4, parts=True) as writer:
        assert (writer.number, writer.count(), writer.refused) == (6, 6, [])
        writer.append(written[6])
    assert parts(tmp_path) == {}
    for a, b in zip(written, read_store(tmp_path), strict=True):
        assert_same(a, b)


def test_readers_pass_over_parts(tmp_path: Path) -> None:
    died(tmp_path, episodes(1))
    assert len(parts(tmp_path)) == 1
    assert find_sources(tmp_path) == []


def test_a_writer_that_died_before_its_full_shard_is_made_good_at_once(tmp_path: Path) -> None:
    written = died(tmp_path, episodes(2))
    StoreWriter(tmp_path, "a", per_shard=2, parts=True)
    assert ids(tmp_path) == ["e0", "e1"]
    assert parts(tmp_path) == {}
    assert written.count() == 4  # its own two, in memory, and the two of the shard


def test_parts_whose_shard_was_written_are_not_taken_up_again(tmp_path: Path) -> None:
    writer = died(tmp_path, episodes(3))
    left = parts(tmp_path)
    writer.flush()
    for path, data in left.items():
        path.write_bytes(data)  # killed after the shard, before the parts were removed
    with StoreWriter(tmp_path, "a", 4, parts=True) as later:
        assert (later.number, later.count()) == (4, 3)
    assert ids(tmp_path) == ["e0", "e1", "e2"]
    assert parts(tmp_path) == {}


def test_a_part_that_is_not_in_the_shard_of_its_number_is_kept(tmp_path: Path) -> None:
    """The old actor of a learner that was killed may end later than the new one starts."""
    written = episodes(3)
    old = died(tmp_path, written[:2])
    new = died(tmp_path, [])
    old.flush()
    new.append(written[2])
    with pytest.raises(BagError, match="exists already"):
        new.flush()
    StoreWriter(tmp_path, "a", 4, parts=True).flush()
    assert ids(tmp_path) == ["e0", "e1", "e2"]
    assert parts(tmp_path) == {}


def test_a_torn_part_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    died(tmp_path, episodes(3))
    torn = list(parts(tmp_path))[1]
    torn.write_bytes(torn.read_bytes()[:100])
    with StoreWriter(tmp_path, "a", 4, parts=True) as writer:
        (line,) = writer.refused
        assert writer.number == 3
    assert str(torn) in line
    assert ids(tmp_path) == ["e0", "e2"]
    assert parts(tmp_path) == {}


def test_parts_outlive_a_newest_shard_that_is_torn(tmp_path: Path) -> None:
    died(tmp_path, episodes(5))
    (shard,) = shard_paths(tmp_path)
    shard.write_bytes(shard.read_bytes()[:100])
    with StoreWriter(tmp_path, "a", 4, parts=True):
        pass
    shard.unlink()
    assert ids(tmp_path) == ["e4"]


def test_parts_of_another_image_size_get_a_shard_of_their_own(tmp_path: Path) -> None:
    first, second = episodes(2)
    small = replace(second, steps=replace(second.steps, image=second.steps.image[:, ::2, ::2]))
    died(tmp_path, [first])
    with StoreWriter(tmp_path, "a", 4, parts=True) as writer:
        writer.append(small)
    assert [e.steps.image.shape[1] for e in read_store(tmp_path)] == [64, 32]
    assert parts(tmp_path) == {}


def test_a_writer_takes_up_what_is_of_its_prefix_alone(tmp_path: Path) -> None:
    died(tmp_path, episodes(1), prefix="a-1")
    (tmp_path / f".a-1-000000{SUFFIX}.1.tmp").write_bytes(b"half")
    with StoreWriter(tmp_path, "a", parts=True) as writer:
        assert (writer.number, writer.count()) == (0, 0)
    assert len(parts(tmp_path)) == 1
    assert (tmp_path / f".a-1-000000{SUFFIX}.1.tmp").exists()


def test_what_a_writer_left_half_written_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, _: Path) -> None:
        raise KeyboardInterrupt(path.name)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            died(tmp_path, episodes(1))
    assert len(list(tmp_path.iterdir())) == 1
    StoreWriter(tmp_path, "a", parts=True)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_was_not_asked_for_parts_writes_none(tmp_path: Path) -> None:
    StoreWriter(tmp_path, "a").append(episodes(1)[0])
    assert list(tmp_path.iterdir()) == []
