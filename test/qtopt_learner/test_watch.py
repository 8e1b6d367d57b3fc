import importlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtopt_collector.bags.convert import write_episode
from qtopt_collector.bags.layout import METADATA, mcap_path
from qtopt_learner.metrics import CSV_FILE, Metrics, read_metrics
from qtopt_learner.store import StoreWriter
from qtopt_learner.watch import LOOK_BACK, SIDE, TEXT, Watch, episode_strip, evaluation_numbers, film_strip
from qtopt_policy.errors import ConfigError
from support.episodes import make_signals
from support.recordings import recording


def board(folder: Path) -> Any:
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def evaluation(
    split: str = "test", checkpoint: str | None = "w/step-000000500.safetensors", rate: float = 0.75
) -> str:
    scores = [{"policy": "cem", "truth": {"rate": rate}}, {"policy": "oracle", "truth": {"rate": None}}]
    return json.dumps({"config": {"split": split, "checkpoint": checkpoint}, "scores": scores})


def look(folder: Path, start: int, *steps: int) -> list[str]:
    """Start a run at a checkpoint, look for evaluations at some steps; return what was refused."""
    watch, metrics = Watch(folder), Metrics(folder, start)
    refused = [line for step in steps for line in watch.evaluations(metrics, step)]
    metrics.close()
    return refused


def numbers(folder: Path) -> list[tuple[str, str, str]]:
    return [(r["step"], r["name"], r["value"]) for r in read_metrics(folder / CSV_FILE)]


def write_bag(
    bags: Path, name: str, count: int, success: bool | None = True, end_reason: Any = "terminate"
) -> Path:
    """Write a bag of `count` steps that was closed at that many seconds."""
    episode = recording(
        name, count, success=success, end_reason=end_reason, policy="cem", count=count
    ).episode
    bag = write_episode(bags, episode, make_signals(episode))
    os.utime(bag / METADATA, (count, count))
    return bag


