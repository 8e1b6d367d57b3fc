from dataclasses import replace
from pathlib import Path

import pytest

from qtopt_collector.episode import Episode
from qtopt_learner.store import SUFFIX, StoreWriter, read_shard, read_store, shard_paths, write_shard
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
