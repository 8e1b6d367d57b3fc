"""Counting of outcomes."""

import math

import pytest

from qtopt_collector.report.score import EpisodeResult, Rate, score, scores
from qtopt_policy.mdp import EndReason
from qtopt_policy.statistics import wilson_interval


def result(
    success: bool | None, truth: bool | None, end: EndReason = "terminate", policy: str = "p", steps: int = 4
) -> EpisodeResult:
    return EpisodeResult(policy, 1, success, truth, steps, end)


def test_aborted_episodes_are_no_trials() -> None:
    found = score("p", [result(True, True), result(None, False, "watchdog", steps=9)])
    assert (found.episodes, found.aborted) == (2, 1)
    assert found.judged == Rate(1, 1)
    assert found.truth == Rate(1, 1)
    assert found.mean_steps == 4.0


def test_truth_and_judgement_are_counted_apart() -> None:
    found = score("p", [result(True, False), result(True, True), result(False, None)])
    assert found.judged == Rate(2, 3)
    assert found.truth == Rate(1, 2)
    assert found.disagreements == 1


def test_end_reasons_are_counted() -> None:
    found = score("p", [result(True, None), result(True, None, "max_steps"), result(False, None)])
    assert found.end_reasons == {"terminate": 2, "max_steps": 1}


def test_one_score_per_policy_in_order_of_appearance() -> None:
    rows = [result(True, None, policy="b"), result(True, None, policy="a"), result(False, None, policy="b")]
    assert [(row.policy, row.episodes) for row in scores(rows)] == [("b", 2), ("a", 1)]


def test_rate_prints_percent_with_its_interval() -> None:
    low, high = wilson_interval(3, 10)
    assert str(Rate(3, 10)) == f"30.0 % [{100 * low:.1f}, {100 * high:.1f}]"


def test_no_trials_have_no_rate() -> None:
    assert math.isnan(Rate(0, 0).value)
    assert str(Rate(0, 0)) == "-"


@pytest.mark.parametrize("rows", [[], [result(None, None, "deadline")]])
def test_mean_steps_of_nothing_is_nan(rows: list[EpisodeResult]) -> None:
    assert math.isnan(score("p", rows).mean_steps)
