"""A disk that refuses: a clear error, and nothing already recorded is lost."""

import errno
import io
import multiprocessing
import resource
import signal
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from qtopt_collector.bags import layout, messages
from qtopt_collector.bags.convert import episode_signals, write_episode
from qtopt_collector.bags.reader import read_episode
from qtopt_collector.bags.repair import repair_bag
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from support.episodes import make_episode, make_signals, write_sample

LIMIT = 20_000


class FullDisk(io.RawIOBase):
    """A file on a disk with room for `room` bytes: takes what fits, then ENOSPC, as Linux does."""

    def __init__(self, path: Path, room: int) -> None:
        self._file = path.open("xb", buffering=0)
        self.room = room

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: object) -> int:
        view = memoryview(cast(bytes, data))
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._file.write(view[: self.room]) or 0
        self.room -= taken
        return taken

    def close(self) -> None:
        self._file.close()
        super().close()


def _open_full(path: Path) -> BinaryIO:
    return cast(BinaryIO, io.BufferedWriter(FullDisk(path, LIMIT)))


def _record(writer: EpisodeWriter, count: int = 8) -> None:
    episode = make_episode(writer.bag.name, count)
    signals = [*make_signals(episode), *episode_signals(episode, "base_link")]
    writer.set_camera(episode.camera)
    for item in sorted(signals, key=lambda item: item.time):
        writer.write(item.topic, item.time, item.message)
    writer.close(episode.info)


def test_a_full_disk_is_named_and_the_steps_before_are_kept(tmp_path: Path) -> None:
    whole = write_sample(tmp_path, "episode_000001")
    writer = EpisodeWriter(tmp_path, make_episode("episode_000002").info, opener=_open_full)
    with pytest.raises(BagError, match=r"episode_000002\.mcap: cannot be written: No space left") as caught:
        _record(writer)
    assert f"{writer.steps} complete steps are on disk" in str(caught.value)
    assert writer.steps >= 1
    assert len(read_episode(whole).steps) == 4
    result = repair_bag(writer.bag)
    assert (result.action, result.steps) == ("repaired", writer.steps)
    assert len(read_episode(writer.bag).steps) == writer.steps


def test_after_the_disk_refused_the_bag_stays_shut(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, make_episode().info, opener=_open_full)
    with pytest.raises(BagError):
        _record(writer)
    writer.abandon()
    with pytest.raises(BagError, match="closed file"):
        writer.write(topics.GRIPPER_CLOSE, 1, messages.boolean(True))


def _record_under_limit(bags: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    try:
        _record(EpisodeWriter(bags, make_episode("episode_000002").info))
    except BagError as error:
        (bags / "error").write_text(str(error))


def test_the_kernel_refusing_a_write_loses_no_step(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_record_under_limit, args=(tmp_path,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    message = (tmp_path / "error").read_text()
    assert "cannot be written: File too large" in message
    result = repair_bag(tmp_path / "episode_000002")
    assert result.action == "repaired"
    assert f"{result.steps} complete steps are on disk" in message


def test_a_repair_without_room_leaves_the_torn_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_sample(tmp_path)
    (bag / layout.METADATA).unlink()
    before = layout.mcap_path(bag).read_bytes()
    defaults = (_open_full, "")
    monkeypatch.setattr(EpisodeWriter.__init__, "__defaults__", defaults)
    with pytest.raises(BagError, match=r"episode_000001: cannot be mended, left as it was: .*No space left"):
        repair_bag(bag)
    assert layout.mcap_path(bag).read_bytes() == before
    assert len(list(bag.iterdir())) == 1
    monkeypatch.undo()
    assert repair_bag(bag).action == "closed"


def test_a_bags_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bags"
    path.write_text("precious")
    with pytest.raises(BagError, match="bags: cannot be used: it is a file"):
        layout.prepare_folder(path)
    with pytest.raises(BagError, match="Not a directory"):
        EpisodeWriter(path, make_episode().info)
    assert path.read_text() == "precious"


def test_a_folder_is_made_where_there_is_none(tmp_path: Path) -> None:
    bags = layout.prepare_folder(tmp_path / "a" / "b")
    episode = make_episode()
    assert read_episode(write_episode(bags, episode, make_signals(episode))).info.success


def test_numbers_go_on_after_the_highest(tmp_path: Path) -> None:
    assert layout.next_number(tmp_path, "episode") == 1
    for name in ("episode_000007", "episode_000003", "other_000099", "episode_x"):
        (tmp_path / name).mkdir()
    assert layout.next_number(tmp_path, "episode") == 8
    assert layout.episode_name("episode", 8) == "episode_000008"
