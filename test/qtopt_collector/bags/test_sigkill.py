"""A recorder killed at random moments: closed episodes read back whole, the torn one is mended or named."""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest

from qtopt_collector.bags import layout
from qtopt_collector.bags.convert import episode_signals
from qtopt_collector.bags.reader import read_episode
from qtopt_collector.bags.repair import repair
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_policy import topics
from support.episodes import make_episode, make_signals

KILLS = 40


def _record_for_ever(bags: Path, log: Path) -> None:
    """Write one episode after the other, and log each flushed step and each closed bag."""
    with log.open("a", buffering=1) as diary:
        while True:
            number = layout.next_number(bags, "episode")
            count = 3 + number % 5
            episode = make_episode(layout.episode_name("episode", number), count, seed=number)
            signals = [*make_signals(episode), *episode_signals(episode, "base_link")]
            writer = EpisodeWriter(bags, episode.info)
            writer.set_camera(episode.camera)
            for signal in sorted(signals, key=lambda signal: signal.time):
                writer.write(signal.topic, signal.time, signal.message)
                if signal.topic == topics.STEP:
                    diary.write(f"step {writer.bag.name}\n")
                    time.sleep(0.003)
            writer.close(episode.info)
            diary.write(f"closed {writer.bag.name}\n")


def _kill_after(bags: Path, log: Path, delay: float) -> None:
    process = multiprocessing.get_context("fork").Process(target=_record_for_ever, args=(bags, log))
    before = log.stat().st_size if log.exists() else 0
    process.start()
    deadline = time.monotonic() + 20.0
    while (not log.exists() or log.stat().st_size == before) and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    process.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_nothing_closed_is_lost_and_the_torn_bag_is_mended_or_named(tmp_path: Path) -> None:
    bags, log = tmp_path / "bags", tmp_path / "log"
    bags.mkdir()
    rng = np.random.default_rng(1)
    torn = 0
    for _ in range(KILLS):
        _kill_after(bags, log, float(rng.uniform(0.0, 0.06)))
        closed = {line.split()[1] for line in log.read_text().splitlines() if line.startswith("closed")}
        for name in closed:
            assert layout.is_closed(bags / name)
        unclosed = [bag for bag in layout.list_bags(bags) if not layout.is_closed(bag)]
        assert len(unclosed) <= 1 + torn  # one recorder, one bag at a time (and earlier ones without a step)
        results = {result.bag.name: result for result in repair(bags)}
        torn = sum(result.action == "empty" for result in results.values())
        assert not [result for result in results.values() if result.action == "hopeless"]
    _check_everything(bags, log)


def _check_everything(bags: Path, log: Path) -> None:
    lines = [line.split() for line in log.read_text().splitlines() if line.count(" ") == 1]
    closed = {name for word, name in lines if word == "closed"}
    mended = 0
    for bag in layout.list_bags(bags):
        flushed = sum(line == ["step", bag.name] for line in lines)
        if not layout.is_closed(bag):
            assert flushed == 0
            continue
        episode = read_episode(bag)
        number = int(bag.name.rsplit("_", 1)[1])
        expected = make_episode(bag.name, 3 + number % 5, seed=number)
        assert len(episode.steps) >= flushed
        if bag.name in closed or not episode.info.aborted:
            assert episode.info.success is True
            assert len(episode.steps) == len(expected.steps)
        else:
            mended += 1
        for name in ("image", "asked", "executed", "stamp", "q"):
            part = getattr(expected.steps, name)[: len(episode.steps)]
            np.testing.assert_array_equal(getattr(episode.steps, name), part)
    assert closed
    assert mended >= KILLS // 4  # the kills did hit open bags
