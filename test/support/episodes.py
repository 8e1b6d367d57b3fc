"""Episodes with random but valid content, and the signals beside them."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from qtopt_collector.bags import messages
from qtopt_collector.bags.convert import Signal, write_episode
from qtopt_collector.episode import Episode, EpisodeInfo, Steps
from qtopt_policy import topics
from qtopt_policy.camera import CameraModel
from qtopt_policy.config import to_mapping
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.grasp_action import GraspAction
from qtopt_policy.mdp import EndReason

JOINTS = ("joint1", "joint2", "finger_joint1")
PERIOD = 0.5  # [s] between two steps


def make_info(name: str = "episode_000001", end_reason: EndReason = "terminate") -> EpisodeInfo:
    aborted = end_reason not in ("terminate", "max_steps")
    return EpisodeInfo(
        episode_id=name,
        seed=2**40 + 7,
        policy="epsilon(scripted, 0.2)",
        end_reason=end_reason,
        success=None if aborted else True,
        reward=None if aborted else 1.0,
        truth=True,
        aperture_closed=0.0312345678901234,
        aperture_lifted=0.03,
        checkpoint="sha256:0123",
        epsilon=0.2,
        robot="sim",
        benchmark="b1",
        package_version="0.1.0",
        limits={"workspace_min": [0.1, -0.2, 0.0], "max_tool_speed": 0.25},
        mdp={"action_frame": "tool", "max_steps": 20},
    )


def make_camera(height: int = 24, width: int = 32) -> CameraModel:
    pose = Pose.from_array([0.05, -0.02, -0.1, 0.1, 0.0, 0.0, 0.99])
    return CameraModel(width, height, 40.123456789, 41.0, 15.5, 11.5, "tool", pose)


def make_steps(count: int, camera: CameraModel, seed: int = 0, start: float = 100.0) -> Steps:
    rng = np.random.default_rng(seed)
    poses = [pointing_down(rng.uniform(-0.3, 0.3, 3), rng.uniform(-3, 3)) for _ in range(count + 1)]
    choices = [0] * (count - 1) + [3]
    moves = [
        GraspAction(rng.uniform(-0.04, 0.04, 3), rng.uniform(-0.5, 0.5), choice).as_array()
        for choice in choices
    ]
    asked = np.array(moves[:count]).reshape(count, 8)
    return Steps(
        image=rng.integers(0, 256, (count, camera.height, camera.width, 3), dtype=np.uint8),
        stamp=start + PERIOD * np.arange(count) + rng.uniform(0, 0.01, count),
        gripper_closed=rng.integers(0, 2, count).astype(np.float64),
        height_to_bottom=rng.uniform(0, 0.3, count),
        aperture=rng.uniform(0, 0.08, count),
        tool_pose=np.array([pose.as_array() for pose in poses[:count]]).reshape(count, 7),
        asked=asked,
        executed=asked + rng.normal(0, 1e-3, asked.shape),
        altered=rng.random(count) < 0.3,
        contact=rng.random(count) < 0.3,
        duration=rng.uniform(0.1, 0.4, count),
        q=np.where(rng.random(count) < 0.3, np.nan, rng.random(count)),
        is_terminal=np.arange(count) == count - 1,
        end_cause=tuple(rng.choice(["arrived", "timeout"], count).tolist()),
        policy=tuple(rng.choice(["scripted", "random"], count).tolist()),
    )


def make_episode(
    name: str = "episode_000001", count: int = 4, seed: int = 0, start: float = 100.0
) -> Episode:
    camera = make_camera()
    return Episode(make_info(name), make_steps(count, camera, seed, start), camera)


def make_signals(episode: Episode, rate: float = 100.0) -> list[Signal]:
    """Joint states at `rate` [Hz] over the whole episode, one arm wish, one gripper wish, the drop images."""
    stamps = episode.steps.stamp
    first, last = float(stamps[0]), float(stamps[-1] + PERIOD)
    signals = []
    for time in np.arange(first, last, 1.0 / rate):
        stamp = messages.nanoseconds(float(time))
        position = [np.sin(time), np.cos(time), 0.02]
        signals.append(Signal(stamp, topics.JOINT_STATES, messages.joint_state(stamp, JOINTS, position)))
    begin, end = messages.nanoseconds(first), messages.nanoseconds(last)
    target = messages.pose_stamped(Pose.from_array(episode.steps.tool_pose[0]), begin, "base_link")
    signals.append(Signal(begin, topics.TARGET_POSE, target))
    signals.append(Signal(begin, topics.GRIPPER_CLOSE, messages.boolean(True)))
    for frame in ("before", "after"):
        picture = messages.compressed_image(episode.steps.image[0], end, frame)
        signals.append(Signal(end, topics.DROP_IMAGE, picture))
    return signals


def write_sample(
    bags: Path, name: str = "episode_000001", count: int = 4, seed: int = 0, policy: str | None = None
) -> Path:
    episode = make_episode(name, count, seed)
    if policy is not None:
        episode = replace(episode, info=replace(episode.info, policy=policy))
    return write_episode(bags, episode, make_signals(episode))


def assert_same(found: Episode, expected: Episode) -> None:
    """Compare two episodes value by value and type by type."""
    for entry in fields(Steps):
        left, right = getattr(found.steps, entry.name), getattr(expected.steps, entry.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, entry.name
        np.testing.assert_array_equal(left, right, err_msg=entry.name)
    assert json.dumps(to_mapping(found.info)) == json.dumps(to_mapping(expected.info))
    assert found.camera.to_mapping() == expected.camera.to_mapping()
