"""What the report takes out of bags."""

from pathlib import Path

import numpy as np
import pytest

from qtopt_collector.bags import layout, messages, schema
from qtopt_collector.bags.convert import Signal, write_episode
from qtopt_collector.report.source import read_recording, write_report
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.episodes import make_episode, make_signals, write_sample


def test_size_is_that_of_the_files(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    expected = layout.mcap_path(bag).stat().st_size + (bag / layout.METADATA).stat().st_size
    assert read_recording(bag).size == expected


def test_rates_of_topics(tmp_path: Path) -> None:
    found = {topic.topic: topic for topic in read_recording(write_sample(tmp_path, count=4)).topics}
    assert found[topics.JOINT_STATES].rate == pytest.approx(100.0, rel=0.01)
    assert found[topics.STEP].count == 4
    assert topics.EPISODE not in found


def test_a_message_sent_again_counts_once(tmp_path: Path) -> None:
    episode = make_episode()
    signals = make_signals(episode)
    again = [signal for signal in signals if signal.topic == topics.JOINT_STATES][:50]
    once, twice = (
        next(t for t in read_recording(bag).topics if t.topic == topics.JOINT_STATES)
        for bag in (
            write_episode(tmp_path / "once", episode, signals),
            write_episode(tmp_path / "twice", episode, [*signals, *again]),
        )
    )
    assert twice == once


def test_aperture_between_steps_comes_from_the_fingers(tmp_path: Path) -> None:
    robot = load_robot(resolve(Path("config/robots/sim.yaml")))
    trace = read_recording(write_sample(tmp_path), robot).aperture
    assert len(trace.time) > 100
    np.testing.assert_allclose(trace.value, robot.gripper.aperture(0.02))


def test_without_a_robot_the_aperture_is_known_at_the_steps(tmp_path: Path) -> None:
    recording = read_recording(write_sample(tmp_path))
    np.testing.assert_array_equal(recording.aperture.time, recording.episode.steps.stamp)


def test_height_counts_from_the_floor_of_the_bin(tmp_path: Path) -> None:
    recording = read_recording(write_sample(tmp_path))
    assert recording.height.value[0] == pytest.approx(recording.episode.steps.height_to_bottom[0])


def test_drop_images_by_moment(tmp_path: Path) -> None:
    recording = read_recording(write_sample(tmp_path))
    assert sorted(recording.drop) == ["after", "before"]
    np.testing.assert_array_equal(recording.drop["before"], recording.episode.steps.image[0])


def test_debug_images_belong_to_the_step_of_their_stamp(tmp_path: Path) -> None:
    episode = make_episode(count=4)
    stamp = messages.nanoseconds(float(episode.steps.stamp[2]))
    picture = messages.compressed_image(episode.steps.image[1], stamp, "")
    stray = messages.compressed_image(episode.steps.image[0], stamp + 10_000_000, "")
    extra = [Signal(stamp, schema.DEBUG_IMAGE, picture), Signal(stamp, schema.DEBUG_IMAGE, stray)]
    found = read_recording(write_episode(tmp_path, episode, make_signals(episode) + extra)).search
    assert list(found) == [2]
    np.testing.assert_array_equal(found[2], episode.steps.image[1])


def test_report_of_a_folder_is_one_file(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_sample(tmp_path / "bags", f"episode_{number:06d}", seed=number)
    out = tmp_path / "deep" / "report.html"
    report = write_report([tmp_path / "bags"], out, "three")
    assert report.refused == ()
    assert [r.path.name for r in report.recordings] == ["episode_000001", "episode_000002", "episode_000003"]
    assert out.read_text().count('class="episode"') == 3


def test_a_torn_bag_is_refused_by_name(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    (bag / layout.METADATA).unlink()
    with pytest.raises(BagError, match=r"episode_000001.*torn"):
        read_recording(bag)


def test_a_report_leaves_out_what_it_cannot_read_and_says_so(tmp_path: Path) -> None:
    bag = write_sample(tmp_path / "bags", "episode_000001")
    write_sample(tmp_path / "bags", "episode_000002")
    (bag / layout.METADATA).unlink()
    report = write_report([tmp_path / "bags"], tmp_path / "report.html", "two")
    assert len(report.recordings) == 1
    assert "episode_000001" in report.refused[0]
    assert "Left out" in (tmp_path / "report.html").read_text()