def films(folder: Path, step: int = 7) -> tuple[dict[str, int], list[str]]:
    """Return the steps of each film strip that TensorBoard shows, and what was left out."""
    metrics = Metrics(folder)
    left_out = Watch(folder).films(metrics, step)
    metrics.close()
    events = board(folder)
    return {tag: events.Images(tag)[0].width // SIDE for tag in events.Tags()["images"]}, left_out


def test_a_strip_holds_the_pictures_enlarged_side_by_side() -> None:
    images = np.zeros((3, 64, 64, 3), dtype=np.uint8)
    images[1, :, :, 0] = 200
    strip = film_strip(images, ["a", "b", "c"])
    assert strip.shape == (SIDE + TEXT, 3 * SIDE, 3)
    assert (strip[:SIDE, SIDE : 2 * SIDE, 0] == 200).all()
    assert (strip[:SIDE, :SIDE] == 0).all()


def test_captions_are_below_the_pictures() -> None:
    blank, written = (
        film_strip(np.zeros((1, 32, 32, 1), dtype=np.uint8), [text]) for text in ("", "move Q 0.5")
    )
    assert (blank[SIDE:] == 255).all()
    assert (written[SIDE:] < 128).any()
    np.testing.assert_array_equal(blank[:SIDE], written[:SIDE])


def test_a_strip_of_an_episode_has_a_picture_per_step() -> None:
    assert episode_strip(recording(policy="cem", count=4).episode).shape[1] == 4 * SIDE


def test_the_newest_success_and_failure_are_shown(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "episodes", "own0", 3) as writer:
        for i, success in enumerate((True, True, False)):
            writer.append(recording(f"e{i}", i, success=success, policy="cem", count=4 + i).episode)
    metrics = Metrics(tmp_path)
    Watch(tmp_path).films(metrics, 7)
    metrics.close()
    events = board(tmp_path)
    assert sorted(events.Tags()["images"]) == ["film/failure", "film/success"]
    widths = {tag: events.Images(tag)[0].width for tag in events.Tags()["images"]}
    assert widths == {"film/success": 5 * SIDE, "film/failure": 6 * SIDE}


def test_without_episodes_nothing_is_shown(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    Watch(tmp_path).films(metrics, 7)
    metrics.close()
    assert board(tmp_path).Tags()["images"] == []


def test_aborted_episodes_are_not_shown(tmp_path: Path) -> None:
    aborted = recording(success=None, end_reason="watchdog", policy="cem").episode
    steps = replace(aborted.steps, is_terminal=np.zeros(7, dtype=bool))
    with StoreWriter(tmp_path / "episodes", "own0", 1) as writer:
        writer.append(replace(aborted, steps=steps))
    metrics = Metrics(tmp_path)
    Watch(tmp_path).films(metrics, 7)
    metrics.close()
    assert board(tmp_path).Tags()["images"] == []


def test_own_episodes_may_be_bags(tmp_path: Path) -> None:
    write_bag(tmp_path / "episodes", "e1", 7, success=False)
    write_bag(tmp_path / "episodes", "e2", 6)
    write_bag(tmp_path / "episodes", "e3", 5)
    write_bag(tmp_path / "episodes", "e4", 8, success=None, end_reason="watchdog")
    assert films(tmp_path) == ({"film/success": 6, "film/failure": 7}, [])


def test_bags_of_the_folders_that_the_run_was_told_to_watch_are_its_own(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "episodes").mkdir(parents=True)
    (run / "run.json").write_text(
        json.dumps({"online": {"bags": [str(tmp_path / "a"), str(tmp_path / "b")]}})
    )
    write_bag(tmp_path / "a", "e1", 6)
    write_bag(tmp_path / "b", "e1", 5, success=False)
    assert films(run) == ({"film/success": 6, "film/failure": 5}, [])


def test_a_bag_that_is_being_recorded_waits_and_a_torn_one_is_named_once(tmp_path: Path) -> None:
    episodes = tmp_path / "episodes"
    write_bag(episodes, "e1", 5)
    torn, recorded = write_bag(episodes, "e2", 6), write_bag(episodes, "e3", 7)
    mcap_path(torn).write_bytes(mcap_path(torn).read_bytes()[:-200])
    (recorded / METADATA).unlink()
    watch, metrics = Watch(tmp_path), Metrics(tmp_path)
    (line,) = watch.films(metrics, 7)
    assert line.startswith(f"{mcap_path(torn)}: torn")
    assert watch.films(metrics, 8) == []
    metrics.close()
    assert [image.width for image in board(tmp_path).Images("film/success")] == [5 * SIDE] * 2


def test_a_torn_shard_is_named_and_the_one_before_it_is_shown(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "episodes", "own0", 1) as writer:
        for i in range(2):
            writer.append(recording(f"e{i}", i, policy="cem", count=4 + i).episode)
    torn = sorted((tmp_path / "episodes").iterdir())[1]
    torn.write_bytes(torn.read_bytes()[:-200])
    shown, (line,) = films(tmp_path)
    assert shown == {"film/success": 4}
    assert line.startswith(f"{torn}: cannot be read")


def test_only_the_newest_sources_are_looked_through(tmp_path: Path) -> None:
    failed = write_bag(tmp_path / "episodes", "e", 3, success=False)
    with StoreWriter(tmp_path / "b", "own0", 1) as writer:
        for i in range(LOOK_BACK):
            writer.append(recording(f"e{i}", i, policy="cem", count=4).episode)
    (tmp_path / "run.json").write_text(json.dumps({"online": {"bags": [str(tmp_path / "b")]}}))
    assert films(tmp_path)[0] == {"film/success": 4}
    os.utime(failed / METADATA)
    shutil.rmtree(tmp_path / "tensorboard")
    assert films(tmp_path)[0] == {"film/success": 4, "film/failure": 3}


def test_an_evaluation_counts_at_the_step_of_its_weights_and_once(tmp_path: Path) -> None:
    (tmp_path / "evaluation-before.json").write_text(evaluation(rate=0.5))
    watch, metrics = Watch(tmp_path), Metrics(tmp_path)
    (tmp_path / "evaluation-new.json").write_text(evaluation())
    (tmp_path / "evaluation-now.json").write_text(evaluation("train", None))
    assert watch.evaluations(metrics, 900) == []
    assert watch.evaluations(metrics, 950) == []
    metrics.close()
    assert numbers(tmp_path) == [
        ("500", "success_test/cem", "0.5"),
        ("500", "success_test/cem", "0.75"),
        ("900", "success_train/cem", "0.75"),
    ]
    assert [(s.step, s.value) for s in board(tmp_path).Scalars("success_train/cem")] == [(900, 0.75)]


def test_evaluations_between_two_starts_count_once_over_all_starts(tmp_path: Path) -> None:
    assert look(tmp_path, 0, 500) == []
    (tmp_path / "evaluation-r0.json").write_text(evaluation())
    (tmp_path / "evaluation-mine.json").write_text(evaluation("train", "w/newest.safetensors", 0.25))
    for start, step in ((500, 600), (600, 700), (700, 800)):
        assert look(tmp_path, start, step) == []
    assert numbers(tmp_path) == [("500", "success_test/cem", "0.75"), ("600", "success_train/cem", "0.25")]


def test_evaluations_are_written_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        text = evaluation(checkpoint=f"w/step-{number:09d}.safetensors", rate=number / 16)
        (tmp_path / f"evaluation-r{number}.json").write_text(text)
    assert look(tmp_path, 10, 20) == []
    assert [row[0] for row in numbers(tmp_path)] == ["1", "2", "10"]
    assert [scalar.step for scalar in board(tmp_path).Scalars("success_test/cem")] == [1, 2, 10]


def test_what_a_run_resumed_earlier_has_dropped_counts_again_when_it_gets_there(tmp_path: Path) -> None:
    (tmp_path / "evaluation-r0.json").write_text(evaluation())
    (tmp_path / "evaluation-mine.json").write_text(evaluation("train", "w/newest.safetensors", 0.25))
    look(tmp_path, 500, 600)
    written = numbers(tmp_path)
    assert len(written) == 2
    assert look(tmp_path, 400, 450) == []
    assert numbers(tmp_path) == []
    assert look(tmp_path, 450, 500, 550) == []
    assert numbers(tmp_path) == written[:1]
    assert look(tmp_path, 550, 600, 700) == []
    assert numbers(tmp_path) == written


def test_an_evaluation_made_anew_under_the_same_name_counts_too(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    watch, metrics = Watch(tmp_path), Metrics(tmp_path)
    for step in (500, 700):
        path.write_text(evaluation(checkpoint=f"w/step-{step:09d}.safetensors"))
        assert watch.evaluations(metrics, step + 100) == []
    metrics.close()
    assert [row[0] for row in numbers(tmp_path)] == ["500", "700"]


@pytest.mark.parametrize("text", ["{", "[]", '{"config": {}}', evaluation().replace("0.75", '"high"')])
def test_a_file_that_is_no_evaluation_is_named_and_does_not_end_the_run(tmp_path: Path, text: str) -> None:
    watch, metrics = Watch(tmp_path), Metrics(tmp_path)
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"evaluation\.json: cannot be read as an evaluation"):
        evaluation_numbers(path)
    assert len(watch.evaluations(metrics, 1)) == 1
    assert watch.evaluations(metrics, 2) == []
    path.write_text(evaluation(checkpoint=None))
    assert watch.evaluations(metrics, 3) == []
    metrics.close()
    assert numbers(tmp_path) == [("3", "success_test/cem", "0.75")]
