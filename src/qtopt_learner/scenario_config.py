"""What `qtopt scenario` can be told. Imports nothing heavy: --help is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro import conf

from qtopt_learner.cli_config import EvaluateConfig, OptionalInt, OptionalPath
from qtopt_policy.errors import ConfigError


@dataclass(frozen=True)
class ScenarioRunConfig:
    """Measure policies where more than a grasp is asked for: packed blocks, a slip, clutter, a full bin."""

    name: Annotated[str, conf.Positional]
    """Scenario of config/scenarios.yaml."""
    policies: Annotated[tuple[str, ...], conf.arg(metavar="NAME [NAME ...]")] = ("scripted", "cem")
    """As for `qtopt evaluate`."""
    split: Literal["train", "test"] = "test"
    """Scenes to grasp in."""
    episodes: OptionalInt = None
    """Scenes per policy, the same for all policies; of `emptying`: full bins. (default: 102; full bins 5)"""
    films: int = 4
    """Film strips per policy, of the first scenes; of `emptying` one picture per attempt."""
    workers: int = 0
    """Worker processes; 0 takes one per core. The numbers do not depend on it."""
    checkpoint: OptionalPath = None
    """Weights for cem. (default: those that ship for the camera)"""
    allow_untrained: Annotated[bool, conf.FlagCreatePairsOff] = False
    """Let weights drive that no training has touched."""
    camera: Literal["wrist", "shoulder"] = "wrist"
    """Camera that the policy looks through."""
    benchmark: Path = Path("config/benchmark_v1.yaml")
    """Definition of the task that the scenarios vary."""
    scenarios: Path = Path("config/scenarios.yaml")
    """Definition of the scenarios."""
    out: OptionalPath = None
    """Folder for results.json and the film strips. (default: out/scenario-<name>-<date and time>)"""

    def __post_init__(self) -> None:
        if (self.episodes is not None and self.episodes < 1) or self.films < 0 or self.workers < 0:
            raise ConfigError(
                f"episodes {self.episodes}, films {self.films}, workers {self.workers}: "
                "must not be negative, the first not 0"
            )
        if len(set(self.policies)) != len(self.policies) or not self.policies:
            raise ConfigError(f"policies {', '.join(self.policies)}: name each one once")

    @property
    def of_policies(self) -> EvaluateConfig:
        """What `policy_in` builds the policies from."""
        return EvaluateConfig(
            policies=self.policies,
            checkpoint=self.checkpoint,
            allow_untrained=self.allow_untrained,
            camera=self.camera,
        )
