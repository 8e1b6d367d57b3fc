"""How well a policy grasps: results of single episodes, counted, with 95 % Wilson intervals."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qtopt_collector.episode import Episode
from qtopt_policy.mdp import ABORTED, EndReason
from qtopt_policy.statistics import wilson_interval


@dataclass(frozen=True)
class EpisodeResult:
    """The outcome of one episode.

    Attributes:
        policy: name that was asked for.
        seed: of scene and policy.
        success: as the success detector judged; None when aborted.
        truth: ground truth of a simulator, None where there is none.
        steps: number of steps.
        end_reason: why it ended.
    """

    policy: str
    seed: int
    success: bool | None
    truth: bool | None
    steps: int
    end_reason: EndReason


@dataclass(frozen=True)
class Rate:
    """Successes among trials and their 95 % Wilson interval."""

    successes: int
    trials: int

    @property
    def value(self) -> float:
        """The observed share; NaN without trials."""
        return self.successes / self.trials if self.trials else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound."""
        return wilson_interval(self.successes, self.trials)

    def __str__(self) -> str:
        if not self.trials:
            return "-"
        low, high = self.interval
        return f"{100 * self.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


@dataclass(frozen=True)
class Score:
    """The results of one policy.

    Attributes:
        policy: name.
        episodes: all, aborted ones included.
        judged: successes as judged, among the episodes that were not aborted.
        truth: successes by ground truth, among those where it is known.
        disagreements: episodes in which the two differ.
        mean_steps: of the episodes that were not aborted; NaN without any.
        end_reasons: how often each occurred.
    """

    policy: str
    episodes: int
    judged: Rate
    truth: Rate
    disagreements: int
    mean_steps: float
    end_reasons: dict[str, int]

    @property
    def aborted(self) -> int:
        """Number of aborted episodes."""
        return sum(self.end_reasons.get(reason, 0) for reason in ABORTED)


def result_of(episode: Episode) -> EpisodeResult:
    """Return the outcome of an episode that was read from a bag."""
    info = episode.info
    return EpisodeResult(
        info.policy, info.seed, info.success, info.truth, len(episode.steps), info.end_reason
    )


def score(policy: str, results: Iterable[EpisodeResult]) -> Score:
    """Count `results`, which all belong to `policy`."""
    rows = list(results)
    ended = [row for row in rows if row.end_reason not in ABORTED]
    known = [row for row in ended if row.truth is not None]
    return Score(
        policy=policy,
        episodes=len(rows),
        judged=Rate(sum(row.success is True for row in ended), len(ended)),
        truth=Rate(sum(row.truth is True for row in known), len(known)),
        disagreements=sum(row.success != row.truth for row in known),
        mean_steps=sum(row.steps for row in ended) / len(ended) if ended else float("nan"),
        end_reasons=dict(Counter(row.end_reason for row in rows).most_common()),
    )


def scores(results: Sequence[EpisodeResult]) -> tuple[Score, ...]:
    """Return one score per policy, in the order in which the policies first appear."""
    names = dict.fromkeys(row.policy for row in results)
    return tuple(score(name, (row for row in results if row.policy == name)) for name in names)
