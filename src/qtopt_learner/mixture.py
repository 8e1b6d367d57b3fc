"""Which transitions a batch holds: uniform within offline and online experience, mixed by a bounded ramp.

A share of them may be the ends of their episodes instead. What happened there is known, not predicted, and
all other values hang on it, but it is one row of many; successes and failures become more frequent alike.
"""

from dataclasses import dataclass

import numpy as np

from qtopt_learner.replay import Index, Replay
from qtopt_learner.rows import UNLABELLED
from qtopt_policy.errors import ConfigError

# Drawing is by rejection: this many rounds without enough usable rows mean that there are next to none.
ROUNDS = 200


@dataclass(frozen=True)
class MixConfig:
    """Share of online experience in a batch, by the number of online rows with a label.

    share = 0 below `least`, then rises in proportion to the rows and stays at `share` from `full` on: few
    rows are not drawn over and over.

    Attributes:
        share: largest share of a batch, 0 to 1.
        least: online rows before any is used.
        full: online rows at which the share is reached.
        ends: share of the rows drawn in whose place the last row of their episode is used, 0 to 1.
    """

    share: float = 0.5
    least: int = 800
    full: int = 4000
    ends: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ConfigError(f"share {self.share}: must be in [0, 1]")
        if not 0.0 <= self.ends <= 1.0:
            raise ConfigError(f"ends {self.ends}: must be in [0, 1]")
        if not 0 < self.least <= self.full:
            raise ConfigError(f"least {self.least} and full {self.full}: need 0 < least <= full")

    def online_share(self, offline_rows: int, online_rows: int) -> float:
        """Return the share of online rows in a batch."""
        if offline_rows == 0:
            return 1.0
        return 0.0 if online_rows < self.least else self.share * min(1.0, online_rows / self.full)


def split(count: int, share: float, rng: np.random.Generator) -> int:
    """Return how many of `count` are online: share * count, rounded up or down at random to be exact."""
    exact = share * count
    return int(exact) + int(rng.random() < exact - int(exact))


def draw(
    replay: Replay,
    count: int,
    oldest: int | None,
    rng: np.random.Generator,
    complete: bool = False,
    ends: float = 0.0,
) -> Index:
    """Draw transitions with replacement, uniformly but for the ends of episodes.

    Args:
        replay: to draw from.
        count: how many.
        oldest: gradient step since which the label must have been made; None needs no label.
        rng: the only source of chance.
        complete: leave out episodes whose end is not known.
        ends: see MixConfig.

    Raises:
        ConfigError: hardly any transition has such a label.
    """
    parts: list[Index] = []
    missing = count
    for _ in range(ROUNDS if len(replay) else 0):
        if missing <= 0:
            break
        rows = rng.integers(replay.first, replay.end, size=2 * missing)
        if ends > 0.0:
            moved = (rng.random(len(rows)) < ends) & replay.get("complete", rows)
            rows = rows + np.where(moved, replay.get("remaining", rows), 0)
        usable = rows[fresh(replay, rows, oldest)]
        if complete:
            usable = usable[replay.get("complete", usable)]
        parts.append(usable[:missing])
        missing -= len(parts[-1])
    if missing > 0:
        raise ConfigError(
            f"of {len(replay)} rows hardly any is of a whole episode"
            if oldest is None
            else f"of {len(replay)} rows hardly any has a label made at step {oldest} or later: "
            "raise the relabel ratio or the age limit"
        )
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def fresh(replay: Replay, rows: Index, oldest: int | None) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which rows are transitions, with a label made at gradient step `oldest` or later."""
    if oldest is None:
        return replay.is_transition(rows)
    made = replay.get("value_step", rows)
    recent: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (made != UNLABELLED) & (made >= oldest)
    return recent & replay.is_transition(rows)
