"""Table and file of an evaluation."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from qtopt_collector.report.score import EpisodeResult
from qtopt_learner.cli_config import EvaluateConfig
from qtopt_learner.evaluate_results import Evaluation, end_lines, score_table, seed_range, write_json
from qtopt_policy.statistics import wilson_interval


def evaluation(done: int = 4) -> Evaluation:
    config = EvaluateConfig(policies=("random", "oracle"), episodes=2)
    results = [EpisodeResult("random", seed, False, False, 20, "max_steps") for seed in (0, 1)]
    results += [EpisodeResult("oracle", seed, True, True, 5, "terminate") for seed in (0, 1)]
    return Evaluation("qtopt evaluate", config, "abc123", (0, 1), tuple(results[:done]))


def test_scores_are_in_the_order_asked_for() -> None:
    assert [row.policy for row in evaluation().scores] == ["random", "oracle"]


def test_an_unfinished_evaluation_says_so() -> None:
    assert evaluation().complete
    assert not evaluation(done=3).complete


def test_a_policy_without_results_has_a_row_too() -> None:
    assert [row.episodes for row in evaluation(done=1).scores] == [1, 0]


def test_file_holds_numbers_intervals_and_every_episode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.json"
    write_json(evaluation(), path)
    found = json.loads(path.read_text())
    assert found["benchmark_digest"] == "abc123"
    assert found["command"] == "qtopt evaluate"
    assert found["config"]["policies"] == ["random", "oracle"]
    assert len(found["episodes"]) == 4
    oracle = found["scores"][1]
    assert oracle["truth"] == {
        "successes": 2,
        "trials": 2,
        "rate": 1.0,
        "interval_95": list(wilson_interval(2, 2)),
    }
    assert oracle["mean_steps"] == 5.0
    assert oracle["end_reasons"] == {"terminate": 2}


def test_file_is_json_where_nothing_was_done(tmp_path: Path) -> None:
    write_json(evaluation(done=0), tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["scores"][0]["mean_steps"] is None


def test_no_part_of_a_file_is_left(tmp_path: Path) -> None:
    write_json(evaluation(), tmp_path / "r.json")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_table_shows_rate_and_interval() -> None:
    console = Console(file=StringIO(), width=80)
    console.print(score_table("t", evaluation().scores))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    low, high = wilson_interval(2, 2)
    assert f"100.0 % [{100 * low:.1f}, {100 * high:.1f}]" in text


def test_lines_tell_how_episodes_ended() -> None:
    assert end_lines(evaluation().scores) == [
        "random: ended by max_steps 2; judged wrongly 0 of 2",
        "oracle: ended by terminate 2; judged wrongly 0 of 2",
    ]


@pytest.mark.parametrize(("seeds", "text"), [((3, 4, 5), "3 to 5"), ((7,), "7 to 7"), ((1, 5), "1, 5")])
def test_seed_range(seeds: tuple[int, ...], text: str) -> None:
    assert seed_range(seeds) == text
