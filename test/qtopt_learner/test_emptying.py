"""Bins emptied by policies, small."""

import json
from pathlib import Path

import cv2
import pytest

from grasp_bringup.sim.emptying import EmptyingConfig
from qtopt_collector.report.score import EpisodeResult
from qtopt_learner import cli
from qtopt_learner.emptying import Emptying, first, marks

SCENARIO = "scenarios: {few: {object_count: [2, 2], emptying: {objects: 2, attempts: 4, repeats: 1}}}\n"


def emptied(*outcomes: bool) -> Emptying:
    rows = tuple(EpisodeResult("cem", 0, won, won, 5, "terminate") for won in outcomes)
    return Emptying("cem", 0, len(rows), 0, 0, rows)


def test_a_bin_is_emptied_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scenarios.yaml"
    file.write_text(SCENARIO)
    words = ["scenario", "few", "--policies", "oracle", "random", "--scenarios", str(file), "--workers", "1"]
    assert cli.main([*words, "--films", "1", "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["complete"]
    oracle, chance = found["emptyings"]
    assert (oracle["policy"], chance["policy"]) == ("oracle", "random")
    assert (oracle["objects"], oracle["left"], oracle["beside"]) == (2, 0, 0)
    # The bin is empty after two grasps, however many attempts more there might be.
    assert sum(attempt["truth"] for attempt in oracle["attempts"]) == 2
    assert oracle["attempts"][-1]["truth"]
    assert len(chance["attempts"]) == 4
    assert chance["left"] + chance["beside"] + sum(a["truth"] for a in chance["attempts"]) == 2
    scores = {(row["policy"], row["first"]): row["trials"] for row in found["scores"]}
    assert scores == {("oracle", 4): len(oracle["attempts"]), ("random", 4): 4}
    film = cv2.imread(str(tmp_path / "out" / "random-0000.png"))
    assert film is not None
    assert film.shape[1] == 4 * 128
    assert "first 4" in capsys.readouterr().out


def test_success_is_counted_up_to_a_number_of_attempts() -> None:
    bins = [emptied(True, True, False, False), emptied(True, False, True)]
    assert (first(bins, 2).successes, first(bins, 2).trials) == (3, 4)
    assert (first(bins, 4).successes, first(bins, 4).trials) == (4, 7)
    assert first([], 10).trials == 0


def test_success_is_told_where_the_paper_tells_it() -> None:
    assert marks(EmptyingConfig()) == (10, 20, 30)
    assert marks(EmptyingConfig(attempts=12)) == (10, 12)
