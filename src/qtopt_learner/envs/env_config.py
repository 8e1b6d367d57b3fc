"""What a training run on any Gymnasium environment is told."""

from dataclasses import dataclass, field
from pathlib import Path

from qtopt_learner.envs.returns import ReturnRange
from qtopt_learner.labels import LabelConfig
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.errors import ConfigError
from qtopt_policy.search_config import CemConfig

AUTO = "auto"


@dataclass(frozen=True)
class PlayConfig:
    """How experience comes in.

    Attributes:
        envs: environments played side by side.
        random_steps: of the environment before the first gradient step, with random actions.
        steps_per_update: of the environment per gradient step.
        epsilon: share of random actions.
        noise: on the continuous part, in shares of half the bounds.
        cem: the search that acts.
    """

    envs: int = 4
    random_steps: int = 1000
    steps_per_update: float = 1.0
    epsilon: float = 0.05
    noise: float = 0.1
    cem: CemConfig = field(default_factory=lambda: CemConfig(iterations=2, samples=32, elites=4))

    def __post_init__(self) -> None:
        if self.envs < 1 or self.random_steps < 1 or not self.steps_per_update > 0.0:
            raise ConfigError(
                f"envs {self.envs}, random_steps {self.random_steps}, steps_per_update "
                f"{self.steps_per_update}: must be above 0"
            )
        if not 0.0 <= self.epsilon <= 1.0 or self.noise < 0.0:
            raise ConfigError(f"epsilon {self.epsilon} must be in [0, 1], noise {self.noise} not negative")


def default_training() -> TrainConfig:
    """Return how to learn where nothing else is said: small batches, labels made for each of them."""
    return TrainConfig(
        steps=10_000, batch=128, network=AUTO, labels=LabelConfig(fresh=True), replay_gb=0.5, threads=1
    )


@dataclass(frozen=True)
class EnvRunConfig:
    """A training run on a Gymnasium environment.

    Attributes:
        env: id (`Pendulum-v1`), or `module:factory`, a function without arguments that returns one; modules
            are looked for in the working folder too.
        out: folder of the run.
        returns: bounds of the discounted return, which Q in [0, 1] stands for.
        discount: gamma.
        play: how experience comes in.
        train: how to learn; the network `auto` is `image` or `vector`, as the observation is.
        score_episodes: played at the end by the learned policy, and as many by the random one.
    """

    env: str
    out: Path
    returns: ReturnRange = field(default_factory=ReturnRange)
    discount: float = 0.98
    play: PlayConfig = field(default_factory=PlayConfig)
    train: TrainConfig = field(default_factory=default_training)
    score_episodes: int = 100

    def __post_init__(self) -> None:
        if not 0.0 <= self.discount <= 1.0:
            raise ConfigError(f"discount {self.discount}: must be in [0, 1]")
        if self.score_episodes < 1:
            raise ConfigError(f"score_episodes {self.score_episodes}: must be at least 1")
        if self.train.deterministic:
            raise ConfigError("deterministic training takes frozen data; playing environments are not")
        if self.train.augment.mirror or self.train.augment.half_turn:
            raise ConfigError("augment.mirror, half_turn: for grasps alone")
        if self.train.labels.through == "chosen":
            raise ConfigError("labels.through chosen: for grasps alone, whose steps say who chose them")
