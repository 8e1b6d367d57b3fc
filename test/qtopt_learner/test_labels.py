import numpy as np
import pytest
import torch

from qtopt_learner.labels import LabelConfig, Labeller, horizon, state_values
from qtopt_learner.replay import Replay
from qtopt_learner.rows import observation_batch
from qtopt_learner.targets import TargetConfig, TargetNetworks
from qtopt_policy.errors import ConfigError
from support.tiny_mdp import LAYOUT, STATES, TableNetwork, concatenate, rows_of, table

CPU = torch.device("cpu")
GAMMA = 0.9
RNG = np.random.default_rng(0)


def with_tables(first: torch.Tensor, second: torch.Tensor) -> TargetNetworks:
    """Targets whose Q tables are given as probabilities, shape (STATES, 3)."""
    targets = TargetNetworks(table(), TargetConfig(decay=0.9, lag=5))
    for network, values in ((targets.first, first), (targets.second, second)):
        assert isinstance(network, TableNetwork)
        network.table.copy_(torch.logit(values))
    return targets


def replay_of(
    states: list[int], rewards: list[float], complete: bool = True, chosen: list[bool] | None = None
) -> Replay:
    replay = Replay(LAYOUT, 100)
    replay.append(rows_of(states, [1] * len(states), rewards, complete, GAMMA, chosen), "a")
    return replay


def all_states() -> Replay:
    return replay_of(list(range(STATES)), [0.0] * STATES)


def test_v_is_the_minimum_of_both_targets_at_the_argmax_under_the_first() -> None:
    generator = torch.Generator().manual_seed(3)
    first = torch.rand(STATES, 3, generator=generator) * 0.8 + 0.1
    second = torch.rand(STATES, 3, generator=generator) * 0.8 + 0.1
    batch = observation_batch(all_states().gather(np.arange(STATES)))
    values = state_values(with_tables(first, second), batch, list(range(STATES)), LabelConfig())
    best = first.argmax(dim=1)
    rows = torch.arange(STATES)
    torch.testing.assert_close(values, torch.minimum(first[rows, best], second[rows, best]))
    assert not torch.allclose(values, torch.minimum(first, second).max(dim=1).values)


def test_one_target_alone_can_be_asked_for() -> None:
    first, second = torch.full((STATES, 3), 0.7), torch.full((STATES, 3), 0.2)
    batch = observation_batch(all_states().gather(np.arange(STATES)))
    values = state_values(with_tables(first, second), batch, [0] * STATES, LabelConfig(clipped=False))
    torch.testing.assert_close(values, torch.full((STATES,), 0.7))


def labelled(replay: Replay, value: float, config: LabelConfig | None = None) -> list[float]:
    config = config or LabelConfig()
    same = torch.full((STATES, 3), value)
    labeller = Labeller(with_tables(same, same), config, GAMMA, CPU)
    held = np.arange(replay.first, replay.end)
    rows = held[replay.is_transition(held)]
    labeller.label(replay, rows, 0, RNG)
    return [float(x) for x in labeller.targets_of(replay, rows)]


def test_labels_are_reward_plus_discounted_value_and_reward_alone_at_the_end() -> None:
    found = labelled(replay_of([0, 1, 2], [-0.05, -0.05, 1.0]), 0.5)
    assert found == pytest.approx([-0.05 + GAMMA * 0.5, -0.05 + GAMMA * 0.5, 1.0], abs=1e-6)


def test_the_value_is_that_of_the_next_state() -> None:
    values = torch.linspace(0.1, 0.9, STATES)[:, None].expand(-1, 3).clone()
    replay = replay_of([0, 3, 1], [0.0, 0.0, 1.0])
    labeller = Labeller(with_tables(values, values), LabelConfig(), GAMMA, CPU)
    labeller.label(replay, np.arange(3), 0, RNG)
    expected = [GAMMA * float(values[3, 0]), GAMMA * float(values[1, 0]), 1.0]
    assert labeller.targets_of(replay, np.arange(3)).tolist() == pytest.approx(expected, abs=1e-6)


def test_an_aborted_episode_bootstraps_to_its_last_state_and_no_further() -> None:
    found = labelled(replay_of([0, 1, 2], [-0.05] * 3, complete=False), 0.5)
    assert found == pytest.approx([-0.05 + GAMMA * 0.5] * 2, abs=1e-6)


