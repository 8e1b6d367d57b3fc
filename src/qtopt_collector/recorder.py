"""The bags of one run: episodes numbered on from what is there, torn ones mended first, history recalled."""

from collections.abc import Mapping
from pathlib import Path

from qtopt_collector.bags import layout, schema
from qtopt_collector.bags.gate import StepGate
from qtopt_collector.bags.repair import RepairResult, repair_torn
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import EpisodeInfo
from qtopt_policy import topics
from qtopt_policy.camera import CameraModel

HISTORY = 1000  # bags looked at for outcomes of earlier runs


class Recorder:
    """Writes one bag after the other.

    Args:
        bags: folder for the bags; made if it is not there.
        prefix: of the episodes' names.

    Attributes:
        repaired: what became of bags that an earlier run left torn.

    Raises:
        BagError: the folder cannot be used, or the disk refuses the repair.
    """

    def __init__(self, bags: Path, prefix: str = "episode") -> None:
        self._bags = layout.prepare_folder(bags)
        self._prefix = layout.check_name(prefix)
        self.repaired: list[RepairResult] = repair_torn(self._bags)
        self._number = layout.next_number(self._bags, prefix) - 1
        self._writer: EpisodeWriter | None = None
        self._gate = StepGate("")

    def next_id(self) -> str:
        """Return a name that no episode has had."""
        self._number = max(self._number + 1, layout.next_number(self._bags, self._prefix))
        return layout.episode_name(self._prefix, self._number)

    @property
    def active(self) -> bool:
        """Whether a bag is open."""
        return self._writer is not None

    @property
    def steps(self) -> int:
        """Steps in the open bag."""
        return self._writer.steps if self._writer else 0

    @property
    def fault(self) -> str:
        """What was wrong with the latest message that keeps a step out of the open bag, "" where none was."""
        return self._gate.fault

    def open(self, info: EpisodeInfo) -> None:
        """Open the bag of an episode; errors as EpisodeWriter."""
        self._writer = EpisodeWriter(self._bags, info)
        self._gate = StepGate(info.episode_id)

    def update(self, info: EpisodeInfo) -> None:
        """Replace what is known about the episode."""
        if self._writer is not None:
            self._writer.update(info)

    def set_camera(self, camera: CameraModel) -> None:
        """Record the camera as the network sees through it."""
        if self._writer is not None:
            self._writer.set_camera(camera)

    def record(self, topic: str, time: int, cdr: bytes) -> None:
        """Append a message as it came over the wire, at `time` [ns]; without an open bag it is dropped."""
        if self._writer is not None:
            self._writer.write_cdr(topic, time, schema.canonical(cdr, schema.lookup(topic).kind))

    def record_message(self, topic: str, time: int, message: object) -> None:
        """Append a rosbags message object at `time` [ns]; a step as soon as the gate lets it pass."""
        if self._writer is None:
            return
        self._gate.hear(topic, message)
        if topic != topics.STEP:
            self._writer.write(topic, time, message)
        for step in self._gate.passing():
            self._writer.write(topics.STEP, time, step)

    def close(self, info: EpisodeInfo, extra: Mapping[str, object] | None = None) -> Path | None:
        """Close the bag and return its folder; one without a step holds nothing to learn and is deleted."""
        writer, self._writer = self._writer, None
        if writer is None:
            return None
        if writer.steps == 0:
            writer.discard()
            return None
        return writer.close(info, extra)

    def abandon(self) -> None:
        """Let go of an open bag as it is."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()

    def history(self) -> list[tuple[str, bool]]:
        """Return policy, as recorded, and success of the judged episodes of earlier runs, oldest first."""
        names = sorted(path for path in self._bags.iterdir() if layout.is_closed(path))
        custom = (layout.read_metadata(bag)[1] for bag in names[-HISTORY:])
        return [
            (data["policy"], data["success"] == "true")
            for data in custom
            if data.get("success") in ("true", "false") and "policy" in data
        ]
