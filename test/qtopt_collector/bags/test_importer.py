import itertools
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from rosbags.typesys.stores import ros2_kilted as ros
from sensor_msgs.msg import JointState

from qtopt_collector.bags import messages
from qtopt_collector.bags.convert import Signal
from qtopt_collector.bags.importer import import_bags
from qtopt_collector.bags.reader import open_bag, read_episode
from qtopt_collector.bags.source import COMPRESSED
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from support.episodes import make_episode
from support.ros_recordings import (
    image_message,
    network_image,
    raw_camera,
    raw_frames,
    record,
    record_split,
    session,
)

STORAGES = (StoragePlugin.SQLITE3, StoragePlugin.MCAP)
FIRST = make_episode("run-7", count=4, seed=7, start=100.0)
SECOND = make_episode("run-8", count=3, seed=8, start=110.0)
BOTH = [*session(FIRST), *session(SECOND)]


def assert_same(found: Episode, expected: Episode) -> None:
    for entry in fields(expected.steps):
        ours, theirs = getattr(expected.steps, entry.name), getattr(found.steps, entry.name)
        np.testing.assert_array_equal(theirs, ours, err_msg=entry.name)
    for name in ("episode_id", "seed", "policy", "epsilon", "checkpoint", "end_reason", "success", "reward"):
        assert getattr(found.info, name) == getattr(expected.info, name), name
    assert found.info.aperture_closed == expected.info.aperture_closed
    assert found.info.mdp["action_frame"] == expected.info.mdp["action_frame"]
    assert found.camera.to_mapping() == expected.camera.to_mapping()


MODES = [
    *itertools.product(STORAGES, [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE]),
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
]


@pytest.mark.parametrize(("storage", "compression"), MODES)
def test_every_episode_of_a_recording_comes_out(
    tmp_path: Path, storage: StoragePlugin, compression: CompressionMode
) -> None:
    path = record(tmp_path / "rec", BOTH, storage, compression)
    results = import_bags([path], tmp_path / "bags")
    assert [(result.episode_id, result.steps, result.note) for result in results] == [
        ("run-7", 4, ""),
        ("run-8", 3, ""),
    ]
    for episode in (FIRST, SECOND):
        assert_same(read_episode(tmp_path / "bags" / episode.info.episode_id), episode)


@pytest.mark.parametrize("storage", STORAGES)
def test_split_files_are_one_recording(tmp_path: Path, storage: StoragePlugin) -> None:
    path = record_split(tmp_path / "rec", BOTH, storage)
    assert len(list(path.glob("rec_*.*"))) == 3
    import_bags([path], tmp_path / "bags")
    for episode in (FIRST, SECOND):
        assert_same(read_episode(tmp_path / "bags" / episode.info.episode_id), episode)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_single_file_is_a_recording(tmp_path: Path, storage: StoragePlugin) -> None:
    path = record(tmp_path / "rec", BOTH, storage)
    file = next(entry for entry in path.iterdir() if entry.suffix in (".mcap", ".db3"))
    assert [result.steps for result in import_bags([file], tmp_path / "bags")] == [4, 3]


def test_the_streams_of_each_episode_are_its_own(tmp_path: Path) -> None:
    import_bags([record(tmp_path / "rec", BOTH)], tmp_path / "bags")
    for episode in (FIRST, SECOND):
        contents = open_bag(tmp_path / "bags" / episode.info.episode_id)
        sent = [s for s in session(episode) if s.topic == topics.JOINT_STATES]
        assert len(contents.entries[topics.JOINT_STATES]) == len(sent)
        assert len(contents.entries[topics.DROP_IMAGE]) == 2


def test_a_namespace_and_other_topics_do_not_matter(tmp_path: Path) -> None:
    note = Signal(BOTH[0].time, "rosout_note", ros.std_msgs__msg__String("hello"))
    path = record(tmp_path / "rec", [*BOTH, note], namespace="/left/arm1/")
    import_bags([path], tmp_path / "bags")
    assert_same(read_episode(tmp_path / "bags" / "run-7"), FIRST)


def test_joint_states_with_the_padding_of_rclpy_are_read(tmp_path: Path) -> None:
    padded = [
        replace(signal, message=serialize_message(JointState(name=["a"], position=[0.5])))
        if signal.topic == topics.JOINT_STATES
        else signal
        for signal in session(FIRST)
    ]
    import_bags([record(tmp_path / "rec", padded)], tmp_path / "bags")
    found = open_bag(tmp_path / "bags" / "run-7").decode(topics.JOINT_STATES)
    assert found[0].position.tolist() == [0.5]


