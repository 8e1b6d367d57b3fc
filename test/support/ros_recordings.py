"""What `ros2 bag record` leaves, made with rosbags: both storages, compression, split files."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys.stores import ros2_kilted as ros

from qtopt_collector.bags import layout, messages, records, schema
from qtopt_collector.bags.convert import Signal, episode_signals
from qtopt_collector.bags.source import COMPRESSED, IMAGE
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.camera import CameraModel
from qtopt_policy.preprocess import preprocess
from support.episodes import make_signals

KINDS = {spec.name: spec.kind for spec in schema.TOPICS} | {
    topics.IMAGE: IMAGE,
    COMPRESSED: schema.COMPRESSED_IMAGE,
    "rosout_note": "std_msgs/msg/String",
}


def kind_of(topic: str) -> str:
    """Return the type of a topic; it may carry a namespace."""
    return next(kind for name, kind in KINDS.items() if topic.endswith(name))


def record(
    path: Path,
    signals: Sequence[Signal],
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    namespace: str = "/",
) -> Path:
    """Write a recording of all signals, in the order of their times; bytes are taken as CDR."""
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections = {
            topic: writer.add_connection(namespace + topic, kind_of(topic), typestore=schema.TYPESTORE)
            for topic in sorted({signal.topic for signal in signals})
        }
        for signal in sorted(signals, key=lambda signal: signal.time):
            message = signal.message
            cdr = message if isinstance(message, bytes) else schema.serialize(message, kind_of(signal.topic))
            writer.write(connections[signal.topic], signal.time, cdr)
    return path


def record_split(path: Path, signals: Sequence[Signal], storage: StoragePlugin, parts: int = 3) -> Path:
    """Write a recording split into files, as `ros2 bag record -b` does."""
    ordered = sorted(signals, key=lambda signal: signal.time)
    size = -(-len(ordered) // parts)
    pieces = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    path.mkdir()
    information: list[dict[str, object]] = []
    for number, piece in enumerate(pieces):
        single = record(path / f"{path.name}_{number}", piece, storage)
        file = next(entry for entry in single.iterdir() if entry.suffix in (".mcap", ".db3"))
        file.rename(path / file.name)
        text = (single / layout.METADATA).read_text()
        information.append(yaml.safe_load(text)["rosbag2_bagfile_information"] | {"file": file.name})
    merged = dict(information[0])
    merged["relative_file_paths"] = [entry["file"] for entry in information]
    entries: dict[str, dict[str, object]] = {}
    for entry in information:
        for topic in entry["topics_with_message_count"]:  # type: ignore[attr-defined]
            name = topic["topic_metadata"]["name"]
            known = entries.setdefault(name, topic | {"message_count": 0})
            known["message_count"] += topic["message_count"]
    merged["topics_with_message_count"] = list(entries.values())
    merged["message_count"] = len(ordered)
    (path / layout.METADATA).write_text(yaml.safe_dump({"rosbag2_bagfile_information": merged}))
    return path


def session(episode: Episode, outcome: bool = True) -> list[Signal]:
    """Everything that the topics carry during one episode, observations included."""
    signals = [*make_signals(episode), *episode_signals(episode, "base_link")]
    begin = min(signal.time for signal in signals) - 1_000
    end = max(signal.time for signal in signals)
    told = {"episode_id": episode.info.episode_id, "seed": str(episode.info.seed)}
    told |= {"policy": episode.info.policy, "epsilon": str(episode.info.epsilon)}
    told |= {"checkpoint": episode.info.checkpoint}
    camera = json.dumps(episode.camera.to_mapping())
    for state, time in (("started", begin), ("running", begin + 500), ("ended", end)):
        values = told | {"state": state, "camera": "" if state == "started" else camera}
        signals.append(Signal(time, topics.EPISODE, messages.diagnostics("episode", values, time)))
    if outcome:
        values = records.outcome_values(episode.info, len(episode.steps), "", {"reason": "held"})
        signals.append(Signal(end + 1_000, topics.OUTCOME, messages.diagnostics("outcome", values, end)))
    return signals


def raw_camera(camera: CameraModel) -> CameraModel:
    """Return a camera from which a crop, halved, is `camera`."""
    doubled = camera.resized(camera.width * 2, camera.height * 2)
    wider = CameraModel(
        doubled.width + 20,
        doubled.height + 12,
        doubled.fx,
        doubled.fy,
        doubled.cx + 13,
        doubled.cy + 5,
        camera.mount,
        camera.pose,
    )
    assert wider.cropped(13, 5, doubled.width, doubled.height).resized(
        camera.width, camera.height
    ).to_mapping() == (camera.to_mapping())
    return wider


def image_message(pixels: NDArray[np.uint8], stamp: int, padding: int = 0) -> object:
    """Return a bgr8 Image with `padding` extra bytes at the end of each row."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, width * 3 + padding), dtype=np.uint8)
    rows[:, : width * 3] = pixels[:, :, ::-1].reshape(height, -1)
    return ros.sensor_msgs__msg__Image(
        messages.header(stamp, "camera"), height, width, "bgr8", 0, rows.shape[1], rows.ravel()
    )


def raw_frames(episode: Episode, rate: float, seed: int = 0) -> dict[int, NDArray[np.uint8]]:
    """Return camera frames at `rate` [Hz] over an episode by stamp [ns]; the camera is `raw_camera`."""
    rng = np.random.default_rng(seed)
    camera = raw_camera(episode.camera)
    start, stop = episode.steps.stamp[0] - 0.01, episode.steps.stamp[-1] + 0.01
    times = np.arange(start, stop + 1.0 / rate, 1.0 / rate)
    shape = (camera.height, camera.width, 3)
    return {messages.nanoseconds(float(t)): rng.integers(0, 256, shape, dtype=np.uint8) for t in times}


def network_image(episode: Episode, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what the policy saw of a frame of `raw_frames`."""
    camera = episode.camera
    crop = (13, 5, camera.width * 2, camera.height * 2)
    return preprocess(frame, raw_camera(camera), crop, (camera.height, camera.width))[0]
