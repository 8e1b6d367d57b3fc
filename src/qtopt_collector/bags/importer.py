"""Episodes out of ordinary recordings: split by policy/episode, images brought to the steps, written as bags.

What a recording must hold: policy/episode, policy/step, policy/action, arm/tool_pose, joint_states and
camera/camera_info; collector/outcome for the reward; and policy/observation, or else the camera's images,
from which the observations are cut out again as the policy cut them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qtopt_collector.bags import layout, messages, records, schema
from qtopt_collector.bags.align import Alignment
from qtopt_collector.bags.convert import Signal
from qtopt_collector.bags.pictures import (
    Picture,
    Plan,
    as_observation,
    fetch_pictures,
    index_pictures,
    plan_pictures,
)
from qtopt_collector.bags.reader import Entry
from qtopt_collector.bags.slices import Slice, read_slices
from qtopt_collector.bags.source import Source, open_source
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import EpisodeInfo
from qtopt_policy import topics
from qtopt_policy.camera import CameraModel
from qtopt_policy.config import from_mapping
from qtopt_policy.errors import BagError, ConfigError, ImageError

MAX_SKEW = 0.05  # [s]
NEEDED = (topics.CAMERA_INFO, topics.JOINT_STATES, topics.TOOL_POSE, topics.ACTION)


@dataclass(frozen=True)
class ImportResult:
    """What became of one episode of a recording.

    Attributes:
        episode_id: its name.
        bag: the folder written, None where the episode could not be used.
        steps: written.
        alignment: of its images; None where it did not come to that.
        note: what was left out and why, "" where nothing was.
    """

    episode_id: str
    bag: Path | None
    steps: int
    alignment: Alignment | None
    note: str


def import_bags(
    paths: Iterable[Path], bags: Path, namespace: str | None = None, max_skew: float = MAX_SKEW
) -> list[ImportResult]:
    """Write every episode of recordings as a bag of its own.

    Args:
        paths: folders or files of recordings (sqlite3 or MCAP, zstd, split).
        bags: folder for the bags; existing ones are never overwritten.
        namespace: of the robot; None takes the only one.
        max_skew: longest time between a step's stamp and its image [s].

    Returns:
        One result per episode, in the order of the recordings.

    Raises:
        BagError: a recording cannot be read or holds no episodes, or the disk refuses.
    """
    layout.prepare_folder(bags)
    results = []
    for path in paths:
        with open_source(path, namespace) as source:
            results += _import_source(source, bags, max_skew)
    return results


def _import_source(source: Source, bags: Path, max_skew: float) -> list[ImportResult]:
    parts = read_slices(source)
    pictures = index_pictures(source)
    for part in parts:
        _check(part, bags)
    plans = {part.episode_id: plan_pictures(pictures, part, max_skew) for part in parts if not part.note}
    images = fetch_pictures(source, (pick for plan in plans.values() for pick in plan.picks))
    return [
        _write(part, plans[part.episode_id], images, bags)
        if part.episode_id in plans
        else ImportResult(part.episode_id, None, 0, None, part.note)
        for part in parts
    ]


def _check(part: Slice, bags: Path) -> None:
    """Note why an episode cannot be used."""
    missing = [name for name in NEEDED if not part.entries[name]]
    if part.note:
        return
    if missing:
        part.note = f"lacks topic {', '.join(missing)}"
    elif part.steps[0][1].index != 0:
        part.note = f"its first {part.steps[0][1].index} steps were not recorded"
    elif not part.values.get("camera"):
        part.note = f"no message on {topics.EPISODE} tells its camera"
    elif (bags / part.episode_id).exists():
        part.note = f"{bags / part.episode_id} exists already"


def _write(part: Slice, plan: Plan, images: Mapping[Picture, Entry], bags: Path) -> ImportResult:
    try:
        layout.check_name(part.episode_id)
        camera = records.decode_camera(part.values["camera"], f"{part.path}: {part.episode_id}")
        usable = _usable_steps(part, plan)
        info = _information(part, cut=usable < len(part.steps))
        signals = list(_signals(part, plan, images, camera, usable))
    except (BagError, ConfigError, ImageError) as error:
        return ImportResult(part.episode_id, None, 0, plan.alignment, str(error))
    if usable == 0:
        return ImportResult(part.episode_id, None, 0, plan.alignment, "no image fits its first step")
    writer = EpisodeWriter(bags, info)
    writer.set_camera(camera)
    origin = {"source": str(part.path), "alignment": json.dumps(asdict(plan.alignment))}
    writer.annotate(schema.IMPORT_RECORD, origin)
    for signal in sorted(signals, key=lambda signal: signal.time):
        writer.write(signal.topic, signal.time, signal.message)
    bag = writer.close(info, _judgement(part))
    note = "" if usable == len(part.steps) else f"cut after step {usable - 1} of {len(part.steps) - 1}"
    return ImportResult(part.episode_id, bag, usable, plan.alignment, note)


def _usable_steps(part: Slice, plan: Plan) -> int:
    """Return how many steps from the first on are there, in order, and have an image."""
    for row, ((_, step), pick) in enumerate(zip(part.steps, plan.picks, strict=True)):
        if step.index != row or pick is None:
            return row
    return len(part.steps)


def _information(part: Slice, cut: bool) -> EpisodeInfo:
    """Return what the recording tells about the episode; without an outcome it died with its collector."""
    told, outcome = part.values, part.outcome
    frame = part.decode(topics.ACTION)[0].header.frame_id
    source = f"{part.path}: {part.episode_id}"
    try:
        values: dict[str, Any] = {
            "episode_id": part.episode_id,
            "seed": int(told.get("seed", "0")),
            "policy": told.get("policy", ""),
            "epsilon": float(told.get("epsilon", "0")),
            "checkpoint": told.get("checkpoint", ""),
            "mdp": {"action_frame": frame},
            "end_reason": outcome.get("end_reason", "node_died"),
        }
        for key in ("success", "reward", "truth", "aperture_closed", "aperture_lifted"):
            values[key] = json.loads(outcome[key]) if key in outcome else None
    except ValueError as error:
        raise BagError(f"{source}: {error}") from error
    for key in ("aperture_closed", "aperture_lifted"):
        values[key] = float("nan") if values[key] is None else values[key]
    info = from_mapping(values, EpisodeInfo, source)
    return replace(info, end_reason="error", success=None, reward=None) if cut else info


def _judgement(part: Slice) -> dict[str, object]:
    outcome = part.outcome
    known: dict[str, object] = {"reason": outcome["reason"]} if "reason" in outcome else {}
    return known | {key: json.loads(outcome[key]) for key in ("drop_changed", "drop_area") if key in outcome}


def _signals(
    part: Slice, plan: Plan, images: Mapping[Picture, Entry], camera: CameraModel, usable: int
) -> Iterator[Signal]:
    for topic, entries in part.entries.items():
        kind = schema.lookup(topic).kind
        for entry in entries:
            yield Signal(entry.time, topic, schema.deserialize(entry.cdr, kind))
    for (time, step), pick in zip(part.steps[:usable], plan.picks, strict=False):
        if pick is None:
            continue
        stamp = messages.nanoseconds(step.image_stamp)
        entry = images[pick]
        yield Signal(entry.time, topics.OBSERVATION, as_observation(part, camera, pick, entry, stamp))
        values = records.encode_step(step)
        yield Signal(time, topics.STEP, messages.diagnostics("step", values, time))
