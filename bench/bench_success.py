"""Agreement of the success detector with the simulator's ground truth, as confusion tables.

Episodes come from policies that make both verdicts frequent: the oracle, the oracle with aim noise, blind
descents with a close, and random actions. After each episode the fingers open and close again where the arm
stopped, and the images before and after go to the drop test, the second opinion.

    python bench/bench_success.py --episodes 600
"""

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from grasp_bringup.sim.env import GraspEnv
from grasp_bringup.sim.oracle import OraclePolicy
from qtopt_collector.success import compare_drop
from qtopt_policy.grasp_action import CLOSE, MOVE, TERMINATE, GraspAction
from qtopt_policy.statistics import wilson_interval

GOAL = 0.99
KINDS = ("oracle", "noisy oracle", "blind", "random")
AIM_NOISE = 0.008  # [m]
FIRST_SEED = 700_000


@dataclass(frozen=True)
class Sample:
    """One judged episode: what kind of policy ran, what was judged, what was true, what the images say."""

    kind: str
    seed: int
    judged: bool
    truth: bool
    drop: dict[str, bool]
    closed: bool
    reason: str


def decide(
    env: GraspEnv, oracle: OraclePolicy, kind: str, step: int, rng: np.random.Generator
) -> GraspAction:
    """Pick the action of one step."""
    bound = env.mdp.max_translation
    if kind == "random":
        choice = int(rng.choice([MOVE, CLOSE, TERMINATE], p=[0.8, 0.1, 0.1]))
        return GraspAction(rng.uniform(-bound, bound, 3), rng.uniform(-0.5, 0.5), choice)
    if kind == "blind":
        return _blind(env, step, rng)
    action = oracle.decide(env.observation).action
    goes_down = action.translation[2] > 0.01  # along the tool's z; the way there stays exact
    if kind == "oracle" or not goes_down:
        return action
    noise = rng.normal(0.0, AIM_NOISE, 3) * (1.0, 1.0, 0.3)
    return GraspAction(np.clip(action.translation + noise, -bound, bound), action.yaw, action.choice)


def _blind(env: GraspEnv, step: int, rng: np.random.Generator) -> GraspAction:
    """Go sideways at random, straight down to the floor, close, raise, terminate."""
    bound, height = env.mdp.max_translation, env.observation.height_to_bottom
    if env.observation.gripper_closed:
        lifted = height > 0.08
        return GraspAction(np.array([0.0, 0.0, -bound]), 0.0, TERMINATE if lifted else MOVE)
    if step < 3:
        return GraspAction(np.array([*rng.uniform(-bound, bound, 2), 0.0]), rng.uniform(-0.5, 0.5), MOVE)
    low = height - env.robot.limits.min_height < 0.02
    return GraspAction(np.array([0.0, 0.0, bound]), 0.0, CLOSE if low else MOVE)


def run_episode(env: GraspEnv, kind: str, seed: int, cameras: tuple[str, ...]) -> Sample:
    """Run one episode to its end and judge it in both ways."""
    rng = np.random.default_rng(seed)
    env.reset(seed=seed, options={"split": ("train", "test")[seed % 2]})
    oracle = OraclePolicy(env.world, env.mdp)
    done, step = False, 0
    info: dict[str, Any] = {}
    while not done:
        action = decide(env, oracle, kind, step, rng)
        _, _, done, _, info = env.step(action.as_array())
        step += 1
    closed = env.observation.gripper_closed
    return Sample(kind, seed, info["success"], info["truth"], _drop(env, cameras), closed, info["reason"])


def _drop(env: GraspEnv, cameras: tuple[str, ...]) -> dict[str, bool]:
    """Open and close the fingers and compare the images before and after."""
    world, gripper = env.world, env.robot.gripper
    before = {camera: world.render(camera) for camera in cameras}
    if env.observation.gripper_closed:
        world.command_gripper(gripper.open_position)
        world.advance(1.0)
        world.command_gripper(gripper.closed_position)
        world.advance(0.6)
    return {camera: compare_drop(before[camera], world.render(camera)).changed for camera in cameras}


def print_table(title: str, pairs: list[tuple[bool, bool]]) -> float:
    """Print the confusion table of (opinion, truth) pairs and return their agreement."""
    counts = Counter(pairs)
    agree = counts[True, True] + counts[False, False]
    low, high = wilson_interval(agree, len(pairs))
    print(f"\n{title}: {agree}/{len(pairs)} agree = {agree / len(pairs):.4f} [{low:.4f}, {high:.4f}]")
    print(f"{'':>14}{'truth: held':>14}{'truth: not':>14}")
    for opinion in (True, False):
        name = "says held" if opinion else "says not"
        print(f"{name:>14}{counts[opinion, True]:>14}{counts[opinion, False]:>14}")
    return agree / len(pairs)


def main() -> int:
    """Run the episodes and print the tables; 1 if the detector misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--cameras", nargs="+", default=["wrist", "shoulder"])
    arguments = parser.parse_args()
    env = GraspEnv(rendered=False)
    started = time.monotonic()
    samples = []
    for number in range(arguments.episodes):
        kind = KINDS[number % len(KINDS)]
        samples.append(run_episode(env, kind, arguments.seed + number, tuple(arguments.cameras)))
    agreement = print_table("gripper state", [(s.judged, s.truth) for s in samples])
    for camera in arguments.cameras:
        print_table(f"drop test, {camera} camera", [(s.drop[camera], s.truth) for s in samples])
    print()
    for kind in KINDS:
        own = [s for s in samples if s.kind == kind]
        print(f"{kind:>14}: {sum(s.truth for s in own)} of {len(own)} held")
    for s in samples:
        if s.judged != s.truth:
            print(f"disagreement: {s.kind}, seed {s.seed}: judged {s.judged} ({s.reason}), true {s.truth}")
    print("reasons:", dict(Counter(s.reason for s in samples)))
    print(f"{len(samples)} episodes in {time.monotonic() - started:.0f} s")
    return 0 if agreement >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
