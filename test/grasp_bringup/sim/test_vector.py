"""Environments in processes: what happens depends on the seed alone."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from grasp_bringup.sim.vector import Outcome, make_vector_env, play

SEEDS = (5, 0, 9)


def dive(
    observations: dict[str, NDArray[Any]], seeds: NDArray[Any], steps: NDArray[Any]
) -> NDArray[np.float64]:
    """Go down beside the middle, by an offset that the episode's seed gives, close and terminate."""
    actions = np.zeros((len(seeds), 8))
    for row, seed, step, height in zip(
        actions, seeds, steps, observations["height_to_bottom"][:, 0], strict=True
    ):
        row[:2] = np.random.default_rng([max(int(seed), 0), int(step)]).uniform(-0.02, 0.02, size=2)
        row[2] = min(0.04, height - 0.015)
        row[5], row[7] = step == 4, step == 5
    return actions


def outcomes(slots: int) -> list[Outcome]:
    envs = make_vector_env(slots, rendered=False)
    try:
        return sorted(play(envs, dive, SEEDS), key=lambda outcome: outcome.seed)
    finally:
        envs.close()


@pytest.mark.slow
def test_outcomes_do_not_depend_on_the_number_of_processes() -> None:
    one = outcomes(1)
    assert [outcome.seed for outcome in one] == sorted(SEEDS)
    assert all(outcome.steps == 6 for outcome in one)
    assert outcomes(2) == one
    assert outcomes(4) == one  # more slots than episodes
