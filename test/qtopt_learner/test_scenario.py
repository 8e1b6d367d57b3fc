"""Policies in scenarios, short."""

import json
from pathlib import Path

import cv2
import pytest

from qtopt_learner import cli
from qtopt_learner.scenario import ScenarioResult, disturbed_lines
from qtopt_learner.scenario_config import ScenarioRunConfig
from qtopt_policy.errors import ConfigError


def result(policy: str, truth: bool, disturbed: bool) -> ScenarioResult:
    return ScenarioResult(policy, 0, truth, truth, 5, "terminate", 3, disturbed)


def test_results_and_films_of_each_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["scenario", "singulation", "--policies", "random", "scripted", "--episodes", "2"]
    assert cli.main([*words, "--films", "1", "--workers", "1", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["complete"]
    assert [(e["policy"], e["seed"]) for e in found["episodes"]] == [
        (policy, seed) for policy in ("random", "scripted") for seed in (0, 1)
    ]
    assert all(4 <= e["objects"] <= 9 and not e["disturbed"] for e in found["episodes"])
    films = {path.name.split("-")[0]: path for path in tmp_path.glob("*.png")}
    assert set(films) == {"random", "scripted"}
    steps = found["episodes"][0]["steps"]
    film = cv2.imread(str(films["random"]))
    assert film is not None
    assert film.shape == (128 + 18, 128 * steps, 3)
    assert "singulation, test scenes" in capsys.readouterr().out


def test_what_was_lost_and_grasped_again_is_counted() -> None:
    rows = [result("cem", True, True), result("cem", False, True), result("cem", True, False)]
    (line,) = disturbed_lines(("cem", "scripted"), [*rows, result("scripted", True, False)])
    assert line.startswith("cem: lost an object in 2 episodes, succeeded in 50.0 %")


def test_an_unknown_scenario_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scenario", "juggling", "--out", str(tmp_path / "x")]) == 2
    assert "singulation" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_no_policy_is_named_twice() -> None:
    with pytest.raises(ConfigError, match="once"):
        ScenarioRunConfig("clutter", policies=("cem", "cem"))
