from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtopt_collector.bags import layout, messages
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.convert import Signal, episode_signals, write_episode
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
