"""How well someone plays an environment: returns of episodes with given seeds, and their mean."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from qtopt_collector.report.score import Rate
from qtopt_learner.envs.deciders import Decider
from qtopt_learner.envs.player import Player
from qtopt_learner.envs.task import Env, EnvTask

# Seeds of scored episodes start here, apart from those that are learned from.
SCORE_SEEDS = 1_000_000_000


@dataclass(frozen=True)
class Score:
    """Results of one policy.

    Attributes:
        policy: its name.
        seeds: first and last.
        returns: sum of the rewards of each episode, not discounted, by seed.
        steps: of all episodes.
        successes: episodes that the environment called a success; None where it does not tell.
    """

    policy: str
    seeds: tuple[int, int]
    returns: tuple[float, ...]
    steps: int
    successes: int | None

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def margin(self) -> float:
        """Half the width of the 95 % interval of the mean, by the normal approximation; NaN for one."""
        count = len(self.returns)
        if count < 2:
            return float("nan")
        return NormalDist().inv_cdf(0.975) * float(np.std(self.returns, ddof=1)) / math.sqrt(count)

    def __str__(self) -> str:
        count = len(self.returns)
        text = f"{self.policy}: return {self.mean:.2f} +- {self.margin:.2f} over {count} episodes"
        text += f" (seeds {self.seeds[0]} to {self.seeds[1]}), {self.steps / count:.1f} steps"
        return text if self.successes is None else f"{text}, success {Rate(self.successes, count)}"

    def to_mapping(self) -> dict[str, Any]:
        """Return everything in JSON types."""
        return asdict(self) | {"mean": self.mean, "margin_95": self.margin if len(self.returns) > 1 else None}


def play_score(
    policy: str, decider: Decider, task: EnvTask, make: Callable[[], Env], episodes: int, envs: int
) -> Score:
    """Play `episodes` episodes, `envs` side by side, with the seeds from SCORE_SEEDS on."""
    seeds = iter(range(SCORE_SEEDS, SCORE_SEEDS + episodes))
    player = Player(task, make, min(envs, episodes), lambda: next(seeds, None))
    ended, steps = [], 0
    while not player.idle:
        count, finished = player.step(decider)
        steps += count
        ended += finished
    player.close()
    ended.sort(key=lambda played: played.seed)
    told = [played.success for played in ended]
    return Score(
        policy,
        (SCORE_SEEDS, SCORE_SEEDS + episodes - 1),
        tuple(played.total for played in ended),
        steps,
        None if None in told else sum(map(bool, told)),
    )
