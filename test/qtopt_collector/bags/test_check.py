import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtopt_collector.bags import layout, messages, schema
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.convert import Signal, episode_signals, write_episode
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.grasp_action import ACTION_NAMES
from support.episodes import make_episode, make_signals, write_sample


def test_a_whole_bag_has_no_problems(tmp_path: Path) -> None:
    assert check_bag(write_sample(tmp_path)) == []


def test_a_torn_bag_has_one(tmp_path: Path) -> None:
    bag = write_sample(tmp_path)
    (bag / layout.METADATA).unlink()
    (problem,) = check_bag(bag)
    assert "never closed" in problem


@pytest.mark.parametrize(
    ("topic", "message", "problem"),
    [
        (topics.JOINT_STATES, messages.joint_state(0, ["a"], [np.nan]), "position .nan. is not finite"),
        (topics.JOINT_STATES, messages.joint_state(0, ["a", "b"], [0.0]), "2 names, 1 positions"),
        (
            topics.DROP_IMAGE,
            replace(
                messages.compressed_image(np.zeros((8, 8, 3), np.uint8), 0, ""), data=np.zeros(3, np.uint8)
            ),
            "drop_image, message 2: png image of 3 bytes",
        ),
    ],
)
def test_a_signal_that_is_not_sound_is_named(
    tmp_path: Path, topic: str, message: object, problem: str
) -> None:
    episode = make_episode()
    signals = make_signals(episode)
    last = max(signal.time for signal in signals)
    bag = write_episode(tmp_path, episode, [*signals, Signal(last, topic, message)])
    (found,) = check_bag(bag)
    assert "episode_000001.mcap" in found
    assert problem.replace(".", "") in found.replace("[", "").replace("]", "").replace(".", "")


def test_an_action_that_differs_from_its_step_is_named(tmp_path: Path) -> None:
    episode = make_episode()
    actions = [s for s in episode_signals(episode, "base_link") if s.topic == topics.ACTION]
    stamp = messages.stamp_of(actions[1].message)
    actions[1] = Signal(stamp, topics.ACTION, messages.joint_state(stamp, ACTION_NAMES, np.zeros(8)))
    bag = write_episode(tmp_path, episode, [*make_signals(episode), *actions])
    (found,) = check_bag(bag)
    assert "step 1: policy/action" in found


def signals_without(episode: Episode, joint: str, start: float, stop: float) -> list[Signal]:
    """Joint states of two publishers, the arm and `joint` alone, which is silent from start to stop [s]."""
    signals = [signal for signal in make_signals(episode) if signal.topic != topics.JOINT_STATES]
    for time in np.arange(100.0, 102.5, 0.01):
        stamp = messages.nanoseconds(float(time))
        arm = messages.joint_state(stamp, ["joint1", "joint2"], [0.0, 0.0])
        signals.append(Signal(stamp, topics.JOINT_STATES, arm))
        if not start < time < stop:
            signals.append(Signal(stamp, topics.JOINT_STATES, messages.joint_state(stamp, [joint], [0.0])))
    return signals


def test_a_step_whose_gripper_is_known_too_far_from_its_image_is_named(tmp_path: Path) -> None:
    episode = make_episode()
    second = float(episode.steps.stamp[1])
    for silence, name in ((0.03, "near"), (0.12, "far")):
        signals = signals_without(episode, "finger_joint1", second - silence, second + silence)
        bag = write_episode(tmp_path / name, episode, signals)
        problems = check_bag(bag)
        if name == "near":
            assert problems == []
    (problem,) = problems
    assert "episode_000001.mcap: step 1: joint_states of finger_joint1 0.1" in problem
    assert problem.endswith("s away from its image, max_skew 0.05 s")


def test_the_episodes_own_max_skew_counts(tmp_path: Path) -> None:
    episode = make_episode()
    wide = replace(episode, info=replace(episode.info, mdp={**episode.info.mdp, "max_skew": 0.2}))
    second = float(episode.steps.stamp[1])
    signals = signals_without(wide, "finger_joint1", second - 0.12, second + 0.12)
    assert check_bag(write_episode(tmp_path, wide, signals)) == []


def test_a_step_without_a_tool_pose_near_its_image_is_named(tmp_path: Path) -> None:
    episode = make_episode()
    poses = [s for s in episode_signals(episode, "base_link") if s.topic == topics.TOOL_POSE]
    bag = write_episode(tmp_path, episode, [*make_signals(episode), *poses[:2], *poses[3:]])
    (problem,) = check_bag(bag)
    assert "step 2: arm/tool_pose 0." in problem


def test_a_joint_first_heard_of_after_the_first_step_is_none_of_the_robots(tmp_path: Path) -> None:
    episode = make_episode()
    stamp = messages.nanoseconds(float(episode.steps.stamp[-1]))
    late = Signal(stamp, topics.JOINT_STATES, messages.joint_state(stamp, ["elsewhere_joint1"], [0.0]))
    assert check_bag(write_episode(tmp_path, episode, [*make_signals(episode), late])) == []


def imported(bags: Path, alignment: str) -> Path:
    """Write a bag with what the import found in the recording."""
    episode = make_episode()
    writer = EpisodeWriter(bags, episode.info)
    writer.set_camera(episode.camera)
    writer.annotate(schema.IMPORT_RECORD, {"source": "recording", "alignment": alignment})
    own = list(episode_signals(episode, "base_link"))
    for signal in sorted([*make_signals(episode), *own], key=lambda signal: signal.time):
        writer.write(signal.topic, signal.time, signal.message)
    return writer.close(episode.info)


@pytest.mark.parametrize(
    ("alignment", "problem"),
    [
        ({"dropped_frames": 3, "max_skew": 0.01}, "3 image frames dropped in the recording"),
        (
            {"dropped_frames": 0, "max_skew": 0.2},
            "images up to 0.200 s away from their steps, max_skew 0.05 s",
        ),
        ({"dropped_frames": 0}, "metadata record qtopt_import: no alignment in it: KeyError('max_skew')"),
        ({"dropped_frames": 0, "max_skew": 0.05}, ""),
    ],
)
def test_what_an_import_found_in_the_cameras_stream_is_told(
    tmp_path: Path, alignment: dict[str, float], problem: str
) -> None:
    found = check_bag(imported(tmp_path, json.dumps(alignment)))
    assert len(found) == bool(problem)
    assert problem in " ".join(found)
    assert all("episode_000001.mcap: " in line for line in found)
