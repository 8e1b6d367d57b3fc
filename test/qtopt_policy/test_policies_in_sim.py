"""The scripted policies in the simulated cell: rough bounds; bench and `qtopt evaluate` give the figures."""

from typing import Any

import pytest

from grasp_bringup.sim.env import GraspEnv
from qtopt_policy.policies.base import Policy
from qtopt_policy.policies.registry import make_policy

FIRST_SEED = 20_000  # not among the benchmark's scenes
EPISODES = 30


def successes(env: GraspEnv, policy: Policy) -> int:
    count = 0
    for seed in range(FIRST_SEED, FIRST_SEED + EPISODES):
        env.reset(seed=seed)
        policy.reset(seed)
        ended = False
        info: dict[str, Any] = {}
        while not ended:
            _, _, ended, _, info = env.step(policy.decide(env.observation).action.as_array())
        count += info["success"]
    return count


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "low", "high"), [("scripted", 1, 14), ("scripted_exact", 11, 27)])
def test_success_is_where_it_should_be(name: str, low: int, high: int) -> None:
    env = GraspEnv()
    try:
        assert low <= successes(env, make_policy(name, env.mdp, env.robot)) <= high
    finally:
        env.close()