def camera_recording(
    tmp_path: Path, rate: float, missing: slice = slice(0, 0), compressed: bool = False
) -> tuple[Path, dict[int, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]]:
    """Record an episode with the camera's frames instead of observations."""
    frames = raw_frames(FIRST, rate)
    for stamp in sorted(frames)[missing]:
        del frames[stamp]
    signals = [s for s in session(FIRST) if s.topic not in (topics.OBSERVATION, topics.CAMERA_INFO)]
    for stamp, pixels in frames.items():
        arrival = max(stamp + 3_000_000, min(s.time for s in signals))
        info = messages.camera_info(raw_camera(FIRST.camera), stamp, "camera")
        signals.append(Signal(arrival, topics.CAMERA_INFO, info))
        if compressed:
            message = messages.compressed_image(pixels, stamp, "camera")
            signals.append(Signal(arrival, COMPRESSED, message))
        else:
            signals.append(Signal(arrival, topics.IMAGE, image_message(pixels, stamp, padding=5)))
    return record(tmp_path / "rec", signals), frames


@pytest.mark.parametrize("rate", [30.0, 15.0, 100.0])
@pytest.mark.parametrize("compressed", [False, True])
def test_images_at_another_rate_are_brought_to_the_steps(
    tmp_path: Path, rate: float, compressed: bool
) -> None:
    path, frames = camera_recording(tmp_path, rate, compressed=compressed)
    (result,) = import_bags([path], tmp_path / "bags")
    assert result.steps == 4
    episode = read_episode(tmp_path / "bags" / "run-7")
    worst = 0
    for row, stamp in enumerate(FIRST.steps.stamp):
        wanted = messages.nanoseconds(float(stamp))
        closest = min(frames, key=lambda time: abs(time - wanted))
        worst = max(worst, abs(closest - wanted))
        np.testing.assert_array_equal(episode.steps.image[row], network_image(FIRST, frames[closest]))
    assert result.alignment is not None
    assert result.alignment.max_skew == pytest.approx(worst * 1e-9)
    assert 0.0 < result.alignment.max_skew <= 0.5 / rate + 1e-9
    assert result.alignment.topics == ((COMPRESSED,) if compressed else (topics.IMAGE,))
    assert result.alignment.dropped_frames == 0
    assert result.alignment.max_joint_skew <= 0.01


def test_dropped_frames_are_counted(tmp_path: Path) -> None:
    path, _ = camera_recording(tmp_path, 30.0, missing=slice(8, 11))
    (result,) = import_bags([path], tmp_path / "bags")
    assert result.alignment is not None
    assert (result.steps, result.alignment.dropped_frames) == (4, 3)


def test_an_episode_is_cut_where_no_image_is_near(tmp_path: Path) -> None:
    # Steps lie 0.5 s apart: without the frames around the third one the first two remain.
    path, _ = camera_recording(tmp_path, 30.0, missing=slice(25, 36))
    (result,) = import_bags([path], tmp_path / "bags")
    assert (result.steps, result.note) == (2, "cut after step 1 of 3")
    assert result.alignment is not None
    assert result.alignment.unmatched == 1
    episode = read_episode(tmp_path / "bags" / "run-7")
    assert (episode.info.end_reason, episode.info.success) == ("error", None)
    assert not episode.steps.is_terminal.any()


def test_a_wider_skew_may_be_allowed(tmp_path: Path) -> None:
    path, _ = camera_recording(tmp_path, 30.0, missing=slice(25, 36))
    (result,) = import_bags([path], tmp_path / "bags", max_skew=0.5)
    assert (result.steps, result.note) == (4, "")
    assert result.alignment is not None
    assert result.alignment.max_skew > 0.05


def test_an_episode_without_outcome_is_aborted(tmp_path: Path) -> None:
    import_bags([record(tmp_path / "rec", session(FIRST, outcome=False))], tmp_path / "bags")
    info = read_episode(tmp_path / "bags" / "run-7").info
    assert (info.end_reason, info.success) == ("node_died", None)


