import numpy as np
import pytest

from qtopt_learner.transitions import observations
from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import CLOSE, TERMINATE, GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision
from qtopt_policy.policies.exploration import Exploration, NoisyPolicy, base_policy
from support.recordings import recording

MDP = MdpConfig()
OBSERVATION = observations(recording(count=4).episode)[0]


class Fixed:
    def __init__(self, action: GraspAction) -> None:
        self.action = action
        self.seed = -1

    @property
    def name(self) -> str:
        return "fixed"

    def reset(self, seed: int) -> None:
        self.seed = seed

    def decide(self, observation: Observation) -> Decision:
        return Decision(self.action, q=0.7)


def draws(policy: NoisyPolicy, count: int = 400) -> list[GraspAction]:
    policy.reset(3)
    return [policy.decide(OBSERVATION).action for _ in range(count)]


def test_moves_scatter_about_the_inner_policys() -> None:
    inner = Fixed(GraspAction(np.array([0.01, 0.0, -0.02]), 0.1, CLOSE))
    actions = draws(NoisyPolicy(inner, MDP, 0.1))
    moves = np.array([[*a.translation, a.yaw] for a in actions])
    np.testing.assert_allclose(moves.mean(0), [0.01, 0.0, -0.02, 0.1], atol=0.01)
    np.testing.assert_allclose(moves.std(0), [0.004, 0.004, 0.004, 0.05], rtol=0.15)
    assert {a.choice for a in actions} == {CLOSE}
    assert inner.seed == 3


def test_moves_stay_within_their_bounds() -> None:
    inner = Fixed(GraspAction(np.array([0.04, -0.04, 0.0]), 0.5, CLOSE))
    for action in draws(NoisyPolicy(inner, MDP, 1.0)):
        assert np.abs(action.translation).max() <= MDP.max_translation + 1e-7
        assert abs(action.yaw) <= MDP.max_yaw


def test_terminate_is_left_alone() -> None:
    inner = Fixed(GraspAction(np.zeros(3), 0.0, TERMINATE))
    assert all(a is inner.action for a in draws(NoisyPolicy(inner, MDP, 0.5), 10))


def test_the_same_seed_gives_the_same_noise_and_q_is_kept() -> None:
    policy = NoisyPolicy(Fixed(GraspAction(np.zeros(3), 0.0, CLOSE)), MDP, 0.2)
    first, again = draws(policy, 5), draws(policy, 5)
    assert all(np.array_equal(a.translation, b.translation) for a, b in zip(first, again, strict=True))
    assert policy.decide(OBSERVATION).q == 0.7
    assert policy.name == "noisy(fixed, 0.2)"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.0, -0.1), r"noise -0\.1: must be 0 or above"),
        ((0.0, float("nan")), "noise nan"),
        ((1.5,), r"epsilon 1\.5: must be in \[0, 1\]"),
        ((0.1, 0.1, -1.0), r"explore -1\.0: must be in \[0, 1\]"),
    ],
)
def test_values_out_of_range_are_refused(values: tuple[float, ...], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Exploration(*values)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 5), (0.5, 10), (1.0, 20)])
def test_the_episodes_that_explore_are_spread_evenly(share: float, count: int) -> None:
    found = [number for number in range(20) if Exploration(0.1, 0.1, share).explores(number)]
    assert len(found) == count
    assert len(set(np.diff(found))) <= 1


@pytest.mark.parametrize(
    ("exploration", "name"),
    [
        (Exploration(), "fixed"),
        (Exploration(noise=0.2), "noisy(fixed, 0.2)"),
        (Exploration(0.1), "epsilon(fixed, 0.1)"),
        (Exploration(0.1, 0.2), "epsilon(noisy(fixed, 0.2), 0.1)"),
    ],
)
def test_the_name_tells_how_it_explores(exploration: Exploration, name: str) -> None:
    assert exploration.wrap(Fixed(GraspAction(np.zeros(3), 0.0, CLOSE)), MDP).name == name


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("cem", "cem"),
        ("epsilon(cem, 0.2)", "cem"),
        ("epsilon(noisy(cem, 0.1), 0.2)", "cem"),
        ("a(b, c)", "a(b, c)"),
    ],
)
def test_the_policy_that_explores_is_found(name: str, base: str) -> None:
    assert base_policy(name) == base
