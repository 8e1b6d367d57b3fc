"""Episodes over worker processes."""

from functools import partial
from pathlib import Path

import pytest

from qtopt_learner.evaluate_jobs import Job, WorkerDiedError, play_all
from qtopt_policy.errors import UnknownNameError
from support.players import make_dying, make_failing, make_marking, make_player, make_refusing, play

JOBS = [Job(policy, seed) for policy in ("a", "b") for seed in range(4)]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_do_not_depend_on_the_workers(workers: int) -> None:
    found = sorted(play_all(make_player, JOBS, workers), key=lambda row: (row.policy, row.seed))
    assert found == [play(job) for job in JOBS]


def test_no_jobs_give_no_results() -> None:
    assert list(play_all(make_player, [], 2)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_an_episode_reaches_the_caller(workers: int) -> None:
    with pytest.raises(ValueError, match="scene"):
        list(play_all(make_failing, JOBS[:2], workers))


def test_a_worker_that_dies_is_an_error_not_a_hang() -> None:
    with pytest.raises(WorkerDiedError):
        list(play_all(make_dying, JOBS, 2))


def test_an_error_of_ours_crosses_the_processes_whole() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown policy 'x'\. Valid choices: a, b"):
        list(play_all(make_refusing, JOBS[:2], 2))


def test_leaving_early_drops_what_was_not_begun(tmp_path: Path) -> None:
    results = play_all(partial(make_marking, tmp_path), [Job("a", seed) for seed in range(500)], 2)
    next(results)
    results.close()  # type: ignore[attr-defined]  # an iterator that is a generator
    assert 1 <= len(list(tmp_path.iterdir())) < 100
