"""Recordings made of nothing: painted images, a camera that looks down between the fingers."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_collector.episode import Episode, EpisodeInfo, Steps
from qtopt_collector.report.recording import Recording, Trace, topic_stats
from qtopt_learner.store import StoreWriter
from qtopt_policy.camera import CameraModel
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.grasp_action import CLOSE, MOVE, TERMINATE, GraspAction
from qtopt_policy.mdp import EndReason


def camera() -> CameraModel:
    return CameraModel(64, 64, 55.0, 55.0, 31.5, 31.5, "tool", Pose.from_array([0, 0, -0.16, 0, 0, 0, 1]))


def painted(rng: np.random.Generator) -> NDArray[np.uint8]:
    image = np.full((64, 64, 3), (96, 100, 108), dtype=np.uint8)
    for _ in range(5):
        low = rng.integers(4, 44, 2)
        high = low + rng.integers(6, 16, 2)
        colour = tuple(int(value) for value in rng.integers(60, 255, 3))
        cv2.rectangle(image, tuple(map(int, low)), tuple(map(int, high)), colour, -1)
    return image


def steps_of(count: int, rng: np.random.Generator, q: bool) -> Steps:
    choices = [MOVE] * (count - 2) + [CLOSE, TERMINATE]
    actions = [GraspAction(rng.uniform(-0.03, 0.03, 3), float(rng.uniform(-0.5, 0.5)), c) for c in choices]
    asked = np.stack([action.as_array() for action in actions])
    poses = [pointing_down([0.5, 0.0, 0.25 - 0.02 * i], 0.1 * i).as_array() for i in range(count)]
    closed = np.array([0.0] * (count - 1) + [1.0])
    flags = np.zeros(count, dtype=bool)
    altered, terminal = flags.copy(), flags.copy()
    altered[count // 2], terminal[-1] = True, True
    return Steps(
        image=np.stack([painted(rng) for _ in range(count)]),
        stamp=np.array([100.0 + 0.6 * i for i in range(count)]),
        gripper_closed=closed,
        height_to_bottom=np.array([0.25 - 0.02 * i for i in range(count)]),
        aperture=np.where(closed > 0, 0.03, 0.08),
        tool_pose=np.stack(poses),
        asked=asked,
        executed=asked * 0.9,
        altered=altered,
        contact=flags,
        duration=np.full(count, 0.5),
        q=rng.uniform(0.1, 0.9, count) if q else np.full(count, np.nan),
        is_terminal=terminal,
        end_cause=("arrived",) * (count - 1) + ("terminate",),
        policy=("scripted",) * count,
    )


def recording(
    name: str = "episode-0001",
    seed: int = 1,
    success: bool | None = True,
    end_reason: EndReason = "terminate",
    policy: str = "scripted",
    count: int = 7,
    search: bool = False,
) -> Recording:
    rng = np.random.default_rng(seed)
    steps = steps_of(count, rng, q=policy != "scripted")
    reward = None if success is None else float(success)
    info = EpisodeInfo(
        name, seed, policy, end_reason, success, reward, success, 0.031, 0.029,
        robot="sim", benchmark="a1b2c3", package_version="0.1.0", mdp={"action_frame": "tool"},
    )  # fmt: skip
    time = np.array([100.0 + 0.01 * i for i in range(60 * count + 300)])
    aperture = np.where(time < 100.0 + 0.6 * (count - 1), 0.08, 0.03)
    height = 0.15 + 0.1 * np.cos((time - 100.0) * 0.8)
    return Recording(
        path=Path("bags") / name,
        size=1_234_567,
        episode=Episode(info, steps, camera()),
        topics=(topic_stats("joint_states", "sensor_msgs/msg/JointState", time),),
        aperture=Trace(time, aperture),
        height=Trace(time, height),
        latency=rng.uniform(0.004, 0.02, count),
        search={i: painted(rng) for i in range(count)} if search else {},
        drop={"before": painted(rng), "after": painted(rng)},
    )


def make_store(folder: Path, episodes: int) -> Path:
    """Write episodes of 6 steps in shards of two, every second one a success; return the folder."""
    with StoreWriter(folder, "a", 2) as writer:
        for seed in range(episodes):
            writer.append(recording(f"e{seed}", seed=seed, success=seed % 2 == 0, count=6).episode)
    return folder
