import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from qtopt_learner.metrics import CSV_FILE, Averages, Metrics, read_metrics


def test_numbers_come_back_by_step_and_name(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.write(10, {"loss": 0.5, "q": 1 / 3})
    metrics.write(20, {"success": 1.0})
    metrics.close()
    rows = read_metrics(tmp_path / CSV_FILE)
    assert [(r["step"], r["name"], float(r["value"])) for r in rows] == [
        ("10", "loss", 0.5),
        ("10", "q", 1 / 3),
        ("20", "success", 1.0),
    ]


def test_a_resumed_run_drops_what_it_will_write_again(tmp_path: Path) -> None:
    first = Metrics(tmp_path)
    for step in (10, 20, 30):
        first.write(step, {"loss": float(step)})
    first.close()
    resumed = Metrics(tmp_path, step=20)
    resumed.write(30, {"loss": 31.0})
    resumed.close()
    assert [float(r["value"]) for r in read_metrics(tmp_path / CSV_FILE)] == [10.0, 20.0, 31.0]
    assert _scalars(tmp_path, "loss") == [(10, 10.0), (20, 20.0), (30, 31.0)]


def test_time_goes_on_after_a_stop(tmp_path: Path) -> None:
    (tmp_path / CSV_FILE).write_text("step,seconds,name,value\n5,100.0,loss,1.0\n")
    resumed = Metrics(tmp_path, step=5)
    assert resumed.seconds >= 100.0
    resumed.close()


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / CSV_FILE).write_text("step,seconds,name,value\n5,1.0,loss,1.0\n6,1.1,loss,0.12")
    assert [r["step"] for r in read_metrics(tmp_path / CSV_FILE)] == ["5"]


def test_tensorboard_holds_the_same_numbers(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.write(7, {"loss": 0.25})
    metrics.histogram(7, "q_values", torch.rand(100))
    metrics.close()
    assert _scalars(tmp_path, "loss") == [(7, 0.25)]
    assert _events(tmp_path).Tags()["histograms"] == ["q_values"]


def _events(folder: Path) -> Any:
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def _scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(scalar.step, scalar.value) for scalar in _events(folder).Scalars(name)]


def test_averages_are_over_the_steps_since_they_were_taken() -> None:
    averages = Averages()
    averages.add({"loss": torch.tensor(1.0)})
    averages.add({"loss": torch.tensor(2.0)})
    assert averages.take() == {"loss": pytest.approx(1.5)}
    averages.add({"loss": torch.tensor(5.0)})
    assert averages.take() == {"loss": 5.0}
