"""Episodes/s with the policy that ships in the loop: one search over N environments, beside N processes.

- batched: N environments in processes of their own (grasp_bringup.sim.vector); each decision is one search
  for all of them, 3 x 128 candidates each, in this process. It waits for the slowest environment.
- processes: N processes, each with its environment and its own searches, as actors have it.

All play the same train scenes without exploring. They take turns within a round; all that start up are ready,
and have played an episode, before the clock starts. Medians over rounds; the ratios are to the first line's
rate in the same round. `held` counts successes: both decide alike up to rounding, which a contact enlarges.

    python bench/bench_collect.py --slots 1 2 4 8
    python bench/bench_collect.py --slots 2 --threads 2   # of the batched search; processes have one each
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.sim.env import GraspEnv
from grasp_bringup.sim.vector import Batch, Outcome, SearchedBatch, make_vector_env, play
from qtopt_learner.evaluate_env import play_episode
from qtopt_learner.evaluate_jobs import Job
from qtopt_learner.shipped import shipped_policy
from qtopt_learner.spawning import one_thread
from qtopt_policy.checkpoint import load_checkpoint
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.cem_policy import CemPolicy
from qtopt_policy.robot import GripperConfig

CAMERA = "wrist"
FIRST_SEED = 10_000  # behind the scenes of evaluations
WARM_SEED = 9_000
PATIENCE = 600.0  # [s] for all processes to be ready, and for one to be done; who dies ends the bench


@dataclass(frozen=True)
class Measured:
    """What one contestant did in one round.

    Attributes:
        seconds: that it took.
        searching: seconds of them in the batched search; 0 where each process searches.
        outcomes: of the episodes.
    """

    seconds: float
    searching: float
    outcomes: list[Outcome]

    @property
    def rate(self) -> float:
        """Episodes per second."""
        return len(self.outcomes) / self.seconds

    @property
    def decisions(self) -> float:
        """Decisions per second."""
        return sum(outcome.steps for outcome in self.outcomes) / self.seconds


class Timed:
    """A BatchPolicy that notes how long it took in all [s]."""

    def __init__(self, policy: SearchedBatch) -> None:
        self._policy, self.seconds = policy, 0.0

    def __call__(
        self, observations: Batch, seeds: NDArray[np.int64], steps: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return actions."""
        start = time.perf_counter()
        actions = self._policy(observations, seeds, steps)
        self.seconds += time.perf_counter() - start
        return actions


def load_policy(mdp: MdpConfig, gripper: GripperConfig, threads: int) -> CemPolicy:
    """Return the policy that ships, with the search that drives."""
    path = shipped_policy(CAMERA)
    if path is None:
        raise SystemExit(f"no policy ships for the camera {CAMERA}")
    return CemPolicy(load_checkpoint(path), mdp, gripper, allow_outside_envelope=True, threads=threads)


def batched(slots: int, seeds: range, threads: int) -> Measured:
    """Play all seeds in so many environments with one search for all."""
    env = GraspEnv(camera=CAMERA, rendered=False)
    mdp, robot = env.mdp, env.robot
    env.close()
    policy = Timed(SearchedBatch(load_policy(mdp, robot.gripper, threads), robot.cameras[CAMERA].mount))
    with one_thread():
        envs = make_vector_env(slots, camera=CAMERA)
    try:
        list(play(envs, policy, range(WARM_SEED, WARM_SEED + slots)))
        policy.seconds, start = 0.0, time.perf_counter()
        outcomes = list(play(envs, policy, seeds))
        return Measured(time.perf_counter() - start, policy.seconds, outcomes)
    finally:
        envs.close()


def work(
    index: int,
    seeds: range,
    following: "Synchronized[int]",
    ready: Barrier,
    results: "Queue[list[Outcome]]",
) -> None:
    """Play the next seed that nobody has taken until none is left; a process's main function."""
    env = GraspEnv(camera=CAMERA)
    policy = load_policy(env.mdp, env.robot.gripper, 1)
    play_episode(env, policy, Job("cem", WARM_SEED + index))
    ready.wait()
    outcomes = []
    while True:
        with following.get_lock():
            number, following.value = following.value, following.value + 1
        if number >= len(seeds):
            break
        result = play_episode(env, policy, Job("cem", seeds[number]))
        outcomes.append(Outcome(result.seed, bool(result.success), bool(result.truth), result.steps))
    results.put(outcomes)
    env.close()


def processes(count: int, seeds: range) -> Measured:
    """Play all seeds in so many processes, each with searches of its own."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(count + 1, timeout=PATIENCE), context.Queue()
    following = context.Value("i", 0)
    workers = [
        context.Process(target=work, args=(index, seeds, following, ready, results), daemon=True)
        for index in range(count)
    ]
    with one_thread():
        for worker in workers:
            worker.start()
    ready.wait()
    start = time.perf_counter()
    outcomes = [outcome for _ in workers for outcome in results.get(timeout=PATIENCE)]
    seconds = time.perf_counter() - start
    for worker in workers:
        worker.join()
    return Measured(seconds, 0.0, outcomes)


def show(rounds: list[dict[str, Measured]]) -> None:
    """Print one line per contestant."""
    first = next(iter(rounds[0]))
    print(f"{'':20}episodes/s  decisions/s   ratio  searching  held")
    for name in rounds[0]:
        found = [each[name] for each in rounds]
        ratio = statistics.median(each[name].rate / each[first].rate for each in rounds)
        rate = statistics.median(measured.rate for measured in found)
        decisions = statistics.median(measured.decisions for measured in found)
        share = statistics.median(measured.searching / measured.seconds for measured in found)
        searching = f"{share:.0%}" if share else "-"
        held = sum(outcome.success for outcome in found[0].outcomes)
        episodes = f"{held}/{len(found[0].outcomes)}"
        print(f"{name:20}{rate:10.2f}{decisions:13.1f}   x{ratio:5.2f}{searching:>11}  {episodes}")


def main() -> None:
    """Measure all contestants, turn by turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--episodes", type=int, default=48, help="in a round, of each contestant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the batched search")
    arguments = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.episodes)
    contestants: dict[str, Callable[[], Measured]] = {}
    for slots in arguments.slots:
        contestants[f"batched over {slots}"] = partial(batched, slots, seeds, arguments.threads)
    for slots in arguments.slots:
        contestants[f"processes, {slots}"] = partial(processes, slots, seeds)
    rounds = [{name: play() for name, play in contestants.items()} for _ in range(arguments.rounds)]
    print(f"{arguments.episodes} scenes, median of {arguments.rounds} rounds, {arguments.threads} threads")
    show(rounds)


if __name__ == "__main__":
    main()
