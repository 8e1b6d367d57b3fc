"""A closer look at a bag than reading it needs: every message decodes, is finite and fits the others.

Of the camera's stream a bag keeps the image of each step alone, and camera/camera_info may get lost on its
way: frames that the camera dropped are known only where `qtopt bags import` counted them in the recording.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from qtopt_collector.bags import messages, schema
from qtopt_collector.bags.align import nearest, skews
from qtopt_collector.bags.reader import STAMP_TOLERANCE, Contents, build_episode, open_bag
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.errors import BagError, QtoptError
from qtopt_policy.grasp_action import ACTION_NAMES, GraspAction
from qtopt_policy.mdp import MdpConfig


def check_bag(path: Path) -> list[str]:
    """Return everything that is wrong with a bag; nothing where it is whole.

    Args:
        path: the bag's folder or its .mcap file.
    """
    try:
        contents = open_bag(path)
        episode = build_episode(contents)
    except BagError as error:
        return [str(error)]
    checks = (_decodable, _finite_signals, _actions, _outcome, _stamps, _imported)
    return [f"{contents.path}: {problem}" for check in checks for problem in _run(check, contents, episode)]


def _run(
    check: Callable[[Contents, Episode], Iterator[str]], contents: Contents, episode: Episode
) -> Iterator[str]:
    try:
        yield from check(contents, episode)
    except QtoptError as error:
        yield str(error)


def _decodable(contents: Contents, episode: Episode) -> Iterator[str]:
    for topic in contents.entries:
        if topic not in schema.SPECS:
            yield f"topic {topic} is not part of the schema"
            continue
        for row, entry in enumerate(contents.entries[topic]):
            try:
                message: Any = schema.deserialize(entry.cdr, schema.SPECS[topic].kind)
                if schema.SPECS[topic].kind == schema.COMPRESSED_IMAGE:
                    messages.decode_image(message)
            except QtoptError as error:
                yield f"{topic}, message {row}: {error}"


def _finite_signals(contents: Contents, episode: Episode) -> Iterator[str]:
    for row, state in enumerate(contents.decode(topics.JOINT_STATES)):
        if len(state.position) != len(state.name):
            found = f"{len(state.name)} names, {len(state.position)} positions"
            yield f"{topics.JOINT_STATES}, message {row}: {found}"
        elif not np.isfinite(state.position).all():
            yield f"{topics.JOINT_STATES}, message {row}: position {state.position.tolist()} is not finite"
    for topic in (topics.TOOL_POSE, topics.TARGET_POSE):
        for row, pose in enumerate(contents.decode(topic)):
            try:
                messages.pose_of(pose)
            except QtoptError as error:
                yield f"{topic}, message {row}: {error}"


def _actions(contents: Contents, episode: Episode) -> Iterator[str]:
    """Every step's action must be one, and be the one that was published for its image."""
    published = {messages.stamp_of(message): message for message in contents.decode(topics.ACTION)}
    for row, asked in enumerate(episode.steps.asked):
        GraspAction.from_array(asked)
        wanted = messages.nanoseconds(float(episode.steps.stamp[row]))
        stamp = nearest(sorted(published), wanted)
        if stamp is None or abs(stamp - wanted) > STAMP_TOLERANCE:
            yield f"step {row}: no {topics.ACTION} of its stamp"
            continue
        message = published[stamp]
        if tuple(message.name) != ACTION_NAMES:
            yield f"step {row}: {topics.ACTION} names {message.name}, expected {', '.join(ACTION_NAMES)}"
        elif not np.allclose(message.position, asked, atol=1e-9):
            yield f"step {row}: {topics.ACTION} {message.position.tolist()}, its record says {asked.tolist()}"


def _outcome(contents: Contents, episode: Episode) -> Iterator[str]:
    found = contents.decode(topics.OUTCOME)
    if len(found) != 1:
        yield f"{len(found)} messages on {topics.OUTCOME}, expected one"
        return
    values, info = messages.values_of(found[0]), episode.info
    expected: dict[str, object] = {"end_reason": info.end_reason, "episode_id": info.episode_id}
    expected |= {"success": json.dumps(info.success), "steps": str(len(episode.steps))}
    for key, value in expected.items():
        if values.get(key) != value:
            yield f"{topics.OUTCOME}: {key} is {values.get(key)}, the metadata say {value}"


def _stamps(contents: Contents, episode: Episode) -> Iterator[str]:
    """Tool pose and joints, the gripper's among them, must be known near the image of every step."""
    wanted = [messages.nanoseconds(float(stamp)) for stamp in episode.steps.stamp]
    limit = _max_skew(episode)
    for source, stamps in _streams(contents).items():
        found = skews(stamps, wanted)
        for row in np.flatnonzero(found > limit):
            yield f"step {row}: {source} {found[row]:.3f} s away from its image, max_skew {limit} s"


def _streams(contents: Contents) -> dict[str, list[int]]:
    """Return the stamps [ns] by what they are of, sorted: joints that came together, tool poses.

    A joint first heard of after the first step is none of the robot's: no step is made without those.
    """
    end = min((entry.time for entry in contents.entries[topics.STEP]), default=0)
    joints: dict[str, list[int]] = {}
    entries = contents.entries[topics.JOINT_STATES]
    for entry, state in zip(entries, contents.decode(topics.JOINT_STATES), strict=True):
        for name in state.name:
            if name in joints or entry.time <= end:
                joints.setdefault(name, []).append(messages.stamp_of(state))
    together: dict[tuple[int, ...], list[str]] = {}
    for name, stamps in joints.items():
        together.setdefault(tuple(sorted(stamps)), []).append(name)
    streams = {f"{topics.JOINT_STATES} of {', '.join(names)}": list(key) for key, names in together.items()}
    poses = sorted(messages.stamp_of(message) for message in contents.decode(topics.TOOL_POSE))
    return streams | {topics.TOOL_POSE: poses}


def _max_skew(episode: Episode) -> float:
    """Return the episode's own mdp.max_skew [s]; an imported one does not know it: the usual one."""
    return float(str(episode.info.mdp.get("max_skew", MdpConfig.max_skew)))


def _imported(contents: Contents, episode: Episode) -> Iterator[str]:
    """Tell what the import found in the camera's stream."""
    record = contents.metadata.get(schema.IMPORT_RECORD)
    if record is None:
        return
    try:
        found = json.loads(record["alignment"])
        dropped, skew = int(found["dropped_frames"]), float(found["max_skew"])
    except (KeyError, TypeError, ValueError) as error:
        yield f"metadata record {schema.IMPORT_RECORD}: no alignment in it: {error!r}"
        return
    if dropped:
        yield f"{dropped} image frames dropped in the recording, between its first and its last step"
    if skew > _max_skew(episode):
        yield f"images up to {skew:.3f} s away from their steps, max_skew {_max_skew(episode)} s"
