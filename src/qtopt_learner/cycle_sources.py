"""Where the episodes of a cycle come from: GraspEnv, the ROS graph in simulation, or a real arm's graph.

All three do the same two things, by the functions of the commands: collect episodes of one policy into a
folder that training reads, and measure a policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from rich.console import Console

from grasp_bringup.sim.benchmark import load_benchmark, require_robot
from qtopt_collector.episode import EpisodeInfo
from qtopt_collector.report.score import EpisodeResult
from qtopt_learner import collect, evaluate
from qtopt_learner.actor import ActorConfig
from qtopt_learner.bag_watch import closed_bags, read_bag
from qtopt_learner.cli_config import CollectConfig, EvaluateConfig
from qtopt_learner.collect_sim import CollectSimConfig, collect_sim
from qtopt_learner.cycle_config import CycleConfig
from qtopt_learner.evaluate_results import write_json
from qtopt_learner.learner import ONLINE_SEEDS
from qtopt_learner.store import SUFFIX, read_infos
from qtopt_policy.errors import QtoptError
from qtopt_policy.policies.exploration import Exploration, base_policy
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

PolicyName = Literal["scripted", "cem"]
# Scenes of a round begin so far behind those of the round before.
ROUND_SEEDS = 10_000_000


class WaitingError(QtoptError):
    """Episodes are missing that only people can collect; the message says how."""


@dataclass(frozen=True)
class Wanted:
    """Episodes that a stage wants.

    Attributes:
        policy: that plays them.
        weights: of the learned policy.
        folder: for the episodes.
        number: of the round.
        episodes: how many.
        before: how many of earlier rounds the folder holds.
    """

    policy: PolicyName
    weights: Path | None
    folder: Path
    number: int
    episodes: int
    before: int

    @property
    def first_seed(self) -> int:
        """Of the round's scenes, beyond those that are kept for evaluation."""
        return ROUND_SEEDS * self.number + (ONLINE_SEEDS if self.policy == "cem" else 0)


class Source(Protocol):
    """Collects and measures."""

    def collect(self, wanted: Wanted) -> list[EpisodeInfo]:
        """Collect what is missing; return what is known of the round's episodes."""
        ...

    def measure(self, policy: PolicyName, weights: Path | None, out: Path) -> Sequence[EpisodeResult]:
        """Return the results of one policy; `out` is the JSON file of an evaluation."""
        ...


def make_source(config: CycleConfig, console: Console) -> Source:
    """Return the source that a cycle names."""
    if config.through == "robot":
        return RobotSource(config)
    require_robot(load_benchmark(config.benchmark), load_robot(resolve(config.robot)), config.robot)
    return GraphSource(config, console) if config.through == "graph" else EnvSource(config, console)


class SimSource:
    """What the sources in simulation share: `qtopt evaluate`.

    Args:
        config: of the cycle.
        console: for progress.
    """

    def __init__(self, config: CycleConfig, console: Console) -> None:
        self.config = config
        self.console = console

    def measure(self, policy: PolicyName, weights: Path | None, out: Path) -> Sequence[EpisodeResult]:
        """Evaluate on the benchmark; as Source.

        Raises:
            KeyboardInterrupt: Ctrl-C; the evaluation is made anew next time.
            QtoptError: an error ended the evaluation early.
        """
        config = self.config
        asked = EvaluateConfig(
            policies=(policy,),
            split=config.split,
            episodes=config.scenes,
            through="graph" if config.through == "graph" else "env",
            workers=config.workers,
            checkpoint=weights,
            camera=config.camera,
            benchmark=config.benchmark,
            mdp=config.mdp,
            real_time_factor=config.real_time_factor,
            out=out,
        )
        found = evaluate.evaluate(asked, self.console, out.with_suffix(""))
        if found.trouble:
            raise QtoptError(found.trouble)
        if not found.complete:
            raise KeyboardInterrupt
        write_json(found, out)
        return found.results


