"""Ordinary recordings (`ros2 bag record`): sqlite3 or MCAP, compressed or not, split or not."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError

from qtopt_collector.bags import schema
from qtopt_collector.bags.reader import Entry
from qtopt_policy import topics
from qtopt_policy.errors import BagError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = topics.IMAGE + "/compressed"
IMAGE_TOPICS = {topics.IMAGE: IMAGE, COMPRESSED: schema.COMPRESSED_IMAGE}


@dataclass(frozen=True)
class Source:
    """An open recording.

    Attributes:
        path: of the recording.
        reader: of rosbags.
        namespace: before the topics of topics.py, with a trailing slash: `/` or `/robot1/`.
    """

    path: Path
    reader: AnyReader
    namespace: str

    def connections(self, kinds: dict[str, str]) -> dict[str, list[Connection]]:
        """Return the connections of topics by relative name; `kinds` says which type each must have.

        Raises:
            BagError: a topic is of another type.
        """
        found: dict[str, list[Connection]] = {}
        for connection in self.reader.connections:
            name = connection.topic.removeprefix(self.namespace)
            if name not in kinds or not connection.topic.startswith(self.namespace):
                continue
            if connection.msgtype != kinds[name]:
                raise BagError(f"{self.path}: {name} is {connection.msgtype}, expected {kinds[name]}")
            found.setdefault(name, []).append(connection)
        return found

    def messages(self, kinds: dict[str, str]) -> Iterator[tuple[str, Entry]]:
        """Return the messages of topics as relative name and entry, in the order of the recording."""
        wanted = [connection for group in self.connections(kinds).values() for connection in group]
        if not wanted:
            return
        try:
            for connection, time, data in self.reader.messages(wanted):
                yield connection.topic.removeprefix(self.namespace), Entry(time, bytes(data))
        except (AnyReaderError, ReaderError) as error:
            raise BagError(f"{self.path}: {error}") from error


@contextmanager
def open_source(path: Path, namespace: str | None = None) -> Iterator[Source]:
    """Open a recording.

    Args:
        path: its folder, or a single .mcap or .db3 file.
        namespace: of the robot; None takes the only one in it.

    Raises:
        BagError: it cannot be read, or the namespace is not there or not clear.
    """
    try:
        reader = AnyReader([path], default_typestore=schema.TYPESTORE)
        reader.open()
    except FileNotFoundError as error:
        reason = "does not exist" if not path.exists() else "no metadata.yaml (mend it: `ros2 bag reindex`)"
        raise BagError(f"{path}: {reason}") from error
    except (AnyReaderError, ReaderError, OSError) as error:
        raise BagError(f"{path}: cannot be read: {error}") from error
    try:
        names = [connection.topic for connection in reader.connections]
        yield Source(path, reader, _choose_namespace(path, names, namespace))
    finally:
        reader.close()


def _choose_namespace(path: Path, names: Iterable[str], namespace: str | None) -> str:
    suffix = "/" + topics.EPISODE
    found = sorted({name.removesuffix(topics.EPISODE) for name in names if name.endswith(suffix)})
    if not found:
        raise BagError(f"{path}: no topic {topics.EPISODE}: nothing says where an episode begins")
    if namespace is not None:
        wanted = f"/{namespace.strip('/')}/".replace("//", "/")
        if wanted not in found:
            raise BagError(f"{path}: no namespace '{namespace}'. Found: {', '.join(found)}")
        return wanted
    if len(found) > 1:
        raise BagError(f"{path}: several namespaces, choose one (--namespace): {', '.join(found)}")
    return found[0]
