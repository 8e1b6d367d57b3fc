"""What a cycle of collecting, training and measuring is told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from qtopt_collector.switching import LEARNED
from qtopt_learner.recipe import Recipe, find_recipe
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.config import load_config
from qtopt_policy.errors import ConfigError
from qtopt_policy.policies.exploration import Exploration

Through = Literal["env", "graph", "robot"]
# What may differ when a cycle goes on.
FREE = ("rounds", "actors", "workers", "real_time_factor")


def offline_training() -> TrainConfig:
    """Return the settings for learning from logged episodes alone."""
    return load_config(find_recipe("bags"), Recipe).train


@dataclass(frozen=True)
class CycleConfig:
    """A cycle: scripted episodes, offline training, then rounds of episodes and further training.

    Attributes:
        out: folder of the cycle.
        rounds: of collecting and training further, after the first training.
        scripted: episodes of the scripted policy before the first training.
        more: episodes of each round, of the learned policy once it leads, else of the scripted one.
        train: how to learn, by default as the recipe `bags`, since the first training has no episodes of its
            own; its `steps` are those of the first training.
        more_steps: gradient steps of each round.
        scenes: of each evaluation, or grasps where a robot evaluates.
        split: of the scenes of evaluations; deciding by `train` leaves the test scenes unseen.
        through: where episodes come from: GraspEnv, the ROS graph in simulation, or a real arm's graph.
        epsilon, noise, explore: of the learned policy while it collects; see Exploration.
        scripted_epsilon, scripted_noise, scripted_explore: the same of the scripted policy.
        actors: processes that collect (env only).
        per_shard: episodes per file (env only).
        workers: processes that evaluate; 0 takes one per core (env only).
        real_time_factor: simulated seconds per second at most (graph only).
        robot, mdp, benchmark: files; see config/.
        camera: name of the camera.
    """

    out: Path
    rounds: int = 5
    scripted: int = 4000
    more: int = 1000
    train: TrainConfig = field(default_factory=offline_training)
    more_steps: int = 2000
    scenes: int = 204
    split: Literal["train", "test"] = "train"
    through: Through = "env"
    epsilon: float = 0.2
    noise: float = 0.1
    explore: float = 0.7
    scripted_epsilon: float = 0.1
    scripted_noise: float = 0.15
    scripted_explore: float = 0.5
    actors: int = 1
    per_shard: int = 32
    workers: int = 0
    real_time_factor: float = 4.0
    robot: Path = Path("config/robots/sim.yaml")
    mdp: Path = Path("config/mdp.yaml")
    benchmark: Path = Path("config/benchmark_v1.yaml")
    camera: Literal["wrist", "shoulder"] = "wrist"

    def __post_init__(self) -> None:
        for name in ("scripted", "more", "more_steps", "scenes", "actors", "per_shard"):
            if getattr(self, name) < 1:
                raise ConfigError(f"cycle: {name} {getattr(self, name)}: must be at least 1")
        if self.rounds < 0:
            raise ConfigError(f"cycle: rounds {self.rounds}: must not be negative")
        if self.train.deterministic:
            raise ConfigError("cycle: deterministic training takes frozen data; a cycle's data grow")
        self.exploration(LEARNED)
        if self.through == "robot" and self.exploration("scripted").explore == 1.0:
            raise ConfigError(
                "cycle: scripted_explore 1.0: a robot's scripted policy is measured by its episodes that do "
                "not explore; take less"
            )

    def exploration(self, policy: str) -> Exploration:
        """Return how a policy explores while it collects."""
        if policy == LEARNED:
            return Exploration(self.epsilon, self.noise, self.explore)
        return Exploration(self.scripted_epsilon, self.scripted_noise, self.scripted_explore)

    @property
    def run(self) -> Path:
        """Folder of the training run."""
        return self.out / "run"

    @property
    def offline(self) -> Path:
        """Folder of the scripted episodes."""
        return self.out / "scripted"

    @property
    def own(self) -> Path:
        """Folder of the learned policy's episodes: the run mixes them in as its own."""
        return self.run / "episodes"

    @property
    def best(self) -> Path:
        """The best weights so far, with the evaluation that says so."""
        return self.out / "best.safetensors"

    def steps(self, number: int) -> int:
        """Return the gradient steps that have been made at the end of round `number`."""
        return self.train.steps + number * self.more_steps

    def weights(self, number: int) -> Path:
        """Return the weights at the end of round `number`."""
        return self.run / "weights" / f"step-{self.steps(number):09d}.safetensors"