class EnvSource(SimSource):
    """`qtopt collect-sim` into an episode store."""

    def collect(self, wanted: Wanted) -> list[EpisodeInfo]:
        """As Source; an interrupted collection goes on where it was."""
        config, exploration = self.config, self.config.exploration(wanted.policy)
        prefix = f"{wanted.policy}-r{wanted.number}-"
        actor = ActorConfig(
            store=wanted.folder,
            prefix=prefix,
            policy=wanted.policy,
            weights=wanted.weights,
            epsilon=exploration.epsilon,
            noise=exploration.noise,
            explore=exploration.explore,
            first_seed=wanted.first_seed,
            episodes=wanted.episodes,
            per_shard=config.per_shard,
            camera=config.camera,
            mdp=config.mdp,
            benchmark=config.benchmark,
        )
        collect_sim(CollectSimConfig(actor, config.actors), self.console)
        shards = sorted(wanted.folder.glob(f"{prefix}*{SUFFIX}"))
        return [info for path in shards for info in read_infos(path)]


class GraphSource(SimSource):
    """`qtopt collect` into a folder of bags."""

    def collect(self, wanted: Wanted) -> list[EpisodeInfo]:
        """As Source; bags that are there count.

        Raises:
            KeyboardInterrupt: Ctrl-C; what was collected counts next time.
        """
        config, exploration = self.config, self.config.exploration(wanted.policy)
        have = len(closed_bags(wanted.folder)) - wanted.before
        if have < wanted.episodes:
            first = load_benchmark(config.benchmark).scene.evaluation_seeds + wanted.first_seed
            asked = CollectConfig(
                episodes=wanted.episodes - have,
                bags=wanted.folder,
                policy=wanted.policy,
                checkpoint=wanted.weights,
                epsilon=exploration.epsilon,
                noise=exploration.noise,
                explore=exploration.explore,
                seed=first + have,
                real_time_factor=config.real_time_factor,
                camera=config.camera,
                robot=config.robot,
                mdp=config.mdp,
            )
            if collect.run(asked) == 130:
                raise KeyboardInterrupt
        return [read_bag(bag).info for bag in closed_bags(wanted.folder)[wanted.before :]]


class RobotSource:
    """Bags that people collect with `ros2 launch`; the cycle waits for them and goes on when started again.

    Args:
        config: of the cycle.
    """

    def __init__(self, config: CycleConfig) -> None:
        self._config = config

    def collect(self, wanted: Wanted) -> list[EpisodeInfo]:
        """As Source.

        Raises:
            WaitingError: bags are missing.
        """
        exploration = self._config.exploration(wanted.policy)
        count = wanted.before + wanted.episodes
        found = self._bags(wanted.folder, count, wanted.policy, wanted.weights, exploration)
        return [read_bag(bag).info for bag in found[wanted.before :]]

    def measure(self, policy: PolicyName, weights: Path | None, out: Path) -> Sequence[EpisodeResult]:
        """As Source: the scripted policy by what it has collected, the learned one by bags beside `out`.

        Raises:
            WaitingError: bags are missing.
        """
        config = self._config
        folder = config.offline if policy == "scripted" else out.with_suffix("")
        found = self._bags(folder, min(config.scenes, config.scripted), policy, weights, Exploration())
        read = [read_bag(bag) for bag in found]
        return [bag.result(policy) for bag in read if bag.info.policy == base_policy(bag.info.policy)]

    def _bags(
        self, folder: Path, count: int, policy: PolicyName, weights: Path | None, exploration: Exploration
    ) -> list[Path]:
        found = closed_bags(folder)
        if len(found) >= count:
            return found
        config = self._config
        words = [
            f"system:=robot robot:={config.robot} mdp:={config.mdp} camera:={config.camera} policy:={policy}",
            *([f"checkpoint:={weights}"] if weights else []),
            f"epsilon:={exploration.epsilon} noise:={exploration.noise} explore:={exploration.explore}",
            f"bags:={folder} episodes:={count - len(found)}",
        ]
        raise WaitingError(
            f"waiting for {count - len(found)} more episodes in {folder}. Collect them with "
            f"`ros2 launch qtopt_grasping grasp.launch.py {' '.join(words)}`, then start the cycle again"
        )
