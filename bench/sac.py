"""Soft actor-critic (stable-baselines3) on GraspEnv for as long as a QT-Opt run took, then the test scenes.

SAC gets what GraspEnv gives: image, gripper, height and aperture; its action is the move and one number for
each of move, close, open and terminate, of which the highest counts. It starts from nothing: it cannot use
episodes of others by itself.

    pip install stable-baselines3
    python bench/sac.py --minutes 25
"""

import argparse
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import SubprocVecEnv

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.env import GraspEnv
from qtopt_learner.evaluate_env import scene_seeds
from qtopt_policy.grasp_action import CHOICES, GraspAction
from qtopt_policy.statistics import wilson_interval

SEEN = ("image", "gripper_closed", "height_to_bottom", "aperture")


class OneOfFour(gymnasium.Wrapper[Any, Any, Any, Any]):
    """GraspEnv with actions in [-1, 1]: dx dy dz, yaw, and a number for each choice."""

    def __init__(self, env: GraspEnv) -> None:
        super().__init__(env)
        self._scale = np.array([*3 * [env.mdp.max_translation], env.mdp.max_yaw])
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (4 + len(CHOICES),), np.float32)
        spaces = env.observation_space
        assert isinstance(spaces, gymnasium.spaces.Dict)
        self.observation_space = gymnasium.spaces.Dict({name: spaces[name] for name in SEEN})

    def reset(self, **options: Any) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Reset; see GraspEnv."""
        observation, info = self.env.reset(**options)
        return {name: observation[name] for name in SEEN}, info

    def step(self, action: NDArray[np.float32]) -> tuple[dict[str, NDArray[Any]], float, bool, bool, Any]:
        """Take a step; see GraspEnv."""
        move = action[:4].astype(np.float64) * self._scale
        grasp = GraspAction(move[:3], float(move[3]), int(action[4:].argmax()))
        observation, reward, ended, cut, info = self.env.step(grasp.as_array())
        return {name: observation[name] for name in SEEN}, float(reward), ended, cut, info


class Clock:
    """Ends training after so many seconds, and tells how many of its episodes held something."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._held: list[bool] = []

    def __call__(self, variables: dict[str, Any], _: dict[str, Any]) -> bool:
        """Look at the local variables of SAC after a step; return whether to go on."""
        for info in variables["infos"]:
            if "truth" in info:
                self._held.append(bool(info["truth"]))
                if len(self._held) % 100 == 0:
                    steps, rate = variables["self"].num_timesteps, np.mean(self._held[-100:])
                    print(f"{steps} steps, {len(self._held)} episodes, last 100: {rate:.2f}", flush=True)
        return time.monotonic() < self._end


def make() -> OneOfFour:
    """Build the environment on train scenes of the benchmark's task."""
    benchmark = load_benchmark(Path("config/benchmark_v1.yaml"))
    return OneOfFour(GraspEnv(benchmark.robot, benchmark.mdp, benchmark.scene))


def evaluate(model: SAC, episodes: int | None) -> None:
    """Play the test scenes without noise and print the rate."""
    env = make()
    seeds = scene_seeds(load_benchmark(Path("config/benchmark_v1.yaml")), 0, episodes)
    held = 0
    for seed in seeds:
        observation, info = env.reset(seed=seed, options={"split": "test"})
        ended = False
        while not ended:
            action, _ = model.predict(observation, deterministic=True)
            observation, _, ended, _, info = env.step(action)
        held += bool(info["truth"])
    low, high = wilson_interval(held, len(seeds))
    print(f"test scenes: {held}/{len(seeds)} [{low:.3f}, {high:.3f}]")


def main() -> None:
    """Train for a time and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--episodes", type=int, help="test scenes; default: all of the benchmark")
    parser.add_argument("--environments", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    environments = SubprocVecEnv([make] * arguments.environments)
    model = SAC(
        "MultiInputPolicy",
        environments,
        buffer_size=50_000,
        learning_starts=1_000,
        gamma=load_benchmark(Path("config/benchmark_v1.yaml")).mdp.discount,
        gradient_steps=-1,
        seed=0,
    )
    model.learn(total_timesteps=10**9, callback=Clock(60.0 * arguments.minutes))
    environments.close()
    evaluate(model, arguments.episodes)


if __name__ == "__main__":
    main()
