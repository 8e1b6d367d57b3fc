"""From a bag to what the report shows of it."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtopt_collector.bags import messages
from qtopt_collector.bags.layout import list_bags
from qtopt_collector.bags.reader import STAMP_TOLERANCE, Contents, Entry, build_episode, open_bag, read_steps
from qtopt_collector.bags.schema import BOOL, DEBUG_IMAGE, SPECS
from qtopt_collector.episode import Steps
from qtopt_collector.report.page import page
from qtopt_collector.report.recording import Recording, TopicStats, Trace, topic_stats
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from qtopt_policy.robot import RobotConfig


def read_recording(path: Path, robot: RobotConfig | None = None) -> Recording:
    """Read a closed bag.

    Args:
        path: its folder.
        robot: of the recording, for the aperture between steps; without it, and where the recorded joint
            states lack the gripper, the aperture is known at the steps only.

    Raises:
        BagError: the bag cannot be read.
    """
    contents = open_bag(path)
    episode = build_episode(contents)
    latency = np.array([step.latency for step in read_steps(contents)])
    return Recording(
        path=path,
        size=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        episode=episode,
        topics=topic_rates(contents),
        aperture=_aperture(contents, episode.steps, robot),
        height=_height(contents, episode.steps),
        latency=latency[np.isfinite(latency)],
        search=_search(contents, episode.steps),
        drop={m.header.frame_id: messages.decode_image(m) for m in contents.decode(topics.DROP_IMAGE)},
    )


@dataclass(frozen=True)
class Report:
    """What a report shows, and why bags were left out of it."""

    recordings: tuple[Recording, ...]
    refused: tuple[str, ...]


def write_report(
    bags: Sequence[Path],
    out: Path,
    title: str,
    robot: RobotConfig | None = None,
    notes: Sequence[str] = (),
    shown: int = 60,
) -> Report:
    """Write the report of all bags at `bags` (bags, or folders of bags) and return what it shows.

    Raises:
        BagError: there is no bag.
    """
    recordings: list[Recording] = []
    refused: list[str] = []
    for bag in (bag for path in bags for bag in list_bags(path)):
        try:
            recordings.append(read_recording(bag, robot))
        except BagError as error:
            refused.append(str(error))
    out.parent.mkdir(parents=True, exist_ok=True)
    told = [*notes, *(f"Left out: {reason}" for reason in refused)]
    out.write_text(page(title, recordings, shown, told))
    return Report(tuple(recordings), tuple(refused))


def topic_rates(contents: Contents) -> tuple[TopicStats, ...]:
    """Return how often each topic of a bag came, by the messages' own stamps."""
    return tuple(
        topic_stats(topic, SPECS[topic].kind, np.unique([_stamp(topic, entry) for entry in entries]) * 1e-9)
        for topic, entries in contents.entries.items()
        if topic in SPECS and entries
    )


def _stamp(topic: str, entry: Entry) -> int:
    """Return a message's own time [ns]: of its header, which comes first, or of its reception.

    A simulator that waits for its consumers sends its last messages again; a stamp counts once.
    """
    if SPECS[topic].kind == BOOL:
        return entry.time
    seconds, nanoseconds = struct.unpack_from("<iI", entry.cdr, 4)
    return int(seconds) * messages.NANO + int(nanoseconds)


def _aperture(contents: Contents, steps: Steps, robot: RobotConfig | None) -> Trace:
    rows: list[tuple[float, float]] = []
    joint = robot.gripper.joints[0] if robot else ""
    for message in contents.decode(topics.JOINT_STATES):
        if robot is not None and joint in message.name:
            position = float(message.position[list(message.name).index(joint)])
            rows.append((messages.stamp_of(message) * 1e-9, robot.gripper.aperture(position)))
    return _trace(rows) if rows else Trace(steps.stamp, steps.aperture)


def _height(contents: Contents, steps: Steps) -> Trace:
    """Return the height above the bin floor; where that lies, the steps tell."""
    if not len(steps):
        return Trace(np.empty(0), np.empty(0))
    floor = float(steps.tool_pose[0, 2] - steps.height_to_bottom[0])
    rows = [
        (messages.stamp_of(message) * 1e-9, float(message.pose.position.z) - floor)
        for message in contents.decode(topics.TOOL_POSE)
    ]
    return _trace(rows)


def _trace(rows: Sequence[tuple[float, float]]) -> Trace:
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return Trace(table[:, 0], table[:, 1])


def _search(contents: Contents, steps: Steps) -> dict[int, NDArray[np.uint8]]:
    stamps = np.array([messages.nanoseconds(stamp) for stamp in steps.stamp])
    found = {}
    for message in contents.decode(DEBUG_IMAGE):
        near = np.flatnonzero(np.abs(stamps - messages.stamp_of(message)) <= STAMP_TOLERANCE)
        if len(near):
            found[int(near[0])] = messages.decode_image(message)
    return found