def test_three_steps_sum_rewards_before_they_bootstrap() -> None:
    rewards = [0.01, 0.02, 0.03, 0.04, 1.0]
    found = labelled(replay_of([0, 1, 2, 3, 4], rewards), 0.5, LabelConfig(n_step=3))
    three = 0.01 + GAMMA * 0.02 + GAMMA**2 * 0.03 + GAMMA**3 * 0.5
    four = 0.02 + GAMMA * 0.03 + GAMMA**2 * 0.04 + GAMMA**3 * 0.5
    ends = [0.03 + GAMMA * 0.04 + GAMMA**2 * 1.0, 0.04 + GAMMA * 1.0, 1.0]
    assert found == pytest.approx([three, four, *ends], abs=1e-6)


def test_three_steps_of_an_aborted_episode_bootstrap_earlier() -> None:
    found = labelled(replay_of([0, 1, 2], [0.1, 0.2, 0.3], complete=False), 0.5, LabelConfig(n_step=3))
    assert found == pytest.approx([0.1 + GAMMA * 0.2 + GAMMA**2 * 0.5, 0.2 + GAMMA * 0.5], abs=1e-6)


CHOSEN = LabelConfig(n_step=3, through="chosen")


def test_a_sum_through_chosen_steps_ends_before_one_that_nobody_chose() -> None:
    rewards, chosen = [0.01, 0.02, 0.03, 0.04, 1.0], [False, True, False, True, True]
    found = labelled(replay_of([0, 1, 2, 3, 4], rewards, chosen=chosen), 0.5, CHOSEN)
    two = 0.01 + GAMMA * 0.02 + GAMMA**2 * 0.5  # its own action is known, whoever made it
    one = 0.02 + GAMMA * 0.5
    ends = [0.03 + GAMMA * 0.04 + GAMMA**2 * 1.0, 0.04 + GAMMA * 1.0, 1.0]
    assert found == pytest.approx([two, one, *ends], abs=1e-6)


def test_an_end_that_nobody_chose_is_no_end_of_the_steps_before() -> None:
    found = labelled(replay_of([0, 1, 2], [0.1, 0.2, 1.0], chosen=[True, True, False]), 0.5, CHOSEN)
    assert found == pytest.approx([0.1 + GAMMA * 0.2 + GAMMA**2 * 0.5, 0.2 + GAMMA * 0.5, 1.0], abs=1e-6)


@pytest.mark.parametrize("complete", [True, False])
def test_where_all_is_chosen_the_sum_is_the_same(complete: bool) -> None:
    replay = replay_of([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4], complete)
    assert labelled(replay, 0.5, CHOSEN) == labelled(replay, 0.5, LabelConfig(n_step=3))


def test_looking_ahead_never_leaves_the_episode() -> None:
    replay = Replay(LAYOUT, 100)
    one = rows_of([0, 1], [1, 1], [0.0, 1.0], True, GAMMA)
    replay.append(concatenate([one, one, one]), "a")
    rows = np.arange(6)
    for n_step in (1, 2, 3, 10):
        ahead = horizon(replay, rows, n_step, GAMMA)
        assert (ahead.row // 2 == rows // 2).all()


def test_the_monte_carlo_bound_only_raises_labels() -> None:
    replay = replay_of([0, 1, 2], [0.0, 0.0, 1.0])
    assert labelled(replay, 0.1) == pytest.approx([0.09, 0.09, 1.0], abs=1e-6)
    bounded = labelled(replay, 0.1, LabelConfig(monte_carlo_bound=True))
    assert bounded == pytest.approx([GAMMA**2, GAMMA, 1.0], abs=1e-6)
    high = labelled(replay, 0.99, LabelConfig(monte_carlo_bound=True))
    assert high == pytest.approx([GAMMA * 0.99, GAMMA, 1.0], abs=1e-6)


def test_the_monte_carlo_bound_of_an_aborted_episode_is_nothing() -> None:
    replay = replay_of([0, 1], [0.0, 0.0], complete=False)
    assert labelled(replay, 0.4, LabelConfig(monte_carlo_bound=True)) == pytest.approx([0.36], abs=1e-6)


def test_labels_carry_their_date() -> None:
    replay = all_states()
    same = torch.full((STATES, 3), 0.5)
    labeller = Labeller(with_tables(same, same), LabelConfig(), GAMMA, CPU)
    labeller.label(replay, np.array([1, 3]), 42, RNG)
    assert replay.get("value_step", np.arange(5)).tolist() == [-1, 42, -1, 42, -1]


def test_senseless_parameters_are_refused() -> None:
    with pytest.raises(ConfigError, match="n_step 0"):
        LabelConfig(n_step=0)
    with pytest.raises(ConfigError, match="through chosen with n_step 1"):
        LabelConfig(through="chosen")
    with pytest.raises(ConfigError, match="age_limit 0"):
        LabelConfig(age_limit=0)
