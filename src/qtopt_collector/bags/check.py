"""A closer look at a bag than reading it needs: every message decodes, is finite and fits the others."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from qtopt_collector.bags import messages, schema
from qtopt_collector.bags.align import nearest
from qtopt_collector.bags.reader import STAMP_TOLERANCE, Contents, build_episode, open_bag
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.errors import BagError, QtoptError
from qtopt_policy.grasp_action import ACTION_NAMES, GraspAction


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
    checks = (_decodable, _finite_signals, _actions, _outcome)
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
