"""`qtopt collect`: episodes over the ROS graph into a folder of bags."""

from datetime import datetime
from pathlib import Path

from rich.console import Console

from grasp_bringup.system import SystemOptions, next_seed
from qtopt_collector.bags import layout
from qtopt_collector.report.score import scores
from qtopt_learner.bag_watch import ClosedBag
from qtopt_learner.cli_config import CollectConfig
from qtopt_learner.evaluate_results import end_lines, score_table
from qtopt_learner.graph_run import GraphProgress, run_graph
from qtopt_learner.shipped import weights_for


def run(config: CollectConfig) -> int:
    """Collect and print what came; return 0, or 130 if Ctrl-C cut it short.

    Raises:
        BagError: the folder for the bags cannot be used.
        NodeDiedError: a node died; what was collected before is whole.
    """
    console = Console()
    layout.prepare_folder(config.bags)
    options = system_options(config)
    logs = log_folder(config.namespace)
    first = options.first_seed
    console.print(f"scenes    {first} to {first + config.episodes - 1} of split {config.split}")
    console.print(f"bags      {config.bags}\nlogs      {logs}", soft_wrap=True)
    bags: list[ClosedBag] = []
    try:
        with GraphProgress(console, config.episodes, config.policy) as progress:
            run_graph(options, logs, progress.showing(bags.append))
    except KeyboardInterrupt:
        return 130
    finally:
        rows = scores([bag.result(bag.info.policy) for bag in bags])
        console.print(score_table(f"{len(bags)} episodes", rows), *end_lines(rows), sep="\n")
    return 0


def now() -> str:
    """Return the local date and time as part of a file's name."""
    return f"{datetime.now():%Y%m%d-%H%M%S}"


def log_folder(namespace: str) -> Path:
    """Return the folder for the nodes' logs; graphs under several namespaces may start in the same second."""
    parts = ("collect", now(), *filter(None, namespace.split("/")))
    return Path("out") / "-".join(parts) / "logs"


def system_options(config: CollectConfig) -> SystemOptions:
    """Return what is to run for a collection; errors as SystemOptions."""
    return SystemOptions(
        system="sim",
        robot=config.robot,
        mdp=config.mdp,
        camera=config.camera,
        policy=config.policy,
        checkpoint=weights_for(config.policy, config.checkpoint, config.camera),
        allow_untrained=config.allow_untrained,
        hot_reload=config.hot_reload,
        epsilon=config.epsilon,
        noise=config.noise,
        explore=config.explore,
        bags=config.bags,
        episodes=config.episodes,
        split=config.split,
        seed=next_seed(config.bags) if config.seed is None else config.seed,
        rtf=config.real_time_factor,
        namespace=config.namespace,
        params=config.params,
    )
