"""The ceiling of the benchmark: how often the privileged oracle succeeds, with 95 % Wilson intervals.

Below it, physics and the step budget limit every policy, not learning.

    OMP_NUM_THREADS=1 python bench/bench_oracle.py --splits train test --episodes 500
"""

import argparse
import statistics
from collections import Counter

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.env import GraspEnv
from grasp_bringup.sim.oracle import OraclePolicy
from qtopt_policy.statistics import wilson_interval

GOAL = 0.95


def main() -> int:
    """Play the episodes; return 1 if a split misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    benchmark = load_benchmark()
    parser.add_argument("--splits", nargs="+", default=["train", "test"])
    parser.add_argument("--episodes", type=int, default=len(benchmark.seeds))
    arguments = parser.parse_args()
    env = GraspEnv(benchmark.robot, benchmark.mdp, benchmark.scene, rendered=False)
    policy = OraclePolicy(env.world, env.mdp)
    print(f"benchmark version {benchmark.version}, digest {benchmark.digest}")
    reached = True
    for split in arguments.splits:
        wins, steps, reasons, failures = 0, [], Counter[str](), []
        for seed in benchmark.seeds[: arguments.episodes]:
            env.reset(seed=seed, options={"split": split})
            policy.reset(seed)
            ended, count = False, 0
            while not ended:
                action = policy.decide(env.observation).action
                _, _, ended, _, info = env.step(action.as_array())
                count += 1
            steps.append(count)
            wins += info["truth"]
            if not info["truth"]:
                reasons[info["reason"]] += 1
                failures.append(seed)
        low, high = wilson_interval(wins, arguments.episodes)
        reached &= wins >= GOAL * arguments.episodes
        print(
            f"{split:<6} {wins}/{arguments.episodes} = {wins / arguments.episodes:.3f} "
            f"[{low:.3f}, {high:.3f}], median steps {statistics.median(steps):.0f}, "
            f"failures {dict(reasons)} at seeds {failures}",
            flush=True,
        )
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
