"""Episodes of an evaluation over the ROS graph: one run of the nodes per policy, read back from bags."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from grasp_bringup.sim.benchmark import Benchmark, BenchmarkFile
from grasp_bringup.system import SystemOptions
from qtopt_collector.report.score import EpisodeResult
from qtopt_collector.switching import WEIGHTED
from qtopt_learner.bag_watch import ClosedBag
from qtopt_learner.cli_config import EvaluateConfig
from qtopt_learner.evaluate_env import ORACLE, task_mdp
from qtopt_learner.graph_run import run_graph
from qtopt_learner.shipped import weights_for
from qtopt_policy.config import load_config
from qtopt_policy.errors import ConfigError
from qtopt_policy.search_config import DRIVING
from qtopt_policy.share import resolve


def play_graph(
    config: EvaluateConfig,
    benchmark: Benchmark,
    seeds: range,
    folder: Path,
    take: Callable[[EpisodeResult], None],
) -> None:
    """Run every policy over all `seeds`.

    Args:
        config: what to evaluate.
        benchmark: its definition.
        seeds: of the scenes, consecutive.
        folder: for bags and logs, one folder each per policy.
        take: called with every result.

    Raises:
        ConfigError: a policy cannot run over the graph.
        NodeDiedError: a node died.
    """
    for name in config.policies:
        options = graph_options(config, benchmark, name, seeds, folder / name / "bags")
        run_graph(options, folder / name / "logs", partial(_hand_over, take, name))


def _hand_over(take: Callable[[EpisodeResult], None], policy: str, bag: ClosedBag) -> None:
    take(bag.result(policy))


def graph_options(
    config: EvaluateConfig, benchmark: Benchmark, policy: str, seeds: range, bags: Path
) -> SystemOptions:
    """Return what is to run for one policy.

    Raises:
        ConfigError: the policy needs ground truth, which the graph does not give to policies, or another
            search is asked for than the graph's.
    """
    if policy == ORACLE:
        raise ConfigError(f"policy {ORACLE}: it needs ground truth, so it runs through env only")
    if config.search != DRIVING:
        raise ConfigError(f"search {config.search}: through graph it is policy_node's own, {DRIVING}")
    task_mdp(benchmark, config.mdp)
    keys = load_config(resolve(config.benchmark), BenchmarkFile)
    weights = weights_for(policy, config.checkpoint, config.camera) if policy in WEIGHTED else None
    return SystemOptions(
        system="sim",
        robot=keys.robot,
        mdp=config.mdp or keys.mdp,
        camera=config.camera,
        policy=policy,
        checkpoint=weights,
        allow_untrained=config.allow_untrained,
        epsilon=config.epsilon,
        bags=bags,
        episodes=len(seeds),
        split=config.split,
        seed=seeds.start,
        rtf=config.real_time_factor,
        benchmark=benchmark.digest,
    )
