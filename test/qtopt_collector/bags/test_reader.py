"""Every way in which a bag can be wrong is refused by file and reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtopt_collector.bags import layout, messages, schema
from qtopt_collector.bags.convert import Signal, episode_signals, write_episode
from qtopt_collector.bags.reader import open_bag, read_episode
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import EpisodeInfo
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from support.episodes import make_camera, make_episode, make_info, make_signals, write_sample

Change = Callable[[dict[str, str]], dict[str, str]]


def write_changed(
    bags: Path,
    change: Change = dict,
    row: int = 1,
    without: tuple[str, ...] = (),
    info: EpisodeInfo | None = None,
    reverse_steps: bool = False,
) -> Path:
    """Write a sample whose step record `row` went through `change`, or which lacks messages."""
    episode = make_episode()
    signals = [*make_signals(episode, rate=5.0), *episode_signals(episode, "base_link")]
    signals = [signal for signal in signals if signal.topic not in without]
    steps = [signal for signal in signals if signal.topic == topics.STEP]
    values = change(messages.values_of(steps[row].message)) if steps else {}
    writer = EpisodeWriter(bags, episode.info)
    writer.set_camera(episode.camera)
    if steps:
        place = signals.index(steps[row])
        changed = messages.diagnostics("step", values, steps[row].time)
        signals[place] = Signal(steps[row].time, topics.STEP, changed)
    for signal in sorted(signals, key=lambda signal: signal.time, reverse=reverse_steps):
        writer.write(signal.topic, signal.time, signal.message)
    return writer.close(info or episode.info)


def test_an_unclosed_bag_is_torn(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    (bag / layout.METADATA).unlink()
    with pytest.raises(BagError, match=r"episode_000001: torn: never closed.*qtopt bags repair"):
        read_episode(bag)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_torn(tmp_path: Path, share: float) -> None:
    bag = write_sample(tmp_path)
    path = layout.mcap_path(bag)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(BagError, match=r"episode_000001\.mcap: torn"):
        read_episode(bag)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    path = layout.mcap_path(bag)
    data = bytearray(path.read_bytes())
    place = data.index(b"finger_joint1") + 40  # within the position of a joint state
    data[place] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BagError, match="crc"):
        read_episode(bag)


def test_steps_out_of_order_are_refused(tmp_path: Path) -> None:
    bag = write_changed(tmp_path, lambda values: values | {"index": "2"})
    with pytest.raises(BagError, match=r"episode_000001\.mcap: reordered: row 1 is step 2"):
        read_episode(bag)


def test_steps_back_in_time_are_refused(tmp_path: Path) -> None:
    bag = write_changed(tmp_path, lambda values: values | {"image_stamp": "1.0"})
    with pytest.raises(BagError, match="reordered"):
        read_episode(bag)


def test_messages_back_in_time_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtopt_collector.bags.writer.max", lambda last, time: time, raising=False)
    bag = write_changed(tmp_path, reverse_steps=True)
    with pytest.raises(BagError, match="reordered: log time"):
        read_episode(bag)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aperture": "nan"}, "step 1: .*aperture is 'nan'"),
        ({"duration": "inf"}, "duration is 'inf'"),
        ({"tool_pose": "[0, 0, NaN, 0, 0, 0, 1]"}, "tool_pose"),
        ({"asked": "[0, 0, 0]"}, r"asked is \[0, 0, 0\], expected 8"),
        ({"executed": "oops"}, "executed is 'oops'"),
        ({"height_to_bottom": ""}, "height_to_bottom is '', expected a number"),
        ({"altered": "yes"}, "altered is 'yes', expected 0 or 1"),
        ({"index": "-1"}, "index is '-1'"),
        ({"is_terminal": "1"}, "a step before the last one is terminal"),
        ({"episode_id": "other"}, "steps of episode_000001, other in episode episode_000001"),
        ({"image_stamp": "100.6789"}, "step 1: no observation of its stamp"),
    ],
)
def test_a_wrong_value_in_a_step_is_named(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    bag = write_changed(tmp_path, lambda values: values | change)
    with pytest.raises(BagError, match=rf"episode_000001\.mcap: .*{reason}"):
        read_episode(bag)


def test_q_may_be_nan(tmp_path: Path) -> None:
    bag = write_changed(tmp_path, lambda values: values | {"q": "nan"})
    assert np.isnan(read_episode(bag).steps.q[1])


def test_a_missing_key_of_a_step_is_named(tmp_path: Path) -> None:
    bag = write_changed(
        tmp_path, lambda values: {key: value for key, value in values.items() if key != "executed"}
    )
    with pytest.raises(BagError, match="step 1: step record lacks executed"):
        read_episode(bag)


@pytest.mark.parametrize(
    "topic",
    [
        spec.name
        for spec in schema.TOPICS
        if spec.required and spec.name not in ("policy/step", "collector/outcome")
    ],
)
def test_an_empty_topic_is_named(tmp_path: Path, topic: str) -> None:
    bag = write_changed(tmp_path, without=(topic,))
    with pytest.raises(BagError, match=f"lacks topic {topic}"):
        read_episode(bag)


def test_a_topic_that_was_never_recorded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    less = tuple(spec for spec in schema.TOPICS if spec.name != topics.GRIPPER_CLOSE)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "TOPICS", less)
        patch.setattr(schema, "SPECS", {spec.name: spec for spec in less})
        bag = write_changed(tmp_path, without=(topics.GRIPPER_CLOSE,))
    with pytest.raises(BagError, match="lacks topic gripper/close"):
        read_episode(bag)


def test_a_bag_without_steps_that_claims_success_is_refused(tmp_path: Path) -> None:
    bag = write_changed(tmp_path, without=(topics.STEP,))
    with pytest.raises(BagError, match="ended by terminate, but its last step is not terminal"):
        read_episode(bag)


def test_an_aborted_episode_has_no_terminal_step(tmp_path: Path) -> None:
    aborted = make_info(end_reason="watchdog")
    episode = read_episode(write_changed(tmp_path, info=aborted))
    assert episode.info.aborted
    assert not episode.steps.is_terminal.any()


def test_an_aborted_episode_without_steps_is_empty(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, make_info())
    writer.set_camera(make_camera())
    episode = read_episode(writer.close(make_info(end_reason="operator")))
    assert len(episode.steps) == 0


def test_nan_in_the_information_comes_back(tmp_path: Path) -> None:
    info = replace(make_info(), aperture_closed=float("nan"), truth=None)
    found = read_episode(write_changed(tmp_path, info=info)).info
    assert np.isnan(found.aperture_closed)
    assert found.truth is None


def test_a_lost_message_is_noticed(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    path = bag / layout.METADATA
    text = path.read_text()
    path.write_text(text.replace("  message_count: ", "  message_count: 1", 1))
    with pytest.raises(BagError, match=r"messages, metadata\.yaml says"):
        read_episode(bag)


def test_a_newer_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("qtopt_collector.bags.records.SCHEMA_VERSION", 2)
        bag = write_sample(tmp_path)
    with pytest.raises(BagError, match="schema version 2, this package reads 1"):
        read_episode(bag)


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    episode = make_episode()
    other = replace(episode, camera=make_camera(height=20))
    bag = write_episode(tmp_path, other, make_signals(episode, rate=5.0))
    with pytest.raises(BagError, match=r"step 0: image \(24, 32, 3\), its camera says \(20, 32, 3\)"):
        read_episode(bag)


def test_a_missing_camera_is_named(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, make_info())
    with pytest.raises(BagError, match="no metadata record qtopt_camera"):
        read_episode(writer.close(make_info(end_reason="operator")))


@pytest.mark.parametrize("name", ["nothing_there", "a_file"])
def test_what_is_no_bag_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "a_file").write_text("text")
    with pytest.raises(BagError, match=name):
        open_bag(tmp_path / name)
