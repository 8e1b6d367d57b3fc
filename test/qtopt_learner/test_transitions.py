from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from qtopt_collector.episode import Episode
from qtopt_learner.rows import Layout, observation_batch
from qtopt_learner.transitions import episode_rows, observations
from qtopt_policy.errors import BagError
from qtopt_policy.grasp_action import GraspAction, from_search
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.batch import from_observations
from support.recordings import recording

MDP = MdpConfig(step_penalty=0.05, discount=0.9)
OPENING = 0.08


def episode(success: bool | None = True) -> Episode:
    return recording(
        "e", success=success, end_reason="terminate" if success is not None else "watchdog"
    ).episode


def test_rewards_are_the_penalty_before_the_end_and_the_outcome_at_it() -> None:
    for success in (True, False):
        rows = episode_rows(episode(success), MDP, OPENING)
        np.testing.assert_allclose(rows["reward"], [-0.05] * 6 + [float(success)])


def test_the_last_row_of_a_complete_episode_is_terminal() -> None:
    rows = episode_rows(episode(), MDP, OPENING)
    assert rows["remaining"].tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert rows["complete"].all()


def test_the_step_limit_is_terminal_as_well() -> None:
    limited = recording("e", success=False, end_reason="max_steps").episode
    assert episode_rows(limited, MDP, OPENING)["complete"].all()


def test_an_aborted_episode_has_no_terminal_row_and_no_return() -> None:
    aborted = episode(None)
    open_end = replace(aborted, steps=replace(aborted.steps, is_terminal=np.zeros(7, dtype=bool)))
    rows = episode_rows(open_end, MDP, OPENING)
    assert not rows["complete"].any()
    assert np.isnan(rows["mc_return"]).all()
    np.testing.assert_allclose(rows["reward"], -0.05)


def test_an_aborted_episode_with_a_terminal_step_is_refused() -> None:
    with pytest.raises(BagError, match="ended by watchdog"):
        episode_rows(episode(None), MDP, OPENING)


@pytest.mark.parametrize("count", [0, 1])
def test_an_episode_aborted_before_its_second_step_was_over_is_refused(count: int) -> None:
    steps = episode(None).steps
    kept = {entry.name: getattr(steps, entry.name)[:count] for entry in fields(steps)}
    short = replace(episode(None), steps=replace(steps, **kept))
    with pytest.raises(
        BagError, match=f"episode e: ended by watchdog after {count} steps, expected at least 2"
    ):
        episode_rows(short, MDP, OPENING)


def test_a_complete_episode_of_one_step_is_used_and_one_without_is_refused() -> None:
    steps = episode().steps
    kept = {entry.name: getattr(steps, entry.name)[-1:] for entry in fields(steps)}
    short = replace(episode(), steps=replace(steps, **kept))
    assert episode_rows(short, MDP, OPENING)["reward"].tolist() == [1.0]
    none = {name: value[:0] for name, value in kept.items()}
    with pytest.raises(BagError, match="ended by terminate after 0 steps, expected at least 1"):
        episode_rows(replace(short, steps=replace(steps, **none)), MDP, OPENING)


def test_a_complete_episode_without_terminal_step_is_refused() -> None:
    whole = episode()
    broken = replace(whole, steps=replace(whole.steps, is_terminal=np.zeros(7, dtype=bool)))
    with pytest.raises(BagError, match=r"terminal steps are \[\], expected \[6\]"):
        episode_rows(broken, MDP, OPENING)


def test_returns_are_discounted_sums_of_the_rewards() -> None:
    rows = episode_rows(episode(), MDP, OPENING)
    for t in range(7):
        expected = sum(0.9 ** (k - t) * rows["reward"][k] for k in range(t, 7))
        assert rows["mc_return"][t] == pytest.approx(expected, abs=1e-6)


def test_steps_whose_q_is_known_are_chosen() -> None:
    found = episode()
    q = np.array([0.5, np.nan, 0.0, 0.7, np.nan, np.nan, 1.0])
    rows = episode_rows(replace(found, steps=replace(found.steps, q=q)), MDP, OPENING)
    assert rows["chosen"].tolist() == [True, False, True, True, False, False, True]


def test_actions_are_executed_where_the_arm_altered_them_and_asked_elsewhere() -> None:
    whole = episode()
    rows = episode_rows(whole, MDP, OPENING)
    for t in range(6):  # the seventh terminates: it stands still
        source = whole.steps.executed if whole.steps.altered[t] else whole.steps.asked
        expected, found = GraspAction.from_array(source[t]), from_search(rows["action"][t], MDP.action_spec())
        np.testing.assert_allclose(found.translation, expected.translation, atol=1e-6)
        assert found.yaw == pytest.approx(expected.yaw, abs=1e-6)
        assert found.choice == expected.choice
    assert whole.steps.altered.any()


def test_rows_hold_what_the_networks_would_see_on_the_robot() -> None:
    whole = episode()
    batch = observation_batch(episode_rows(whole, MDP, OPENING))
    served = from_observations(observations(whole), MDP.action_frame, OPENING)
    assert torch.equal(batch.image, served.image)
    assert torch.equal(batch.vectors, served.vectors)
    for name in ("camera_from_hand", "intrinsics", "hand_from_action", "opening", "height"):
        assert torch.equal(getattr(batch.geometry, name), getattr(served.geometry, name)), name


def test_rows_fit_the_layout() -> None:
    layout = Layout.of(MDP.action_spec(), MDP.observation_spec())
    assert layout.check(episode_rows(episode(), MDP, OPENING)) == 7


def test_another_image_size_is_refused() -> None:
    with pytest.raises(BagError, match=r"images of \(64, 64\), the MDP has \(96, 96\)"):
        episode_rows(episode(), replace(MDP, image_size=(96, 96)), OPENING)


def test_another_action_frame_is_refused() -> None:
    with pytest.raises(BagError, match="frame 'tool', the MDP has 'base'"):
        episode_rows(episode(), replace(MDP, action_frame="base"), OPENING)


def test_a_complete_episode_without_reward_is_refused() -> None:
    whole = episode()
    with pytest.raises(BagError, match="reward None"):
        episode_rows(replace(whole, info=replace(whole.info, reward=None)), MDP, OPENING)
