"""One episode of an evaluation in GraspEnv."""

from dataclasses import dataclass
from pathlib import Path

from grasp_bringup.sim.benchmark import FREE_MDP_KEYS, Benchmark, load_benchmark
from grasp_bringup.sim.env import GraspEnv
from grasp_bringup.sim.oracle import OraclePolicy
from qtopt_collector.report.score import EpisodeResult
from qtopt_learner.cli_config import EvaluateConfig
from qtopt_learner.evaluate_jobs import Job, Play
from qtopt_learner.shipped import weights_for
from qtopt_policy.config import load_config, to_mapping
from qtopt_policy.errors import ConfigError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.base import Policy
from qtopt_policy.policies.registry import make_policy
from qtopt_policy.share import resolve

# Not in the registry of policies: it needs the simulator.
ORACLE = "oracle"


@dataclass(frozen=True)
class EnvPlayers:
    """Builds what plays episodes in one worker: an environment, and each policy once."""

    config: EvaluateConfig

    def __call__(self) -> Play:
        """Build the environment."""
        config = self.config
        benchmark = load_benchmark(config.benchmark)
        mdp = task_mdp(benchmark, config.mdp)
        env = GraspEnv(
            benchmark.robot,
            mdp,
            benchmark.scene,
            config.camera,
            config.split,
            jitter_cameras=config.jitter,
        )
        policies: dict[str, Policy] = {}

        def play(job: Job) -> EpisodeResult:
            if job.policy not in policies:
                policies[job.policy] = policy_in(env, job.policy, config)
            return play_episode(env, policies[job.policy], job)

        return play


def task_mdp(benchmark: Benchmark, path: Path | None) -> MdpConfig:
    """Return the benchmark's MDP, or the one of `path` if it is the same task.

    Raises:
        ConfigError: a value that belongs to the task differs.
    """
    if path is None:
        return benchmark.mdp
    mdp = load_config(resolve(path), MdpConfig)
    ours, theirs = to_mapping(mdp), to_mapping(benchmark.mdp)
    differ = [key for key in ours if key not in FREE_MDP_KEYS and ours[key] != theirs[key]]
    if differ:
        found = "; ".join(f"{key} {ours[key]}, the benchmark's is {theirs[key]}" for key in differ)
        raise ConfigError(f"{path}: not the benchmark's task: {found}")
    return mdp


def scene_seeds(benchmark: Benchmark, first: int, episodes: int | None) -> range:
    """Return `episodes` of the benchmark's seeds (all that are left if None) from number `first` on.

    Raises:
        ConfigError: there are not that many.
    """
    seeds = benchmark.seeds[first:] if episodes is None else benchmark.seeds[first : first + episodes]
    if len(seeds) < (episodes or 1):
        count = len(benchmark.seeds)
        raise ConfigError(f"first {first}, episodes {episodes}: the benchmark has {count} scenes per split")
    return seeds


def policy_in(env: GraspEnv, name: str, config: EvaluateConfig) -> Policy:
    """Build the policy that an evaluation names, for one environment; errors as `make_policy`."""
    if name == ORACLE:
        return OraclePolicy(env.world, env.mdp)
    return make_policy(
        name,
        env.mdp,
        env.robot,
        checkpoint=weights_for(name, config.checkpoint, config.camera),
        epsilon=config.epsilon,
        mount=env.robot.cameras[config.camera].mount,
        allow_untrained=config.allow_untrained,
        search=config.search,
    )


def play_episode(env: GraspEnv, policy: Policy, job: Job) -> EpisodeResult:
    """Play scene number `job.seed` to its end; the policy's randomness comes from the same seed."""
    env.reset(seed=job.seed)
    policy.reset(job.seed)
    steps = 0
    while True:
        action = policy.decide(env.observation).action
        _, _, ended, _, info = env.step(action.as_array())
        steps += 1
        if ended:
            break
    return EpisodeResult(
        policy=job.policy,
        seed=job.seed,
        success=info["success"],
        truth=info["truth"],
        steps=steps,
        end_reason=info["end_reason"],
    )
