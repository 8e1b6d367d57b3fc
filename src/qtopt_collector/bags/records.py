"""Step records, episode information and camera as the text of diagnostics and metadata, and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qtopt_collector.bags.schema import SCHEMA_VERSION
from qtopt_collector.episode import EpisodeInfo, Steps
from qtopt_policy.camera import CameraModel
from qtopt_policy.config import from_mapping, to_mapping
from qtopt_policy.errors import BagError, ConfigError
from qtopt_policy.step_record import StepRecord as StepRecord
from qtopt_policy.step_record import encode_step as encode_step
from qtopt_policy.topics import OUTCOME_KEYS, STEP_KEYS

NUMBERS = ("image_stamp", "height_to_bottom", "aperture", "duration", "q", "latency")
MAY_BE_NAN = ("q", "latency")
VECTORS = {"tool_pose": 7, "asked": 8, "executed": 8}
FLAGS = ("gripper_closed", "altered", "contact", "is_terminal")


def decode_step(values: Mapping[str, str]) -> StepRecord:
    """Read a step record.

    Raises:
        BagError: a key is missing, or a value is not of its type, not finite (MAY_BE_NAN may be) or not in
            its range; the message names the key and the value.
    """
    missing = [key for key in STEP_KEYS if key not in values]
    if missing:
        raise BagError(f"step record lacks {', '.join(missing)}")
    parsed: dict[str, Any] = {key: values[key] for key in STEP_KEYS}
    for key in NUMBERS:
        parsed[key] = _number(key, values[key])
    for key, size in VECTORS.items():
        parsed[key] = _vector(key, values[key], size)
    for key in FLAGS:
        if values[key] not in ("0", "1"):
            raise BagError(f"step record: {key} is '{values[key]}', expected 0 or 1")
        parsed[key] = values[key] == "1"
    if not values["index"].isdecimal():
        raise BagError(f"step record: index is '{values['index']}', expected 0, 1, ...")
    return StepRecord(**(parsed | {"index": int(values["index"])}))


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise BagError(f"step record: {key} is '{text}', expected a number") from error
    if not np.isfinite(value) and key not in MAY_BE_NAN:
        raise BagError(f"step record: {key} is '{text}', expected a finite number")
    return value


def _vector(key: str, text: str, size: int) -> tuple[float, ...]:
    try:
        value = np.asarray(json.loads(text), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise BagError(f"step record: {key} is '{text}', expected a JSON list of numbers") from error
    if value.shape != (size,) or not np.isfinite(value).all():
        raise BagError(f"step record: {key} is {text}, expected {size} finite numbers")
    return tuple(value.tolist())


def step_records(steps: Steps, episode_id: str) -> list[StepRecord]:
    """Return the rows of `steps` as records."""
    return [
        StepRecord(
            episode_id=episode_id,
            index=row,
            image_stamp=float(steps.stamp[row]),
            gripper_closed=bool(steps.gripper_closed[row]),
            height_to_bottom=float(steps.height_to_bottom[row]),
            aperture=float(steps.aperture[row]),
            tool_pose=tuple(steps.tool_pose[row].tolist()),
            asked=tuple(steps.asked[row].tolist()),
            executed=tuple(steps.executed[row].tolist()),
            altered=bool(steps.altered[row]),
            contact=bool(steps.contact[row]),
            duration=float(steps.duration[row]),
            end_cause=steps.end_cause[row],
            q=float(steps.q[row]),
            is_terminal=bool(steps.is_terminal[row]),
            policy=steps.policy[row],
        )
        for row in range(len(steps))
    ]


def stack_steps(records: Sequence[StepRecord], images: np.ndarray[Any, np.dtype[np.uint8]]) -> Steps:
    """Return records and their images, shape (T, H, W, 3), as arrays."""

    def column(name: str, width: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
        shape = (len(records), width) if width else (len(records),)
        return np.array([getattr(record, name) for record in records], dtype=np.float64).reshape(shape)

    return Steps(
        image=images,
        stamp=column("image_stamp"),
        gripper_closed=column("gripper_closed"),
        height_to_bottom=column("height_to_bottom"),
        aperture=column("aperture"),
        tool_pose=column("tool_pose", 7),
        asked=column("asked", 8),
        executed=column("executed", 8),
        altered=column("altered").astype(np.bool_),
        contact=column("contact").astype(np.bool_),
        duration=column("duration"),
        q=column("q"),
        is_terminal=column("is_terminal").astype(np.bool_),
        end_cause=tuple(record.end_cause for record in records),
        policy=tuple(record.policy for record in records),
    )


def encode_info(info: EpisodeInfo) -> dict[str, str]:
    """Return the metadata record of an episode: every field as JSON, and the schema version."""
    return {key: json.dumps(value) for key, value in to_mapping(info).items()} | {
        "schema_version": str(SCHEMA_VERSION)
    }


def decode_info(record: Mapping[str, str], source: str) -> EpisodeInfo:
    """Read what `encode_info` wrote.

    Raises:
        BagError: another schema version, or a field that is missing or not of its type.
    """
    values = dict(record)
    version = values.pop("schema_version", "none")
    if version != str(SCHEMA_VERSION):
        raise BagError(f"{source}: schema version {version}, this package reads {SCHEMA_VERSION}")
    try:
        parsed = {key: json.loads(value) for key, value in values.items()}
        return from_mapping(parsed, EpisodeInfo, f"{source}: episode")
    except (ConfigError, ValueError) as error:
        raise BagError(f"{source}: metadata record of the episode: {error}") from error


def encode_camera(camera: CameraModel) -> dict[str, str]:
    """Return the metadata record of the camera."""
    return {"camera": json.dumps(camera.to_mapping())}


def decode_camera(text: str, source: str) -> CameraModel:
    """Read a camera's JSON; BagError where it is none."""
    try:
        return CameraModel.from_mapping(json.loads(text), source)
    except (ConfigError, ValueError) as error:
        raise BagError(f"{source}: camera '{text}': {error}") from error


def outcome_values(info: EpisodeInfo, steps: int, bag: str, extra: Mapping[str, object]) -> dict[str, str]:
    """Return the values of collector/outcome in the order of OUTCOME_KEYS; what is unknown becomes null."""
    known: dict[str, object] = to_mapping(info) | {"steps": steps, "bag": bag} | dict(extra)
    plain = {key: known.get(key) for key in OUTCOME_KEYS}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in plain.items()}
