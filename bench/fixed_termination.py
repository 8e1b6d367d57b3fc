"""What it is worth that the policy learns when to end an episode (QT-Opt, 1806.10293, table 4).

The same weights on the same test scenes, once as they are, once with `terminate` taken out of the search and
a fixed rule in its place: end as soon as the fingers are closed and apart, as the success detector wants it.

    python bench/fixed_termination.py
"""

import argparse
from pathlib import Path

import numpy as np

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.env import GraspEnv
from qtopt_learner.cli_config import EvaluateConfig
from qtopt_learner.evaluate_env import play_episode, policy_in, scene_seeds
from qtopt_learner.evaluate_jobs import Job
from qtopt_policy.grasp_action import TERMINATE, GraspAction, from_search
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision, Policy
from qtopt_policy.specs import ActionSpec
from qtopt_policy.statistics import mcnemar, paired_interval, wilson_interval


class FixedRule:
    """Ends an episode by rule, and takes the best action but `terminate` until then.

    Args:
        policy: whose candidates are taken.
        spec: of the actions.
        held_aperture: closed fingers at least so far apart hold something [m].
    """

    def __init__(self, policy: Policy, spec: ActionSpec, held_aperture: float) -> None:
        self._policy, self._spec, self._held = policy, spec, held_aperture

    @property
    def name(self) -> str:
        """Name of the policy and the rule."""
        return f"{self._policy.name}, fixed rule"

    def reset(self, seed: int) -> None:
        """Start a new episode."""
        self._policy.reset(seed)

    def decide(self, observation: Observation) -> Decision:
        """Pick an action."""
        decision = self._policy.decide(observation)
        if observation.gripper_closed and observation.aperture >= self._held:
            return Decision(GraspAction(np.zeros(3), 0.0, TERMINATE))
        found = decision.candidates
        assert found is not None
        first = self._spec.size - len(self._spec.choices)
        q = np.where(found.actions[:, first + TERMINATE] > 0.5, -1.0, found.q)
        return Decision(from_search(found.actions[int(q.argmax())], self._spec), float(q.max()), found)


def main() -> None:
    """Play all scenes both ways and print both rates and their paired difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="weights; default: those that ship")
    parser.add_argument("--episodes", type=int, help="default: all of the benchmark")
    arguments = parser.parse_args()
    config = EvaluateConfig(policies=("cem",), checkpoint=arguments.checkpoint)
    benchmark = load_benchmark(config.benchmark)
    env = GraspEnv(benchmark.robot, benchmark.mdp, benchmark.scene, config.camera, config.split)
    learned = policy_in(env, "cem", config)
    rule = FixedRule(learned, env.mdp.action_spec(), env.robot.gripper.held_aperture)
    seeds = scene_seeds(benchmark, 0, arguments.episodes)
    wins: list[list[bool]] = []
    for policy in (learned, rule):
        results = [play_episode(env, policy, Job(policy.name, seed)) for seed in seeds]
        held = [bool(result.truth) for result in results]
        low, high = wilson_interval(sum(held), len(held))
        steps = np.mean([result.steps for result in results])
        print(f"{policy.name:<16} {sum(held)}/{len(held)} [{low:.3f}, {high:.3f}], {steps:.1f} steps")
        wins.append(held)
    only = [sum(a and not b for a, b in zip(*pair, strict=True)) for pair in (wins, wins[::-1])]
    low, high = paired_interval(only[0], only[1], len(wins[0]))
    print(f"learned - rule: [{low:+.3f}, {high:+.3f}], p {mcnemar(only[0], only[1]):.3g}")


if __name__ == "__main__":
    main()
