"""Cut a recording into episodes: what policy/episode, policy/step and collector/outcome say, and when."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qtopt_collector.bags import messages, records, schema
from qtopt_collector.bags.reader import Entry
from qtopt_collector.bags.source import Source
from qtopt_policy import topics
from qtopt_policy.errors import BagError
from qtopt_policy.step_record import StepRecord

STREAMS = (
    topics.CAMERA_INFO,
    topics.JOINT_STATES,
    topics.TOOL_POSE,
    topics.ACTION,
    topics.TARGET_POSE,
    topics.GRIPPER_CLOSE,
    topics.EPISODE,
    topics.DROP_IMAGE,
)
EVENTS = (topics.EPISODE, topics.STEP, topics.OUTCOME)


@dataclass(eq=False)
class Slice:
    """One episode of a recording, its images apart.

    Attributes:
        path: of the recording.
        episode_id: its name.
        start, stop: log times between which its streams lie [ns].
        ended: whether the recording holds its end.
        values: of policy/episode, the last that is not empty of each key.
        outcome: values of collector/outcome, empty where there is none.
        steps: log time and record, in the order of the recording.
        entries: messages by topic (STREAMS).
        note: why it cannot be used, "" where it can.
    """

    path: Path
    episode_id: str
    start: int = -1
    stop: int = 0
    ended: bool = False
    values: dict[str, str] = field(default_factory=dict)
    outcome: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[int, StepRecord]] = field(default_factory=list)
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    note: str = ""

    def decode(self, topic: str) -> list[Any]:
        """Return the messages of a topic as rosbags objects."""
        kind = schema.lookup(topic).kind
        return [schema.deserialize(entry.cdr, kind) for entry in self.entries[topic]]


def read_slices(source: Source) -> list[Slice]:
    """Return the episodes of a recording in the order of their first message.

    Raises:
        BagError: a topic is of another type than the schema's.
    """
    kinds = {name: schema.lookup(name).kind for name in {*STREAMS, *EVENTS}}
    found: dict[str, list[Entry]] = {name: [] for name in kinds}
    for name, entry in source.messages(kinds):
        found[name].append(entry)
    for entries in found.values():
        entries.sort(key=lambda entry: entry.time)
    slices: dict[str, Slice] = {}
    for name in EVENTS:
        for entry in found[name]:
            _take_event(source.path, slices, name, entry)
    ordered = sorted(slices.values(), key=lambda part: part.start)
    last = max((entries[-1].time for entries in found.values() if entries), default=0)
    for part, following in zip(ordered, [*ordered[1:], None], strict=True):
        _close(part, last if following is None else following.start - 1)
        for name in STREAMS:
            part.entries[name] = [e for e in found[name] if part.start <= e.time <= part.stop]
    return ordered


def _take_event(path: Path, slices: dict[str, Slice], topic: str, entry: Entry) -> None:
    values = messages.values_of(schema.deserialize(entry.cdr, schema.DIAGNOSTICS))
    name = values.get("episode_id", "")
    part = slices.setdefault(name, Slice(path, name))
    if topic == topics.EPISODE:
        part.values |= {key: value for key, value in values.items() if value}
        if values.get("state") != "ended":
            part.start = part.start if part.start >= 0 else entry.time
        else:
            part.ended, part.stop = True, entry.time
    elif topic == topics.OUTCOME:
        part.outcome = values
        part.ended, part.stop = True, max(part.stop, entry.time)
    else:
        try:
            part.steps.append((entry.time, records.decode_step(values)))
        except BagError as error:
            part.note = part.note or str(error)


def _close(part: Slice, latest: int) -> None:
    """Settle the window in which the streams of an episode lie, and whether it can be used."""
    part.stop = min(part.stop, latest) if part.ended else latest
    if part.start < 0:
        # A latched message of an episode that ended before the recording began.
        part.note = part.note or "its beginning was not recorded"
    elif not part.steps:
        part.note = part.note or "no steps"
