import numpy as np
import pytest
from numpy.typing import NDArray

from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import CLOSE, TERMINATE
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.random_policy import CHOICE_SHARES, RandomPolicy
from support.policy_samples import make_observation

MDP = MdpConfig()
OBSERVATION = make_observation(0)


def draw(policy: RandomPolicy, count: int, seed: int = 0) -> NDArray[np.float64]:
    policy.reset(seed)
    rows = [policy.decide(OBSERVATION).action for _ in range(count)]
    return np.array([[*row.translation, row.yaw, row.choice] for row in rows])


def test_moves_fill_their_bounds_evenly() -> None:
    rows = draw(RandomPolicy(MDP), 4000)
    moves = rows[rows[:, 4] != TERMINATE, :4] / [0.04, 0.04, 0.04, 0.5]
    assert np.abs(moves).max() <= 1.0
    np.testing.assert_allclose(moves.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose(moves.std(axis=0), 1.0 / np.sqrt(3.0), atol=0.03)


def test_choices_have_their_shares() -> None:
    choices = draw(RandomPolicy(MDP), 4000)[:, 4].astype(int)
    np.testing.assert_allclose(np.bincount(choices, minlength=4) / 4000, CHOICE_SHARES, atol=0.02)


def test_terminate_does_not_move() -> None:
    rows = draw(RandomPolicy(MDP, (0.0, 0.0, 0.0, 1.0)), 5)
    assert not rows[:, :4].any()


def test_equal_seeds_act_alike_and_others_do_not() -> None:
    policy = RandomPolicy(MDP)
    np.testing.assert_array_equal(draw(policy, 10, seed=1), draw(policy, 10, seed=1))
    assert not np.array_equal(draw(policy, 10, seed=1), draw(policy, 10, seed=2))


def test_it_has_no_opinion() -> None:
    decision = RandomPolicy(MDP, (0.0, 1.0, 0.0, 0.0)).decide(OBSERVATION)
    assert decision.action.choice == CLOSE
    assert np.isnan(decision.q)
    assert decision.candidates is None


@pytest.mark.parametrize("shares", [(1.0,), (0.5, 0.5, 0.5, -0.5), (0.5, 0.2, 0.1, 0.1)])
def test_impossible_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="a probability for each of move, close, open, terminate"):
        RandomPolicy(MDP, shares)
