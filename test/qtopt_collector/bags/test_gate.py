from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from qtopt_collector.bags import messages
from qtopt_collector.bags.convert import Signal, episode_signals
from qtopt_collector.bags.gate import StepGate
from qtopt_policy import topics
from support.episodes import make_episode

NEEDED = (topics.OBSERVATION, topics.ACTION, topics.STEP)


def signals(steps: int = 3) -> list[Signal]:
    found = episode_signals(make_episode("episode_000001", steps, seed=1), "base_link")
    return [signal for signal in found if signal.topic in NEEDED]


def through(heard: list[Signal]) -> list[str]:
    """Return the indices of the steps that pass, in order."""
    gate = StepGate("episode_000001")
    passed: list[object] = []
    for signal in heard:
        gate.hear(signal.topic, signal.message)
        passed += gate.passing()
    return [messages.values_of(message)["index"] for message in passed]


def of(topic: str, heard: list[Signal]) -> list[Signal]:
    return [signal for signal in heard if signal.topic == topic]


def test_steps_pass_in_order() -> None:
    assert through(signals()) == ["0", "1", "2"]


@pytest.mark.parametrize("order", list(permutations(NEEDED)))
def test_topics_may_overtake_each_other(order: tuple[str, ...]) -> None:
    heard = signals()
    assert through([signal for topic in order for signal in of(topic, heard)]) == ["0", "1", "2"]


def test_steps_may_come_in_any_order_and_more_than_once() -> None:
    heard = signals()
    steps = of(topics.STEP, heard)
    others = [signal for signal in heard if signal.topic != topics.STEP]
    assert through([*others, *reversed(steps), *steps]) == ["0", "1", "2"]


@pytest.mark.parametrize("topic", NEEDED)
def test_without_one_of_its_parts_a_step_and_those_after_it_stay_out(topic: str) -> None:
    heard = signals()
    heard.remove(of(topic, heard)[1])
    assert through(heard) == ["0"]


def test_a_step_of_another_episode_stays_out() -> None:
    gate = StepGate("episode_000002")
    for signal in signals():
        gate.hear(signal.topic, signal.message)
    assert gate.passing() == []
    assert "'episode_000001'" in gate.fault


def spoil(topic: str, change: dict[str, Any]) -> list[Signal]:
    heard = signals()
    victim = of(topic, heard)[1]
    broken = replace(victim, message=replace(victim.message, **change))  # type: ignore[type-var]
    heard[heard.index(victim)] = broken
    return heard


@pytest.mark.parametrize(
    ("topic", "change"),
    [
        (topics.OBSERVATION, {"data": np.zeros(5, dtype=np.uint8)}),
        (topics.ACTION, {"name": ["elsewhere"] * 8}),
        (topics.ACTION, {"position": np.full(8, np.nan)}),
        (topics.ACTION, {"position": np.array([0.01] * 3 + [0.0, 1.0, 0.0, 0.0, 0.0])}),
        (topics.STEP, {"status": []}),
    ],
)
def test_what_was_broken_on_the_way_does_not_pass(topic: str, change: dict[str, Any]) -> None:
    assert through(spoil(topic, change)) == ["0"]


def test_an_image_of_another_size_does_not_pass() -> None:
    heard = signals()
    victim = of(topics.OBSERVATION, heard)[1]
    small = messages.compressed_image(
        np.zeros((8, 8, 3), dtype=np.uint8), messages.stamp_of(victim.message), "camera"
    )
    heard[heard.index(victim)] = replace(victim, message=small)
    assert through(heard) == ["0"]
