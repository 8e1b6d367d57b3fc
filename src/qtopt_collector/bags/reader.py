"""Read a bag back, as an Episode or as messages by topic; what is wrong is refused by file and reason."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import McapError
from mcap.records import Channel, Footer, Header, McapRecord, Message, Metadata
from mcap.stream_reader import CRCValidationError, StreamReader
from numpy.typing import NDArray

from qtopt_collector.bags import layout, messages, records, schema
from qtopt_collector.bags.records import StepRecord
from qtopt_collector.episode import Episode, EpisodeInfo
from qtopt_policy import topics
from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import BagError, ImageError

# A step names its image by a stamp in [s]; as a double that is exact to a quarter of a microsecond.
STAMP_TOLERANCE = 1_000  # [ns]


@dataclass(frozen=True)
class Entry:
    """One message: log time [ns] and CDR bytes."""

    time: int
    cdr: bytes


@dataclass(eq=False)
class Contents:
    """Everything in a bag's file, undecoded.

    Attributes:
        path: of the file.
        entries: by relative topic name, in the order of the file; every channel has a key.
        metadata: records by name, the last one of each.
        library: that began the file, as its header says.
        whole: whether the file ends with a valid footer.
        fault: why reading stopped, "" where it did not.
    """

    path: Path
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    library: str = ""
    whole: bool = False
    fault: str = ""

    def decode(self, topic: str) -> list[Any]:
        """Return the messages of a topic as rosbags objects; BagError where one cannot be read."""
        kind = schema.lookup(topic).kind
        try:
            return [schema.deserialize(entry.cdr, kind) for entry in self.entries.get(topic, [])]
        except BagError as error:
            raise BagError(f"{self.path}: {topic}: {error}") from error


def read_contents(path: Path) -> Contents:
    """Read a file as far as it goes; what stopped the reading is in `fault`, nothing is raised for it.

    Raises:
        BagError: the file cannot be opened.
    """
    contents = Contents(path)
    channels: dict[int, str] = {}
    last = 0
    try:
        for record in _records(path):
            if isinstance(record, Channel):
                channels[record.id] = record.topic.lstrip("/")
                contents.entries.setdefault(channels[record.id], [])
            elif isinstance(record, Message):
                if record.log_time < last:
                    contents.fault = f"reordered: log time {record.log_time} after {last}"
                    return contents
                last = record.log_time
                contents.entries[channels[record.channel_id]].append(Entry(last, record.data))
            elif isinstance(record, Header):
                contents.library = record.library
            elif isinstance(record, Metadata):
                contents.metadata[record.name] = record.metadata
            contents.whole = isinstance(record, Footer)
    except OSError as error:
        raise BagError(f"{path}: cannot be read: {error.strerror}") from error
    except (McapError, CRCValidationError, struct.error, ValueError, KeyError) as error:
        contents.fault = f"torn: {type(error).__name__} {error}".rstrip()
    return contents


def _records(path: Path) -> Iterator[McapRecord]:
    with path.open("rb") as stream:
        # No record of ours comes near 64 MiB; a torn length field must not ask for terabytes.
        yield from StreamReader(stream, validate_crcs=True, record_size_limit=1 << 26).records


def open_bag(path: Path) -> Contents:
    """Read a closed bag's file.

    Args:
        path: the bag's folder or its .mcap file.

    Raises:
        BagError: not closed, torn, reordered, of another schema version, or a topic is missing.
    """
    bag = path.parent if path.suffix == ".mcap" and path.is_file() else path
    file = layout.mcap_path(bag)
    if not file.is_file():
        raise BagError(f"{bag}: {'no ' + file.name + ' in it' if bag.is_dir() else 'is no bag folder'}")
    if not layout.is_closed(bag):
        raise BagError(f"{bag}: torn: never closed (no {layout.METADATA}). Mend it with `qtopt bags repair`")
    contents = read_contents(file)
    if contents.fault or not contents.whole:
        raise BagError(f"{file}: {contents.fault or 'torn: no footer'}")
    _check_topics(contents)
    _check_count(bag, contents)
    return contents


def _check_topics(contents: Contents) -> None:
    missing = [spec.name for spec in schema.TOPICS if spec.name not in contents.entries]
    steps = len(contents.entries.get(topics.STEP, []))
    if steps:
        spared = schema.NOT_STORED if schema.CONVERT_RECORD in contents.metadata else ()
        required = (spec.name for spec in schema.TOPICS if spec.required and spec.name not in spared)
        missing += [name for name in required if name not in missing and not contents.entries[name]]
    if missing:
        raise BagError(f"{contents.path}: lacks topic {', '.join(missing)}")


def _check_count(bag: Path, contents: Contents) -> None:
    promised, found = layout.read_metadata(bag)[0], sum(map(len, contents.entries.values()))
    if promised != found:
        raise BagError(f"{contents.path}: {found} messages, {layout.METADATA} says {promised}")


def read_info(contents: Contents) -> EpisodeInfo:
    """Return what is known about the episode; BagError where the record is missing or wrong."""
    if schema.INFO_RECORD not in contents.metadata:
        raise BagError(f"{contents.path}: no metadata record {schema.INFO_RECORD}")
    return records.decode_info(contents.metadata[schema.INFO_RECORD], str(contents.path))


def read_camera(contents: Contents) -> CameraModel:
    """Return the camera as the network saw through it; BagError where the record is missing or wrong."""
    record = contents.metadata.get(schema.CAMERA_RECORD, {})
    if "camera" not in record:
        raise BagError(f"{contents.path}: no metadata record {schema.CAMERA_RECORD}")
    return records.decode_camera(record["camera"], str(contents.path))


def read_steps(contents: Contents) -> list[StepRecord]:
    """Return the step records, checked to be whole and in order."""
    found: list[StepRecord] = []
    for row, message in enumerate(contents.decode(topics.STEP)):
        try:
            step = records.decode_step(messages.values_of(message))
        except BagError as error:
            raise BagError(f"{contents.path}: step {row}: {error}") from error
        if step.index != row or (found and step.image_stamp <= found[-1].image_stamp):
            raise BagError(
                f"{contents.path}: reordered: row {row} is step {step.index} at {step.image_stamp} s"
            )
        found.append(step)
    return found


def read_episode(path: Path) -> Episode:
    """Read a closed bag as an episode; errors as `open_bag` and `build_episode`."""
    return build_episode(open_bag(path))


def build_episode(contents: Contents) -> Episode:
    """Return the episode that lies in a file's contents.

    The last step of an aborted episode is never terminal, whatever the policy thought.

    Raises:
        BagError: a step record, image or metadata record is missing or wrong.
    """
    info, camera, steps = read_info(contents), read_camera(contents), read_steps(contents)
    if any(step.episode_id != info.episode_id for step in steps):
        names = sorted({step.episode_id for step in steps})
        raise BagError(f"{contents.path}: steps of {', '.join(names)} in episode {info.episode_id}")
    if any(step.is_terminal for step in steps[:-1]):
        raise BagError(f"{contents.path}: a step before the last one is terminal")
    if not info.aborted and not (steps and steps[-1].is_terminal):
        raise BagError(f"{contents.path}: ended by {info.end_reason}, but its last step is not terminal")
    if info.aborted and steps:
        steps[-1] = replace(steps[-1], is_terminal=False)
    images = _images(contents, steps, camera)
    return Episode(info, records.stack_steps(steps, images), camera)


def _images(contents: Contents, steps: list[StepRecord], camera: CameraModel) -> NDArray[np.uint8]:
    """Return the image of each step, (T, H, W, 3): the observation of its stamp."""
    by_stamp = {messages.stamp_of(message): message for message in contents.decode(topics.OBSERVATION)}
    images = np.zeros((len(steps), camera.height, camera.width, 3), dtype=np.uint8)
    for row, step in enumerate(steps):
        wanted = messages.nanoseconds(step.image_stamp)
        stamp = min(by_stamp, key=lambda time: abs(time - wanted), default=None)
        if stamp is None or abs(stamp - wanted) > STAMP_TOLERANCE:
            raise BagError(f"{contents.path}: step {row}: no observation of its stamp {step.image_stamp} s")
        try:
            image = messages.decode_image(by_stamp[stamp])
        except ImageError as error:
            raise BagError(f"{contents.path}: step {row}: {error}") from error
        if image.shape != images.shape[1:]:
            raise BagError(
                f"{contents.path}: step {row}: image {image.shape}, its camera says {images.shape[1:]}"
            )
        images[row] = image
    return images
