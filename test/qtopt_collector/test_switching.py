import pytest

from qtopt_collector.switching import AUTO, EVERY, LEARNED, SCRIPTED, TURNS, WINDOW, Assignment, PolicyPlan
from qtopt_policy.errors import ConfigError
from qtopt_policy.policies.exploration import Exploration


def names(plan: PolicyPlan, count: int) -> list[str]:
    return [plan.next().policy for _ in range(count)]


def test_a_named_policy_runs_every_episode() -> None:
    plan = PolicyPlan("random", Exploration(0.3), checkpoint=False)
    assert {plan.next() for _ in range(20)} == {Assignment("random", 0.3)}


def test_every_fifth_episode_runs_the_learned_policy() -> None:
    plan = PolicyPlan(AUTO, Exploration(0.1), checkpoint=True)
    assert names(plan, 10) == ([SCRIPTED] * (EVERY - 1) + [LEARNED]) * 2


def test_they_take_turns() -> None:
    plan = PolicyPlan(TURNS, Exploration(0.1), checkpoint=True)
    plan.recall([(LEARNED, True)] * 50 + [(SCRIPTED, False)] * 50)
    assert [plan.next() for _ in range(4)] == [Assignment(LEARNED, 0.1), Assignment(SCRIPTED, 0.0)] * 2


def test_epsilon_is_for_the_learned_policy() -> None:
    plan = PolicyPlan(AUTO, Exploration(0.1), checkpoint=True)
    assert {plan.next() for _ in range(5)} == {Assignment(SCRIPTED, 0.0), Assignment(LEARNED, 0.1)}


def test_the_learned_policy_takes_over_when_its_lower_bound_is_higher() -> None:
    plan = PolicyPlan(AUTO, Exploration(), checkpoint=True)
    plan.recall([(SCRIPTED, number % 5 == 0) for number in range(100)])  # 20 %
    plan.recall([(LEARNED, number % 2 == 0) for number in range(20)])  # 10 of 20: [0.299, 0.701]
    assert plan.learned_leads
    assert names(plan, 3) == [LEARNED] * 3


def test_few_successes_are_not_enough() -> None:
    plan = PolicyPlan(AUTO, Exploration(), checkpoint=True)
    plan.recall([(SCRIPTED, number % 5 == 0) for number in range(100)])
    plan.recall([(LEARNED, number % 2 == 0) for number in range(8)])  # 4 of 8: from 0.215, so just above
    assert plan.learned_leads
    plan.judged(Assignment(LEARNED), False)  # 4 of 9: from 0.189
    assert not plan.learned_leads


def test_without_scripted_episodes_nothing_is_known() -> None:
    plan = PolicyPlan(AUTO, Exploration(), checkpoint=True)
    plan.recall([(LEARNED, True)] * 50)
    assert not plan.learned_leads


def test_it_hands_back_when_it_gets_worse() -> None:
    plan = PolicyPlan(AUTO, Exploration(), checkpoint=True)
    plan.recall([(SCRIPTED, number % 5 == 0) for number in range(100)])
    plan.recall([(LEARNED, True)] * 50)
    assert plan.learned_leads
    plan.recall([(LEARNED, False)] * WINDOW)
    assert not plan.learned_leads


def test_only_the_last_hundred_count() -> None:
    plan = PolicyPlan(AUTO, Exploration(), checkpoint=True)
    plan.recall([(SCRIPTED, True)] * 500)
    plan.recall([(SCRIPTED, False)] * WINDOW)
    plan.recall([(LEARNED, True)] * 3)
    assert plan.learned_leads


@pytest.mark.parametrize("plan", [AUTO, LEARNED])
def test_the_learned_policy_needs_weights(plan: str) -> None:
    with pytest.raises(ConfigError, match=f"policy '{plan}' needs a checkpoint"):
        PolicyPlan(plan, Exploration(), checkpoint=False)


def test_a_share_of_the_learned_policy_s_episodes_explores() -> None:
    plan = PolicyPlan(TURNS, Exploration(0.1, 0.2, 0.5), checkpoint=True)
    greedy, scripted, exploring = Assignment(LEARNED), Assignment(SCRIPTED), Assignment(LEARNED, 0.1, 0.2)
    assert [plan.next() for _ in range(8)] == [greedy, scripted, exploring, scripted] * 2


def test_exploring_goes_on_where_an_earlier_run_was() -> None:
    plan = PolicyPlan(LEARNED, Exploration(0.1, explore=0.25), checkpoint=True)
    plan.recall([(LEARNED, True), (LEARNED, False), (LEARNED, True), (SCRIPTED, True)])
    assert [plan.next().explores for _ in range(5)] == [True, False, False, False, True]


@pytest.mark.parametrize(("explore", "leads"), [(0.5, False), (1.0, True)])
def test_exploring_episodes_count_only_where_all_explore(explore: float, leads: bool) -> None:
    plan = PolicyPlan(AUTO, Exploration(0.1, 0.1, explore), checkpoint=True)
    plan.recall([(SCRIPTED, False)] * 10 + [(f"epsilon(noisy({LEARNED}, 0.1), 0.1)", True)] * 10)
    plan.judged(Assignment(LEARNED, 0.1, 0.1), True)
    assert plan.learned_leads is leads


def test_episodes_without_exploring_always_count() -> None:
    plan = PolicyPlan(AUTO, Exploration(0.1, 0.1, 0.5), checkpoint=True)
    plan.recall([(SCRIPTED, False)] * 10 + [(LEARNED, True)] * 3)
    plan.judged(Assignment(LEARNED), True)
    assert plan.learned_leads
