"""Which policy runs an episode: one by name, or the scripted one until the learned one is better.

Under the plan `auto` every fifth episode runs the learned policy. It takes over when the lower end of its
95 % Wilson interval over its last 100 judged episodes exceeds the scripted policy's rate over its own, and
hands back if it falls below again. (QT-Opt switched by hand at about 50 %; 1806.10293, section 5.)
Under the plan `turns` the two take turns, the learned policy first, to be seen side by side. Where only some
episodes explore, the others alone count for the rates.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from qtopt_policy.errors import ConfigError
from qtopt_policy.policies.exploration import Exploration, base_policy
from qtopt_policy.policies.registry import LEARNED as LEARNED
from qtopt_policy.statistics import wilson_interval

AUTO, TURNS = "auto", "turns"
SCRIPTED = "scripted"
WEIGHTED = (LEARNED, AUTO, TURNS)  # what needs weights
WINDOW = 100
EVERY = 5


@dataclass(frozen=True)
class Assignment:
    """Policy of one episode and how it explores; see Exploration."""

    policy: str
    epsilon: float = 0.0
    noise: float = 0.0

    @property
    def explores(self) -> bool:
        """Whether the policy is disturbed."""
        return self.epsilon > 0.0 or self.noise > 0.0


class PolicyPlan:
    """Assigns policies to episodes and learns from their outcomes.

    Args:
        plan: `auto`, `turns`, or the name of the policy that runs every episode.
        exploration: how and how often it explores; under both plans the learned policy alone does.
        checkpoint: whether there are weights to run.

    Raises:
        ConfigError: a plan with the learned policy without weights.
    """

    def __init__(self, plan: str, exploration: Exploration, checkpoint: bool) -> None:
        if plan in WEIGHTED and not checkpoint:
            raise ConfigError(f"policy '{plan}' needs a checkpoint: set the parameter `checkpoint`")
        self._plan = plan
        self._exploration = exploration
        self._results = {name: deque[bool](maxlen=WINDOW) for name in (SCRIPTED, LEARNED)}
        self._assigned = 0
        self._explorer = LEARNED if plan in (AUTO, TURNS) else plan
        self._may_explore = 0  # episodes of the explorer, explored or not

    def judged(self, assignment: Assignment, success: bool) -> None:
        """Note the outcome of a judged episode."""
        self._note(assignment.policy, success, assignment.explores)

    def recall(self, results: Iterable[tuple[str, bool]]) -> None:
        """Note outcomes from earlier runs by the policy's recorded name, oldest first."""
        for name, success in results:
            policy = base_policy(name)
            self._may_explore += policy == self._explorer
            self._note(policy, success, name != policy)

    def _note(self, policy: str, success: bool, explored: bool) -> None:
        counts = not explored or self._exploration.explore == 1.0
        if counts and policy in self._results:
            self._results[policy].append(success)

    @property
    def learned_leads(self) -> bool:
        """Whether the learned policy has taken over."""
        scripted, learned = self._results[SCRIPTED], self._results[LEARNED]
        if not scripted:
            return False
        low, _ = wilson_interval(sum(learned), len(learned))
        return low > sum(scripted) / len(scripted)

    def next(self) -> Assignment:
        """Return who runs the next episode."""
        self._assigned += 1
        if self._plan not in (AUTO, TURNS):
            return self._assign(self._plan)
        if self._plan == TURNS:
            learned = self._assigned % 2 == 1
        else:
            learned = self.learned_leads or self._assigned % EVERY == 0
        return self._assign(LEARNED if learned else SCRIPTED)

    def _assign(self, policy: str) -> Assignment:
        if policy != self._explorer:
            return Assignment(policy)
        wanted = self._exploration
        explores = wanted.explores(self._may_explore)
        self._may_explore += 1
        return Assignment(policy, wanted.epsilon, wanted.noise) if explores else Assignment(policy)