def test_an_episode_that_began_before_the_recording_is_named(tmp_path: Path) -> None:
    times = sorted(signal.time for signal in session(FIRST))
    late = [signal for signal in BOTH if signal.time > times[len(times) // 2]]
    results = import_bags([record(tmp_path / "rec", late)], tmp_path / "bags")
    assert {result.episode_id: (result.steps, result.note) for result in results} == {
        "run-7": (0, "its beginning was not recorded"),
        "run-8": (3, ""),
    }


def test_an_episode_that_the_recording_joined_late_is_named(tmp_path: Path) -> None:
    # policy/episode is latched, so its beginning is there, but the first step is not
    first = min(signal.time for signal in session(FIRST) if signal.topic == topics.STEP)
    late = [
        replace(signal, time=max(signal.time, first + 1))
        for signal in session(FIRST)
        if signal.time > first or signal.topic == topics.EPISODE
    ]
    (result,) = import_bags([record(tmp_path / "rec", late)], tmp_path / "bags")
    assert (result.bag, result.note) == (None, "its first 1 steps were not recorded")


def test_an_episode_that_the_recording_cut_off_is_aborted(tmp_path: Path) -> None:
    # the recorder stopped after the third step record of the first episode
    third = sorted(signal.time for signal in session(FIRST) if signal.topic == topics.STEP)[2]
    early = [signal for signal in BOTH if signal.time <= third]
    (result,) = import_bags([record(tmp_path / "rec", early)], tmp_path / "bags")
    assert (result.steps, result.note) == (3, "")
    assert read_episode(tmp_path / "bags" / "run-7").info.end_reason == "node_died"


def test_existing_episodes_are_not_overwritten(tmp_path: Path) -> None:
    path = record(tmp_path / "rec", BOTH)
    import_bags([path], tmp_path / "bags")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "bags").rglob("*")}
    again = import_bags([path], tmp_path / "bags")
    assert all("exists already" in result.note for result in again)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "bags").rglob("*")} == before


@pytest.mark.parametrize("topic", [topics.JOINT_STATES, topics.ACTION, topics.TOOL_POSE, topics.CAMERA_INFO])
def test_a_topic_that_was_not_recorded_is_named(tmp_path: Path, topic: str) -> None:
    less = [signal for signal in session(FIRST) if signal.topic != topic]
    (result,) = import_bags([record(tmp_path / "rec", less)], tmp_path / "bags")
    assert (result.bag, result.note) == (None, f"lacks topic {topic}")


def test_a_recording_without_images_is_named(tmp_path: Path) -> None:
    less = [signal for signal in session(FIRST) if signal.topic != topics.OBSERVATION]
    (result,) = import_bags([record(tmp_path / "rec", less)], tmp_path / "bags")
    assert (result.bag, result.note) == (None, "no image fits its first step")


def test_a_recording_without_episodes_is_refused(tmp_path: Path) -> None:
    less = [signal for signal in session(FIRST) if signal.topic != topics.EPISODE]
    with pytest.raises(BagError, match="no topic policy/episode"):
        import_bags([record(tmp_path / "rec", less)], tmp_path / "bags")


def test_an_episode_id_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    evil = make_episode("../escaped")
    (result,) = import_bags([record(tmp_path / "rec", session(evil))], tmp_path / "bags")
    assert result.bag is None
    assert "a name consists of" in result.note
    assert not (tmp_path / "escaped").exists()


def test_an_unfinished_recording_says_how_to_mend_it(tmp_path: Path) -> None:
    path = record(tmp_path / "rec", BOTH)
    (path / "metadata.yaml").unlink()
    with pytest.raises(BagError, match="ros2 bag reindex"):
        import_bags([path], tmp_path / "bags")


def test_a_truncated_recording_is_named(tmp_path: Path) -> None:
    path = record(tmp_path / "rec", BOTH)
    file = path / "rec.mcap"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(BagError, match="rec: cannot be read"):
        import_bags([path], tmp_path / "bags")


def test_namespaces_must_be_clear(tmp_path: Path) -> None:
    one = [replace(signal, topic=f"a/{signal.topic}") for signal in session(FIRST)]
    two = [replace(signal, topic=f"b/{signal.topic}") for signal in session(SECOND)]
    path = record(tmp_path / "rec", [*one, *two])
    with pytest.raises(BagError, match=r"several namespaces, choose one \(--namespace\): /a/, /b/"):
        import_bags([path], tmp_path / "bags")
    assert [r.episode_id for r in import_bags([path], tmp_path / "bags", namespace="b")] == ["run-8"]
    with pytest.raises(BagError, match=r"no namespace '/c'\. Found: /a/, /b/"):
        import_bags([path], tmp_path / "bags", namespace="/c")
