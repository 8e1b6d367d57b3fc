"""Folders and files of bags: names, numbering, rosbag2's metadata.yaml (version 9)."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from qtopt_collector.bags.schema import SCHEMA_VERSION, TYPESTORE, TopicSpec
from qtopt_policy.errors import BagError

METADATA = "metadata.yaml"
METADATA_VERSION = 9
REPAIRING = ".repairing"  # suffix of a copy under way; worthless after a crash


# libyaml is ten times faster; PyYAML's wheels have it, a build from source may not.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _PlainDumper(_Dumper):  # type: ignore[misc, valid-type]  # chosen at run time
    """Repeats equal values instead of writing YAML anchors, which not every reader follows."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def dump_yaml(value: object) -> str:
    """Return YAML text in block style, keys in their order."""
    return str(yaml.dump(value, Dumper=_PlainDumper, sort_keys=False))


def mcap_path(bag: Path) -> Path:
    """Return the path of a bag folder's one data file."""
    return bag / f"{bag.name}.mcap"


def is_closed(bag: Path) -> bool:
    """Return whether the bag was closed: metadata.yaml is written last."""
    return (bag / METADATA).is_file()


def is_torn(folder: Path) -> bool:
    """Return whether a folder is a bag that was never closed."""
    return mcap_path(folder).is_file() and not is_closed(folder)


def prepare_folder(bags: Path) -> Path:
    """Create the folder for bags if it is not there, and return it.

    Raises:
        BagError: it is a file, or cannot be created or written.
    """
    try:
        bags.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = "it is a file" if bags.is_file() else error.strerror
        raise BagError(f"bags folder {bags}: cannot be used: {found}") from error
    if not os.access(bags, os.W_OK | os.X_OK):
        raise BagError(f"bags folder {bags}: not writable")
    return bags


def list_bags(path: Path) -> list[Path]:
    """Return the bag folders at `path`: itself, the folder of an .mcap file, or those directly within.

    Raises:
        BagError: nothing is there, or no bag is.
    """
    if path.is_file() and path.suffix == ".mcap":
        return [path.parent]
    if not path.is_dir():
        raise BagError(f"{path}: {'neither a bag nor a folder' if path.exists() else 'does not exist'}")
    if _is_bag(path):
        return [path]
    bags = sorted(entry for entry in path.iterdir() if entry.is_dir() and _is_bag(entry))
    if not bags:
        raise BagError(f"{path}: holds no bags")
    return bags


def _is_bag(folder: Path) -> bool:
    return (folder / METADATA).is_file() or mcap_path(folder).is_file()


def check_name(name: str) -> str:
    """Return the name of an episode if it can be a folder's; BagError where it cannot."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise BagError(f"episode '{name}': a name consists of letters, digits, '_', '-' and '.'")
    return name


def next_number(bags: Path, prefix: str) -> int:
    """Return one more than the highest number of `<prefix>_<number>` in the folder, closed or torn."""
    pattern = re.compile(re.escape(prefix) + r"_(\d+)")
    matches = (pattern.fullmatch(entry.name) for entry in bags.iterdir())
    return 1 + max((int(match[1]) for match in matches if match), default=0)


def episode_name(prefix: str, number: int) -> str:
    """Return the name of an episode: sorts by number up to a million."""
    return f"{prefix}_{number:06d}"


@lru_cache
def qos_text(spec: TopicSpec) -> str:
    """Return the offered QoS of a topic as the text that MCAP channels carry."""
    return dump_yaml(qos_profiles(spec)).strip()


def qos_profiles(spec: TopicSpec) -> list[dict[str, object]]:
    """Return the offered QoS of a topic as rosbag2 version 9 writes it."""
    forever = {"sec": 9223372036, "nsec": 854775807}
    return [
        {
            "history": "keep_last",
            "depth": spec.depth,
            "reliability": "reliable" if spec.reliable else "best_effort",
            "durability": "transient_local" if spec.latched else "volatile",
            "deadline": forever,
            "lifespan": forever,
            "liveliness": "automatic",
            "liveliness_lease_duration": forever,
            "avoid_ros_namespace_conventions": False,
        }
    ]


@dataclass(frozen=True)
class Summary:
    """What metadata.yaml says of a bag: first and last log time [ns], messages per topic, custom data."""

    start: int
    end: int
    counts: Mapping[str, int]
    custom: Mapping[str, str]


def custom_data(outcome: Mapping[str, str], policy: str) -> dict[str, str]:
    """Return what metadata.yaml tells at a glance, from the values of collector/outcome."""
    keys = ("episode_id", "success", "end_reason", "steps")
    known = {key: outcome[key] for key in keys}
    return known | {"policy": policy, "schema_version": str(SCHEMA_VERSION)}


def write_metadata(bag: Path, summary: Summary, specs: Sequence[TopicSpec]) -> None:
    """Write metadata.yaml, whole or not at all; it marks the bag as closed.

    Raises:
        OSError: it cannot be written.
    """
    file = mcap_path(bag).name
    times = {
        "starting_time": {"nanoseconds_since_epoch": summary.start},
        "duration": {"nanoseconds": summary.end - summary.start},
        "message_count": sum(summary.counts.values()),
    }
    information = {
        "version": METADATA_VERSION,
        "storage_identifier": "mcap",
        **times,
        "topics_with_message_count": [_topic_entry(spec, summary.counts[spec.name]) for spec in specs],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file],
        "files": [{"path": file, **times}],
        "custom_data": dict(summary.custom),
        "ros_distro": "rosbags",
    }
    text = dump_yaml({"rosbag2_bagfile_information": information})
    partial = bag / (METADATA + ".part")
    with partial.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(bag / METADATA)
    sync_folder(bag)
    sync_folder(bag.parent)


def _topic_entry(spec: TopicSpec, count: int) -> dict[str, object]:
    return {
        "topic_metadata": {
            "name": f"/{spec.name}",
            "type": spec.kind,
            "serialization_format": "cdr",
            "offered_qos_profiles": qos_profiles(spec),
            "type_description_hash": TYPESTORE.hash_rihs01(spec.kind),
        },
        "message_count": count,
    }


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_metadata(bag: Path) -> tuple[int, dict[str, str]]:
    """Return the number of messages that metadata.yaml promises, and its custom data.

    Raises:
        BagError: metadata.yaml cannot be read.
    """
    path = bag / METADATA
    try:
        information = yaml.load(path.read_text(), _Loader)["rosbag2_bagfile_information"]
        return int(information["message_count"]), dict(information.get("custom_data") or {})
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise BagError(f"{path}: cannot be read: {error}") from error
