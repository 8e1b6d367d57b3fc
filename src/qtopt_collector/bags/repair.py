"""Mend bags that a crash left open: keep every complete step, mark the episode as aborted, `node_died`.

The copy is built beside the torn file and takes its place only when it is whole and on disk, so a crash
during the repair costs nothing.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Literal

from qtopt_collector.bags import layout, messages, schema
from qtopt_collector.bags.reader import Contents, build_episode, read_contents
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import EpisodeInfo
from qtopt_policy import topics
from qtopt_policy.errors import BagError

Action = Literal["intact", "closed", "repaired", "removed", "hopeless"]


@dataclass(frozen=True)
class RepairResult:
    """What became of one bag.

    Attributes:
        bag: its folder.
        action: intact: nothing to do; closed: the episode had ended, only the end of the file was missing;
            repaired: its complete steps were kept, it counts as aborted; removed: it was ours, but held no
            complete step; hopeless: it cannot be read, and was left as it is.
        steps: complete steps; None where the bag was closed and not read.
        reason: what was found.
    """

    bag: Path
    action: Action
    steps: int | None
    reason: str


def repair(path: Path) -> list[RepairResult]:
    """Mend all torn bags at a path (a bag, or a folder of bags); errors as `repair_bag`."""
    return [repair_bag(bag) for bag in layout.list_bags(path)]


def repair_torn(bags: Path) -> list[RepairResult]:
    """Mend the bags of a folder that were never closed; the folder may be empty. Errors as `repair_bag`."""
    torn = [folder for folder in sorted(bags.iterdir()) if layout.is_torn(folder)]
    return [repair_bag(bag) for bag in torn]


def repair_bag(bag: Path) -> RepairResult:
    """Mend one bag; a closed one is not touched.

    Raises:
        BagError: the disk refuses the copy (full, for example); the torn file stays as it was.
    """
    file = layout.mcap_path(bag)
    file.with_suffix(f".mcap{layout.REPAIRING}").unlink(missing_ok=True)
    if layout.is_closed(bag):
        return RepairResult(bag, "intact", None, "closed")
    contents = read_contents(file)
    reason = contents.fault or (f"no {layout.METADATA}" if contents.whole else "torn: no footer")
    steps = 0
    try:
        _cut_at_first_undecodable(contents)
        steps = len(contents.entries.get(topics.STEP, []))
        if steps == 0 and _is_ours(contents):
            shutil.rmtree(bag)
            return RepairResult(bag, "removed", 0, reason)
        _recall_camera(contents)
        info = build_episode(contents).info
    except BagError as error:
        return RepairResult(bag, "hopeless", steps, f"{reason}; {error}")
    outcome = _outcome(contents)
    _write_copy(bag, contents, info, outcome)
    ended = info.end_reason != "node_died" or bool(outcome)
    return RepairResult(bag, "closed" if ended else "repaired", steps, reason)


def _is_ours(contents: Contents) -> bool:
    """Return whether EpisodeWriter began the file: its header says so, or there is nothing in it yet."""
    return contents.library == schema.LIBRARY or contents.path.stat().st_size == 0


def _recall_camera(contents: Contents) -> None:
    """Take the camera from policy/episode where the crash came before its own record."""
    if schema.CAMERA_RECORD in contents.metadata:
        return
    told = (messages.values_of(message).get("camera", "") for message in contents.decode(topics.EPISODE))
    camera = next((text for text in told if text), "")
    if camera:
        contents.metadata[schema.CAMERA_RECORD] = {"camera": camera}


def _cut_at_first_undecodable(contents: Contents) -> None:
    """Drop all messages from the first one on that cannot be decoded (a power cut leaves blocks of zeros)."""
    for topic, entries in contents.entries.items():
        kind = schema.lookup(topic).kind
        for entry in entries:
            try:
                schema.deserialize(entry.cdr, kind)
            except BagError:
                _keep_before(contents, entry.time)
                break


def _keep_before(contents: Contents, time: int) -> None:
    for entries in contents.entries.values():
        entries[:] = [entry for entry in entries if entry.time < time]


def _outcome(contents: Contents) -> dict[str, object]:
    """Return what the outcome says beyond EpisodeInfo, {} where there is none yet."""
    decoded = contents.decode(topics.OUTCOME)
    if not decoded:
        return {}
    values = messages.values_of(decoded[-1])
    numbers = {key: json.loads(values[key]) for key in ("drop_changed", "drop_area")}
    return {"reason": values["reason"]} | numbers


def _write_copy(bag: Path, contents: Contents, info: EpisodeInfo, outcome: dict[str, object]) -> None:
    try:
        _copy(bag, contents, info, outcome)
    except BagError as error:
        layout.mcap_path(bag).with_suffix(f".mcap{layout.REPAIRING}").unlink(missing_ok=True)
        raise BagError(f"{bag}: cannot be mended, left as it was: {error.__cause__ or error}") from error


def _copy(bag: Path, contents: Contents, info: EpisodeInfo, outcome: dict[str, object]) -> None:
    copy = EpisodeWriter(bag.parent, info, suffix=layout.REPAIRING)
    for name, values in contents.metadata.items():
        if name != schema.INFO_RECORD:
            copy.annotate(name, values)
    for topic, time, cdr in _in_order(contents):
        copy.write_cdr(topic, time, cdr)
    copy.close(info, outcome)


def _in_order(contents: Contents) -> Iterator[tuple[str, int, bytes]]:
    streams = (
        [(entry.time, topic, entry.cdr) for entry in entries]
        for topic, entries in contents.entries.items()
        if topic != topics.OUTCOME
    )
    for time, topic, cdr in merge(*streams, key=lambda item: item[0]):
        yield topic, time, cdr
