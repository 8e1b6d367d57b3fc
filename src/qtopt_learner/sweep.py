"""The order in which transitions are labelled: what is new first, then all, again and again, shuffled.

A shuffled sweep makes the labels of any moment a fair sample of the replay, and no label older than two
sweeps. The state is five numbers, so that a resumed run goes on in the same order.
"""

import numpy as np

from qtopt_learner.replay import Index, Replay


class Sweep:
    """Picks the next rows of a replay to label.

    Args:
        replay: to go through.
        seed: of the shuffles.
        part: index and number of those who share the work; each takes the rows that are its index modulo
            their number.
    """

    def __init__(self, replay: Replay, seed: int, part: tuple[int, int] = (0, 1)) -> None:
        self._replay = replay
        self._seed = seed
        self._part = part
        # Rows from here on have arrived since and were not labelled yet.
        self._new = replay.end
        self._round = 0
        self._start(replay.first, replay.end, 0)

    def _start(self, first: int, end: int, position: int) -> None:
        self._first, self._end, self._position = first, end, position
        self._order = np.random.default_rng((self._seed, self._round)).permutation(end - first) + first

    def next(self, count: int) -> Index:
        """Return at most `count` different transitions, fewer only if the replay holds fewer."""
        picked = self._take_new(count)
        rounds = 0
        while len(picked) < count and rounds < 2:
            if self._position >= len(self._order):
                rounds += 1
                self._round += 1
                self._start(self._replay.first, self._replay.end, 0)
            rows = self._order[self._position : self._position + count - len(picked)]
            self._position += len(rows)
            picked = np.concatenate([picked, self._held(rows)])
        return np.unique(picked)

    def _take_new(self, count: int) -> Index:
        start = max(self._new, self._replay.first)
        self._new = min(start + count, self._replay.end)
        return self._held(np.arange(start, self._new))

    def _held(self, rows: Index) -> Index:
        index, number = self._part
        rows = rows[(rows >= self._replay.first) & (rows % number == index)]
        return rows[self._replay.is_transition(rows)]

    def backlog(self) -> int:
        """Return how many rows have arrived and were not labelled yet."""
        return self._replay.end - max(self._new, self._replay.first)

    def state(self) -> tuple[int, ...]:
        """Return what `load` takes."""
        return self._new, self._round, self._first, self._end, self._position

    def load(self, state: tuple[int, ...]) -> None:
        """Go on where `state` was taken."""
        self._new, self._round, first, end, position = state
        self._start(first, end, position)
