"""The observations of imported episodes: as recorded, or cut out of the camera's images again."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qtopt_collector.bags import messages, schema
from qtopt_collector.bags.align import Alignment, count_dropped, find_crop, nearest, skews
from qtopt_collector.bags.reader import STAMP_TOLERANCE, Entry
from qtopt_collector.bags.slices import Slice
from qtopt_collector.bags.source import IMAGE, IMAGE_TOPICS, Source
from qtopt_policy import topics
from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import BagError
from qtopt_policy.preprocess import check_layout, lookup_encoding, preprocess, to_rgb

KINDS = {topics.OBSERVATION: schema.COMPRESSED_IMAGE, **IMAGE_TOPICS}


@dataclass(frozen=True)
class Picture:
    """Where an image lies in a recording: topic, number within it, log time and stamp [ns]."""

    topic: str
    number: int
    time: int
    stamp: int


@dataclass(frozen=True)
class Plan:
    """Which image each step of an episode gets.

    Attributes:
        picks: one per step; None where none is near enough.
        alignment: how well they fit.
    """

    picks: list[Picture | None]
    alignment: Alignment


def index_pictures(source: Source) -> list[Picture]:
    """Return all images of a recording without keeping their pixels."""
    counts = dict.fromkeys(KINDS, 0)
    found = []
    for topic, entry in source.messages(KINDS):
        found.append(Picture(topic, counts[topic], entry.time, _stamp(entry.cdr)))
        counts[topic] += 1
    return found


def fetch_pictures(source: Source, picks: Iterable[Picture | None]) -> dict[Picture, Entry]:
    """Return the messages of the chosen images."""
    wanted = {(pick.topic, pick.number): pick for pick in picks if pick is not None}
    counts = dict.fromkeys(KINDS, 0)
    found = {}
    for topic, entry in source.messages(KINDS):
        pick = wanted.get((topic, counts[topic]))
        counts[topic] += 1
        if pick is not None:
            found[pick] = entry
    return found


def _stamp(cdr: bytes) -> int:
    """Return the stamp of a message that begins with a header [ns], without decoding the rest."""
    seconds, nano = struct.unpack_from("<iI", cdr, 4)
    return int(seconds) * messages.NANO + int(nano)


def plan_pictures(pictures: Sequence[Picture], part: Slice, max_skew: float) -> Plan:
    """Choose the image of each step: the observation of its stamp, else the camera's nearest image."""
    inside = [picture for picture in pictures if part.start <= picture.time <= part.stop]
    observations = [picture for picture in inside if picture.topic == topics.OBSERVATION]
    raw = next((group for topic in IMAGE_TOPICS if (group := [p for p in inside if p.topic == topic])), [])
    wanted = [messages.nanoseconds(step.image_stamp) for _, step in part.steps]
    picks = [
        _near(observations, stamp, STAMP_TOLERANCE) or _near(raw, stamp, messages.nanoseconds(max_skew))
        for stamp in wanted
    ]
    pairs = [(pick, stamp) for pick, stamp in zip(picks, wanted, strict=True) if pick is not None]
    joints = sorted(messages.stamp_of(message) for message in part.decode(topics.JOINT_STATES))
    during = sorted(picture.stamp for picture in raw if wanted[0] <= picture.stamp <= wanted[-1])
    alignment = Alignment(
        topics=tuple(dict.fromkeys(pick.topic for pick, _ in pairs)),
        max_skew=max((abs(pick.stamp - stamp) for pick, stamp in pairs), default=0) * 1e-9,
        max_joint_skew=float(skews(joints, wanted).max(initial=0.0)),
        dropped_frames=count_dropped(during),
        unmatched=picks.count(None),
    )
    return Plan(picks, alignment)


def _near(pictures: Sequence[Picture], wanted: int, tolerance: int) -> Picture | None:
    by_stamp = {picture.stamp: picture for picture in pictures}
    stamp = nearest(sorted(by_stamp), wanted)
    return None if stamp is None or abs(stamp - wanted) > tolerance else by_stamp[stamp]


def as_observation(part: Slice, camera: CameraModel, pick: Picture, entry: Entry, stamp: int) -> Any:
    """Return an image of the recording as a policy/observation message with the step's stamp.

    Raises:
        BagError: the image is none, or no crop of it gives the network's camera.
        ImageError: its encoding is unknown or its pixels are not usable.
    """
    message: Any = schema.deserialize(entry.cdr, KINDS[pick.topic])
    if pick.topic == topics.OBSERVATION:
        message.header = messages.header(stamp, message.header.frame_id)
        return message
    pixels = raw_image(message) if KINDS[pick.topic] == IMAGE else messages.decode_image(message)
    full = _full_camera(part, camera)
    small, _ = preprocess(pixels, full, find_crop(full, camera), (camera.height, camera.width))
    return messages.compressed_image(small, stamp, message.header.frame_id)


def _full_camera(part: Slice, camera: CameraModel) -> CameraModel:
    infos = part.decode(topics.CAMERA_INFO)
    if not infos:
        raise BagError(f"{part.path}: {part.episode_id}: lacks topic {topics.CAMERA_INFO}")
    info, k = infos[-1], infos[-1].k
    return CameraModel(info.width, info.height, k[0], k[4], k[2], k[5], camera.mount, camera.pose)


def raw_image(message: Any) -> NDArray[np.uint8]:
    """Return a sensor_msgs/Image as RGB, uint8, shape (H, W, 3); ImageError as check_layout and to_rgb."""
    check_layout(message.encoding, message.width, message.height, message.step, message.data.size)
    layout = lookup_encoding(message.encoding)
    order: Literal["<", ">"] = ">" if message.is_bigendian else "<"
    rows = message.data[: message.step * message.height].reshape(message.height, message.step)
    packed = np.ascontiguousarray(rows[:, : message.width * layout.pixel_bytes])
    pixels = packed.view(np.dtype(layout.dtype).newbyteorder(order)).astype(layout.dtype)
    shape = (message.height, message.width, layout.channels)
    return to_rgb(pixels.reshape(shape if layout.channels > 1 else shape[:2]), message.encoding)
