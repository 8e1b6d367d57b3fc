"""Environments in processes: what happens depends on the seed alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from grasp_bringup.sim.env import as_arrays
from grasp_bringup.sim.vector import Outcome, SearchedBatch, make_vector_env, play
from qtopt_policy.grasp_action import CLOSE, TERMINATE, GraspAction
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision
from support.policy_samples import make_observation

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


class Recorder:
    """Closes everywhere, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[Observation], list[int], list[int]]] = []

    def decide_all(
        self, observations: Sequence[Observation], seeds: Sequence[int], steps: Sequence[int]
    ) -> list[Decision]:
        self.asked.append((list(observations), list(seeds), list(steps)))
        return [Decision(GraspAction(np.full(3, 0.01 * seed), 0.1, CLOSE)) for seed in seeds]


def test_one_search_serves_all_slots_that_have_an_episode() -> None:
    policy, seen = Recorder(), [make_observation(index) for index in range(3)]
    rows = [as_arrays(observation) for observation in seen]
    batch = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    actions = SearchedBatch(policy, "tool")(batch, np.array([2, -1, 0]), np.array([4, 0, 1]))
    [(observations, seeds, steps)] = policy.asked
    assert (seeds, steps) == ([2, 0], [4, 1])
    assert [GraspAction.from_array(row).choice for row in actions] == [CLOSE, TERMINATE, CLOSE]
    np.testing.assert_allclose(actions[:, 0], [0.02, 0.0, 0.0])
    for found, given in zip(observations, (seen[0], seen[2]), strict=True):
        np.testing.assert_array_equal(found.image, given.image)
        np.testing.assert_allclose(found.scalars(), given.scalars())
        np.testing.assert_allclose(found.tool_pose.as_array(), given.tool_pose.as_array(), atol=1e-6)
        np.testing.assert_allclose(found.camera.matrix, given.camera.matrix, rtol=1e-6)
        np.testing.assert_allclose(found.camera.pose.as_array(), given.camera.pose.as_array(), atol=1e-6)
        assert found.camera.mount == "tool"
