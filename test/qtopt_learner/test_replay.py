from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtopt_learner.replay import INDEX_FILE, Replay, capacity_of
from qtopt_learner.rows import Rows
from qtopt_policy.errors import ConfigError, ShapeError
from support.tiny_mdp import LAYOUT, concatenate, rows_of, walk


def numbered(count: int, start: int) -> Rows:
    """One complete episode whose rewards are its absolute row numbers."""
    return rows_of([0] * count, [0] * count, [float(start + i) for i in range(count)], True, 0.9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=20))
def test_the_ring_holds_the_newest_rows_under_their_numbers(lengths: list[int]) -> None:
    replay = Replay(LAYOUT, capacity=10)
    for length in lengths:
        replay.append(numbered(length, replay.end), "x")
    assert replay.end == sum(lengths)
    assert len(replay) == min(10, sum(lengths))
    rows = np.arange(replay.first, replay.end)
    np.testing.assert_array_equal(replay.get("reward", rows), rows)


def test_a_reopened_replay_is_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    replay = Replay(LAYOUT, 50, tmp_path)
    replay.append(walk(rng, 0.9), "a")
    replay.append(walk(rng, 0.9), "b")
    again = Replay(LAYOUT, 50, tmp_path)
    assert (again.first, again.end, again.sources) == (replay.first, replay.end, ["a", "b"])
    rows = np.arange(replay.first, replay.end)
    for name, column in replay.gather(rows).items():
        np.testing.assert_array_equal(again.get(name, rows), column, err_msg=name)


def test_who_opens_an_empty_replay_shares_what_is_written_later(tmp_path: Path) -> None:
    writer, reader = Replay(LAYOUT, 8, tmp_path), Replay(LAYOUT, 8, tmp_path)
    writer.append(numbered(3, 0), "a")
    reader.refresh()
    assert np.array_equal(reader.get("reward", np.arange(3)), numbered(3, 0)["reward"])


def test_dying_while_writing_gives_up_old_rows_before_they_are_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = Replay(LAYOUT, 10, tmp_path)
    replay.append(numbered(10, 0), "a")

    def die(self: Replay) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Replay, "commit", die)
    with pytest.raises(KeyboardInterrupt):
        replay.append(numbered(4, 10), "b")
    monkeypatch.undo()
    again = Replay(LAYOUT, 10, tmp_path)
    assert again.sources == ["a"]
    rows = np.arange(again.first, again.end)
    assert rows.tolist() == [4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(again.get("reward", rows), rows)
    again.set_values(rows, np.zeros(6, dtype=np.float32), 1)
    assert again.labelled() == 6
    again.append(numbered(4, 10), "b")
    rows = np.arange(again.first, again.end)
    np.testing.assert_array_equal(again.get("reward", rows), rows)


def test_the_index_is_never_half_written(tmp_path: Path) -> None:
    replay = Replay(LAYOUT, 50, tmp_path)
    replay.append(numbered(3, 0), "a")
    (tmp_path / f".{INDEX_FILE}.1.tmp").write_text('{"first": 0, "en')
    assert len(Replay(LAYOUT, 50, tmp_path)) == 3


def test_another_capacity_is_refused_by_name(tmp_path: Path) -> None:
    Replay(LAYOUT, 50, tmp_path).append(numbered(3, 0), "a")
    with pytest.raises(ConfigError, match=r"'capacity': 50.*expected.*'capacity': 60"):
        Replay(LAYOUT, 60, tmp_path)


def test_more_rows_than_the_capacity_are_refused() -> None:
    with pytest.raises(ConfigError, match="11 rows exceed"):
        Replay(LAYOUT, 10).append(numbered(11, 0), "a")


def test_rows_of_a_wrong_type_are_refused() -> None:
    rows = numbered(3, 0)
    rows["reward"] = rows["reward"].astype(np.float64)
    with pytest.raises(ShapeError, match=r"'reward'.*float64"):
        Replay(LAYOUT, 10).append(rows, "a")


def test_only_the_last_step_of_an_aborted_episode_is_no_transition() -> None:
    replay = Replay(LAYOUT, 20)
    replay.append(concatenate([rows_of([0, 1, 2], [1, 1, 1], [0.0] * 3, False, 0.9), numbered(2, 3)]), "a")
    assert replay.is_transition(np.arange(5)).tolist() == [True, True, False, True, True]


def test_new_rows_have_no_label_whatever_lay_there_before() -> None:
    replay = Replay(LAYOUT, 4)
    replay.append(numbered(4, 0), "a")
    replay.set_values(np.arange(4), np.full(4, 0.5, dtype=np.float32), 7)
    replay.append(numbered(2, 4), "b")
    assert replay.get("value_step", np.arange(2, 6)).tolist() == [7, 7, -1, -1]


def test_labels_return_to_their_rows() -> None:
    replay = Replay(LAYOUT, 4)
    replay.append(numbered(3, 0), "a")
    replay.set_values(np.array([1, 2]), np.array([0.25, 0.5], dtype=np.float32), 3)
    state, first = replay.label_state(), replay.first
    replay.append(numbered(2, 3), "b")
    replay.set_values(np.arange(1, 5), np.full(4, 0.9, dtype=np.float32), 9)
    replay.load_label_state(state, first)
    assert replay.get("value_step", np.arange(1, 5)).tolist() == [3, 3, -1, -1]
    assert replay.get("value", np.array([1, 2])).tolist() == [0.25, 0.5]


def test_capacity_follows_from_gigabytes() -> None:
    assert capacity_of(LAYOUT, 1.0) == int(1e9 / LAYOUT.row_bytes)
    with pytest.raises(ConfigError, match="one row takes"):
        capacity_of(LAYOUT, 1e-9)
