"""Write one episode as a bag that survives a crash at any moment.

Unchunked MCAP on an ordinary buffered file, flushed after every step and synced at the end: a killed
process leaves a file that reads up to its last step, and every closed bag whole (platform measurements in
docs/architecture.md). metadata.yaml, written last, marks a bag as closed.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter

from qtopt_collector.bags import layout, messages, records, schema
from qtopt_collector.episode import EpisodeInfo
from qtopt_policy import topics
from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import BagError


def _create(path: Path) -> BinaryIO:
    return path.open("xb")


class EpisodeWriter:
    """One open bag.

    What is not known yet when the bag opens counts as lost: until `close`, its information says
    `node_died`, so that a torn bag is an aborted episode without further ado.

    Attributes:
        bag: its folder.
        steps: step records written so far.
    """

    def __init__(
        self, bags: Path, info: EpisodeInfo, opener: Callable[[Path], BinaryIO] = _create, suffix: str = ""
    ) -> None:
        """Create the folder `bags/<episode id>` and its file.

        Args:
            bags: folder of all bags.
            info: what is known so far; its end is not believed until `close`.
            opener: creates the file, for tests of failing disks.
            suffix: of the file until `close` renames it; the folder may then exist (repair).

        Raises:
            BagError: the episode exists already, its name is no folder's, or the disk refuses.
        """
        self.bag = bags / layout.check_name(info.episode_id)
        self.path = layout.mcap_path(self.bag).with_suffix(f".mcap{suffix}")
        self.steps = 0
        self._counts = dict.fromkeys(schema.SPECS, 0)
        self._start, self._last = 0, 0
        with self._disk():
            self.bag.mkdir(parents=True, exist_ok=bool(suffix))
            self._stream: BinaryIO = opener(self.path)
        with self._disk():
            self._mcap = McapWriter(
                self._stream, use_chunking=False, compression=CompressionType.NONE, enable_data_crcs=True
            )
            self._mcap.start(profile="ros2", library=schema.LIBRARY)
            self._channels = self._register()
        self.update(info)

    def _register(self) -> dict[str, int]:
        kinds = dict.fromkeys(spec.kind for spec in schema.TOPICS)
        ids = {
            kind: self._mcap.register_schema(kind, "ros2msg", schema.message_definition(kind))
            for kind in kinds
        }
        channels = {}
        for spec in schema.TOPICS:
            metadata = {"offered_qos_profiles": layout.qos_text(spec)}
            channels[spec.name] = self._mcap.register_channel(
                f"/{spec.name}", "cdr", ids[spec.kind], metadata
            )
        return channels

    def update(self, info: EpisodeInfo) -> None:
        """Replace what is known about the episode (its end stays unknown until `close`)."""
        unfinished = replace(info, end_reason="node_died", success=None, reward=None)
        self.annotate(schema.INFO_RECORD, records.encode_info(unfinished))

    def set_camera(self, camera: CameraModel) -> None:
        """Record the camera as the network sees through it, after crop and resize."""
        self.annotate(schema.CAMERA_RECORD, records.encode_camera(camera))

    def annotate(self, name: str, values: Mapping[str, str]) -> None:
        """Add a metadata record; the last one of a name counts."""
        with self._disk():
            self._mcap.add_metadata(name, dict(values))
            self._stream.flush()

    def write(self, topic: str, time: int, message: object) -> None:
        """Append a rosbags message object; `time` in [ns]. Errors as `write_cdr`."""
        self.write_cdr(topic, time, schema.serialize(message, schema.lookup(topic).kind))

    def write_cdr(self, topic: str, time: int, cdr: bytes) -> None:
        """Append a serialised message.

        Log times never go back: readers of unchunked files demand it, and a message that arrives late was
        logged late. Its own stamp stays what it is.

        Args:
            topic: relative name, one of the schema's.
            time: of reception [ns].
            cdr: message as rosbags serialises it (schema.canonical).

        Raises:
            BagError: unknown topic, or the disk refuses (full, for example).
        """
        if topic not in self._counts:
            schema.lookup(topic)  # raises
        self._last = max(self._last, time)
        self._start = self._start or self._last
        number = self._counts[topic]
        try:  # without `_disk`, which would take as long as the write itself
            self._mcap.add_message(self._channels[topic], self._last, cdr, self._last, number)
            if topic == topics.STEP:
                self._stream.flush()
        except (OSError, ValueError) as error:
            raise self._refused(error) from error
        self._counts[topic] = number + 1
        self.steps += topic == topics.STEP

    def flush(self) -> None:
        """Hand everything to the operating system: a killed process then loses nothing."""
        with self._disk():
            self._stream.flush()

    def close(self, info: EpisodeInfo, extra: Mapping[str, object] | None = None) -> Path:
        """Write the outcome, finish the file, make it durable and mark the bag as closed.

        Args:
            info: everything about the episode, its end included.
            extra: further OUTCOME_KEYS: reason, drop_changed, drop_area.

        Returns:
            The bag's folder.

        Raises:
            BagError: the disk refuses; what was written stays and can be repaired.
        """
        values = records.outcome_values(info, self.steps, self.bag.name, extra or {})
        self.annotate(schema.INFO_RECORD, records.encode_info(info))
        self.write(topics.OUTCOME, self._last, messages.diagnostics("outcome", values, self._last))
        with self._disk():
            self._mcap.finish()
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._mark_closed(values, info.policy)
        return self.bag

    def _mark_closed(self, values: Mapping[str, str], policy: str) -> None:
        final = layout.mcap_path(self.bag)
        if self.path != final:
            self.path.replace(final)
        summary = layout.Summary(self._start, self._last, self._counts, layout.custom_data(values, policy))
        layout.write_metadata(self.bag, summary, schema.TOPICS)

    def abandon(self) -> None:
        """Let go of the file as it is: torn, for `repair` to mend."""
        with suppress(OSError):
            self._stream.close()

    def discard(self) -> None:
        """Delete the bag: for an episode that ended before its first step."""
        self.abandon()
        shutil.rmtree(self.bag)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Turn what the disk refuses into a BagError that says what is safe."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError | ValueError) -> BagError:
        if isinstance(error, ValueError):  # what Python's files raise once they are closed
            return BagError(f"{self.path}: {error}")
        if isinstance(error, FileExistsError):
            return BagError(f"{self.bag}: exists already; bags are never overwritten")
        if hasattr(self, "_stream"):
            self.abandon()
        return BagError(
            f"{self.path}: cannot be written: {error.strerror or error}. "
            f"{self.steps} complete steps are on disk "
            "(mend the bag with `qtopt bags repair`), and all closed bags are whole"
        )
