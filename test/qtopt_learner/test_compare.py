import json
from pathlib import Path
from typing import Any

import pytest

from qtopt_learner import cli
from qtopt_learner.compare import compare, read_outcomes
from qtopt_policy.errors import ConfigError


def evaluation(path: Path, results: dict[str, str], digest: str = "abc", first: int = 0) -> Path:
    """Write an evaluation: per policy a letter per scene, w won, l lost, j won as judged, a aborted."""
    episodes: list[dict[str, Any]] = [
        {
            "policy": policy,
            "seed": first + seed,
            "success": letter in "wj",
            "truth": None if letter == "j" else letter == "w",
            "end_reason": "operator" if letter == "a" else "terminate",
            "steps": 3,
        }
        for policy, letters in results.items()
        for seed, letter in enumerate(letters)
    ]
    data = {"config": {"policies": list(results), "split": "test"}, "benchmark_digest": digest}
    path.write_text(json.dumps(data | {"episodes": episodes}))
    return path


def test_the_pairs_are_counted(tmp_path: Path) -> None:
    path = evaluation(tmp_path / "a.json", {"cem": "wwwlj", "scripted": "wlllw"})
    first, second = read_outcomes(path)
    found = compare(first, second)
    assert (found.scenes, found.wins, found.only) == (5, (4, 2), (2, 0))
    low, high = found.interval
    assert low < 0.4 < high


def test_only_scenes_that_both_have_finished_count(tmp_path: Path) -> None:
    (one,) = read_outcomes(evaluation(tmp_path / "a.json", {"cem": "wwaw"}))
    (other,) = read_outcomes(evaluation(tmp_path / "b.json", {"cem": "lwl"}, first=1))
    found = compare(one, other)
    assert (found.scenes, found.wins, found.only) == (2, (2, 0), (2, 0))


def test_the_command_prints_each_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = evaluation(tmp_path / "env.json", {"cem": "w" * 30 + "l" * 10, "scripted": "l" * 40})
    graph = evaluation(tmp_path / "graph.json", {"cem": "w" * 29 + "l" * 11})
    assert cli.main(["compare", str(env), str(graph)]) == 0
    text = capsys.readouterr().out
    assert "+75.0" in text
    assert "+2.5" in text
    assert "benchmark abc, split test" in text


def test_different_benchmarks_are_refused(tmp_path: Path) -> None:
    (one,) = read_outcomes(evaluation(tmp_path / "a.json", {"cem": "w"}))
    (other,) = read_outcomes(evaluation(tmp_path / "b.json", {"cem": "w"}, digest="xyz"))
    with pytest.raises(ConfigError, match="digest abc"):
        compare(one, other)


def test_scenes_in_common_are_needed(tmp_path: Path) -> None:
    (one,) = read_outcomes(evaluation(tmp_path / "a.json", {"cem": "w"}))
    (other,) = read_outcomes(evaluation(tmp_path / "b.json", {"cem": "w"}, first=7))
    with pytest.raises(ConfigError, match="no scene in common"):
        compare(one, other)


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_other_files_are_refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert cli.main(["compare", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_one_policy_is_not_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(evaluation(tmp_path / "a.json", {"cem": "w"}))]) == 2
    assert "nothing to compare" in capsys.readouterr().err
