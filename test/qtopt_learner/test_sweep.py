import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qtopt_learner.replay import Replay
from qtopt_learner.rows import Rows
from qtopt_learner.sweep import Sweep
from support.tiny_mdp import LAYOUT, concatenate, rows_of


def episodes(complete: list[bool], length: int = 3) -> Rows:
    return concatenate([rows_of([0] * length, [0] * length, [0.0] * length, e, 0.9) for e in complete])


def replay_of(complete: list[bool], capacity: int = 1000) -> Replay:
    replay = Replay(LAYOUT, capacity)
    replay.append(episodes(complete), "a")
    return replay


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(1, 9))
def test_a_sweep_meets_every_transition_once_before_any_again(complete: list[bool], count: int) -> None:
    replay = replay_of(complete)
    rows = np.arange(replay.end)
    wanted = set(rows[replay.is_transition(rows)].tolist())
    sweep = Sweep(replay, seed=1)
    met: list[int] = []
    while len(met) + count <= len(wanted):
        met.extend(sweep.next(count).tolist())
    assert len(set(met)) == len(met)
    assert set(met) <= wanted
    met.extend(sweep.next(count).tolist())
    assert set(met) == wanted if len(wanted) >= count else set(met) <= wanted


def test_the_order_is_shuffled() -> None:
    replay = replay_of([True] * 100)
    first = Sweep(replay, seed=1).next(100)
    assert first.max() > 200
    assert set(first) != set(Sweep(replay, seed=2).next(100))


def test_what_is_new_comes_first() -> None:
    replay = replay_of([True] * 20)
    sweep = Sweep(replay, seed=1)
    sweep.next(10)
    replay.append(episodes([True] * 3), "b")
    assert sweep.backlog() == 9
    assert sweep.next(6).tolist() == [60, 61, 62, 63, 64, 65]
    assert {66, 67, 68} <= set(sweep.next(6).tolist())
    assert sweep.backlog() == 0


def test_rows_that_have_gone_are_passed_over() -> None:
    replay = replay_of([True] * 10, capacity=30)
    sweep = Sweep(replay, seed=1)
    replay.append(episodes([True] * 9), "b")
    for _ in range(20):
        assert sweep.next(7).min() >= replay.first


def test_a_replay_smaller_than_a_block_gives_what_it_has() -> None:
    assert Sweep(replay_of([True]), seed=1).next(50).tolist() == [0, 1, 2]
    assert len(Sweep(Replay(LAYOUT, 10), seed=1).next(5)) == 0


def test_a_resumed_sweep_goes_on_in_the_same_order() -> None:
    replay = replay_of([True] * 30)
    straight, broken = Sweep(replay, seed=3), Sweep(replay, seed=3)
    for _ in range(40):
        resumed = Sweep(replay, seed=3)
        resumed.load(broken.state())
        broken = resumed
        np.testing.assert_array_equal(straight.next(7), broken.next(7))
