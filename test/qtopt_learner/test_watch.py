import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtopt_learner.metrics import CSV_FILE, Metrics, read_metrics
from qtopt_learner.store import StoreWriter
from qtopt_learner.watch import SIDE, TEXT, Watch, episode_strip, evaluation_numbers, film_strip
from qtopt_policy.errors import ConfigError
from support.recordings import recording


def board(folder: Path) -> Any:
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def evaluation(split: str = "test", checkpoint: str | None = "w/step-000000500.safetensors") -> str:
    scores = [{"policy": "cem", "truth": {"rate": 0.75}}, {"policy": "oracle", "truth": {"rate": None}}]
    return json.dumps({"config": {"split": split, "checkpoint": checkpoint}, "scores": scores})


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


def test_an_evaluation_counts_at_the_step_of_its_weights_and_once(tmp_path: Path) -> None:
    (tmp_path / "evaluation-old.json").write_text(evaluation())
    watch, metrics = Watch(tmp_path), Metrics(tmp_path)
    (tmp_path / "evaluation-new.json").write_text(evaluation())
    (tmp_path / "evaluation-now.json").write_text(evaluation("train", None))
    assert watch.evaluations(metrics, 900) == []
    assert watch.evaluations(metrics, 950) == []
    metrics.close()
    rows = [(r["step"], r["name"], r["value"]) for r in read_metrics(tmp_path / CSV_FILE)]
    assert rows == [("500", "success_test/cem", "0.75"), ("900", "success_train/cem", "0.75")]


@pytest.mark.parametrize("text", ["{", "[]", '{"config": {}}'])
def test_a_file_that_is_no_evaluation_is_named_and_does_not_end_the_run(tmp_path: Path, text: str) -> None:
    watch, metrics = Watch(tmp_path), Metrics(tmp_path)
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"evaluation\.json: cannot be read as an evaluation"):
        evaluation_numbers(path)
    assert len(watch.evaluations(metrics, 1)) == 1
    metrics.close()
