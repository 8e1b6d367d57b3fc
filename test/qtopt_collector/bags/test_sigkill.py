"""Killed at random moments: closed episodes read back whole, the torn one is mended or named."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from qtopt_collector.bags import layout
from qtopt_collector.bags.convert import episode_signals
from qtopt_collector.bags.reader import read_episode
from qtopt_collector.bags.repair import repair, repair_torn
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_policy import topics
from support.collector_cell import CollectorCell
from support.episodes import make_camera, make_episode, make_signals, make_steps

Columns = dict[str, NDArray[Any]]

KILLS = 40
PAUSE = 0.003  # [s] after each step, so that kills find open bags
COLLECTOR_STEPS = 6


def _write_for_ever(bags: Path, diary: TextIO) -> None:
    """Write one episode after the other, and log each flushed step and each closed bag."""
    while True:
        number = layout.next_number(bags, "episode")
        episode = make_episode(layout.episode_name("episode", number), 3 + number % 5, seed=number)
        signals = [*make_signals(episode), *episode_signals(episode, "base_link")]
        writer = EpisodeWriter(bags, episode.info)
        writer.set_camera(episode.camera)
        for signal in sorted(signals, key=lambda signal: signal.time):
            writer.write(signal.topic, signal.time, signal.message)
            if signal.topic == topics.STEP:
                diary.write(f"step {writer.bag.name}\n")
                time.sleep(PAUSE)
        writer.close(episode.info)
        diary.write(f"closed {writer.bag.name}\n")


def _collect_for_ever(bags: Path, diary: TextIO) -> None:
    """Run the collector's whole procedure in a fake cell; it mends what the one before left torn."""
    cell = CollectorCell(bags, episodes=1_000_000)
    cell.steps = COLLECTOR_STEPS
    record = cell.recorder.record_message

    def logged(topic: str, time: int, message: object) -> None:
        record(topic, time, message)
        if topic == topics.STEP:
            diary.write(f"step {layout.episode_name('episode', cell.recorder._number)}\n")
            sleep(PAUSE)

    cell.recorder.record_message = logged  # type: ignore[method-assign]
    while True:
        cell.step()
        while cell.outcomes:
            diary.write(f"closed {cell.outcomes.pop()['episode_id']}\n")


def _run(record: Callable[[Path, TextIO], None], bags: Path, log: Path) -> None:
    with log.open("a", buffering=1) as diary:
        record(bags, diary)


def _kill_at_random(
    record: Callable[[Path, TextIO], None], bags: Path, log: Path, rng: np.random.Generator
) -> None:
    """Start a recorder, wait for a few log lines and a moment more, and kill it."""
    log.touch()
    lines = len(log.read_text().splitlines()) + int(rng.integers(1, 12))
    process = multiprocessing.get_context("fork").Process(target=_run, args=(record, bags, log))
    process.start()
    deadline = time.monotonic() + 30.0
    while len(log.read_text().splitlines()) < lines and time.monotonic() < deadline:
        sleep(0.001)
    sleep(float(rng.uniform(0.0, 2.0 * PAUSE)))
    process.kill()
    process.join()


def _entries(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines() if line.count(" ") == 1]


def _check_closed(bags: Path, log: Path) -> None:
    for word, name in _entries(log):
        if word == "closed":
            assert layout.is_closed(bags / name)


def _check_everything(bags: Path, log: Path, expected: Callable[[int], Columns]) -> int:
    """Check all bags against the log and what was written; return how many were mended."""
    entries, mended = _entries(log), 0
    closed = {name for word, name in entries if word == "closed"}
    assert closed
    for name in {name for _, name in entries}:
        assert layout.is_closed(bags / name)
    for bag in layout.list_bags(bags):
        flushed = entries.count(["step", bag.name])
        episode, columns = read_episode(bag), expected(int(bag.name.rsplit("_", 1)[1]))
        assert len(episode.steps) >= flushed
        if bag.name in closed or not episode.info.aborted:
            assert (episode.info.success, len(episode.steps)) == (True, len(columns["asked"]))
        else:
            mended += 1
        for name, values in columns.items():
            np.testing.assert_array_equal(getattr(episode.steps, name), values[: len(episode.steps)])
    return mended


def test_a_killed_writer_loses_nothing_that_was_closed(tmp_path: Path) -> None:
    bags, log = tmp_path / "bags", tmp_path / "log"
    bags.mkdir()
    rng = np.random.default_rng(1)
    for _ in range(KILLS):
        _kill_at_random(_write_for_ever, bags, log, rng)
        _check_closed(bags, log)
        assert not [result for result in repair(bags) if result.action == "hopeless"]

    def expected(number: int) -> Columns:
        steps = make_episode("x", 3 + number % 5, seed=number).steps
        names = ("image", "asked", "executed", "stamp", "q", "tool_pose", "duration")
        return {name: getattr(steps, name) for name in names}

    assert _check_everything(bags, log, expected) >= KILLS // 4  # the kills did hit open bags


def test_a_killed_collector_loses_nothing_that_was_closed(tmp_path: Path) -> None:
    bags, log = tmp_path / "bags", tmp_path / "log"
    rng = np.random.default_rng(2)
    for _ in range(KILLS):
        _kill_at_random(_collect_for_ever, bags, log, rng)
        _check_closed(bags, log)
    assert not [result for result in repair_torn(bags) if result.action == "hopeless"]

    def expected(number: int) -> Columns:
        steps = make_steps(COLLECTOR_STEPS, make_camera(), seed=1)
        return {name: getattr(steps, name) for name in ("image", "asked", "q")}

    assert _check_everything(bags, log, expected) >= KILLS // 4
