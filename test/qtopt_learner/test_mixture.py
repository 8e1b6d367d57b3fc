import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_learner.mixture import MixConfig, draw, split
from qtopt_learner.replay import Replay
from qtopt_policy.errors import ConfigError
from support.tiny_mdp import LAYOUT, concatenate, rows_of


def replay_of(complete: list[bool], length: int = 4) -> Replay:
    replay = Replay(LAYOUT, 1000)
    episodes = [rows_of([0] * length, [0] * length, [0.0] * length, end, 0.9) for end in complete]
    replay.append(concatenate(episodes), "a")
    return replay


def label(replay: Replay, rows: list[int], step: int) -> None:
    replay.set_values(np.array(rows), np.zeros(len(rows), dtype=np.float32), step)


@given(st.integers(1, 10_000), st.integers(0, 100_000))
def test_the_online_share_rises_and_is_bounded(offline: int, online: int) -> None:
    mix = MixConfig(share=0.5, least=800, full=4000)
    share = mix.online_share(offline, online)
    assert 0.0 <= share <= 0.5
    assert share <= mix.online_share(offline, online + 100)


def test_few_online_rows_are_not_used_and_many_reach_the_share() -> None:
    mix = MixConfig(share=0.5, least=800, full=4000)
    assert mix.online_share(10, 799) == 0.0
    assert mix.online_share(10, 2000) == pytest.approx(0.25)
    assert mix.online_share(10, 4000) == 0.5


def test_without_offline_rows_everything_is_online() -> None:
    assert MixConfig(share=0.5).online_share(0, 10) == 1.0


def test_a_batch_is_split_by_the_share_on_average() -> None:
    rng = np.random.default_rng(0)
    counts = [split(10, 0.33, rng) for _ in range(5000)]
    assert set(counts) == {3, 4}
    assert np.mean(counts) == pytest.approx(3.3, abs=0.03)


def test_only_labelled_transitions_are_drawn() -> None:
    replay = replay_of([True, False])
    label(replay, [0, 1, 6, 7], 5)  # row 7 ends an aborted episode
    rows = draw(replay, 500, 0, np.random.default_rng(0))
    assert set(rows.tolist()) == {0, 1, 6}


def test_labels_beyond_the_age_limit_are_not_drawn() -> None:
    replay = replay_of([True, True])
    label(replay, [0, 1, 2], 5)
    label(replay, [3, 4], 9)
    rows = draw(replay, 500, 6, np.random.default_rng(0))
    assert set(rows.tolist()) == {3, 4}


def test_draws_are_uniform() -> None:
    replay = replay_of([True] * 5)
    label(replay, list(range(20)), 0)
    rows = draw(replay, 20_000, 0, np.random.default_rng(0))
    counts = np.bincount(rows, minlength=20)
    assert counts.min() > 800
    assert counts.max() < 1200


def test_a_share_of_the_rows_is_moved_to_the_ends_of_their_episodes() -> None:
    replay = replay_of([True, False, True])  # rows 4 to 7 are of an aborted episode
    rows = draw(replay, 20_000, None, np.random.default_rng(0), ends=0.4)
    counts = np.bincount(rows, minlength=12) / 20_000
    others = [0, 1, 2, 8, 9, 10]
    # Of 11 equally frequent transitions an end keeps its own and takes 0.4 of the 3 before it.
    assert counts[others] == pytest.approx(0.6 / 11, abs=0.01)
    assert counts[[3, 11]] == pytest.approx((1 + 3 * 0.4) / 11, abs=0.01)
    assert counts[[4, 5, 6]] == pytest.approx(1 / 11, abs=0.01)
    assert counts[7] == 0.0


def test_a_replay_without_labels_is_an_error_not_an_endless_search() -> None:
    with pytest.raises(ConfigError, match="hardly any has a label"):
        draw(replay_of([True]), 5, 0, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="of 0 rows"):
        draw(Replay(LAYOUT, 10), 5, 0, np.random.default_rng(0))


def test_a_ramp_without_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 < least <= full"):
        MixConfig(least=100, full=50)
