import numpy as np
import pytest

from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import CLOSE, OPEN
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.epsilon_policy import EpsilonPolicy
from qtopt_policy.policies.random_policy import RandomPolicy
from support.policy_samples import make_observation

OBSERVATION = make_observation(0)


def mixed(epsilon: float) -> EpsilonPolicy:
    """A policy that always closes, disturbed by one that always opens."""
    mdp = MdpConfig()
    return EpsilonPolicy(
        RandomPolicy(mdp, (0.0, 1.0, 0.0, 0.0)), RandomPolicy(mdp, (0.0, 0.0, 1.0, 0.0)), epsilon
    )


def choices(policy: EpsilonPolicy, count: int, seed: int = 0) -> list[int]:
    policy.reset(seed)
    return [policy.decide(OBSERVATION).action.choice for _ in range(count)]


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 0.7, 1.0])
def test_epsilon_is_the_share_of_noise(epsilon: float) -> None:
    drawn = choices(mixed(epsilon), 2000)
    assert drawn.count(OPEN) / 2000 == pytest.approx(epsilon, abs=0.03)
    assert set(drawn) <= {OPEN, CLOSE}


def test_equal_seeds_act_alike_and_others_do_not() -> None:
    policy = mixed(0.5)
    assert choices(policy, 30, seed=1) == choices(policy, 30, seed=1)
    assert choices(policy, 30, seed=1) != choices(policy, 30, seed=2)


def test_noise_and_policy_draw_different_numbers() -> None:
    mdp = MdpConfig()
    one, other = RandomPolicy(mdp), RandomPolicy(mdp)
    EpsilonPolicy(one, other, 0.5).reset(5)
    first, second = (policy.decide(OBSERVATION).action.translation for policy in (one, other))
    assert not np.array_equal(first, second)


def test_the_name_says_what_it_is() -> None:
    assert mixed(0.2).name == "epsilon(random, 0.2)"


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, float("nan")])
def test_an_impossible_epsilon_is_refused(epsilon: float) -> None:
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\]"):
        mixed(epsilon)
