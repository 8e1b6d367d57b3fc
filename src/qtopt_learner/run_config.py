"""What a training run is told: data, actors, robot, task, and how to learn."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from qtopt_learner.train_config import TrainConfig
from qtopt_policy.errors import ConfigError
from qtopt_policy.policies.exploration import Exploration


@dataclass(frozen=True)
class OnlineConfig:
    """Experience of its own that arrives while the learner trains: actors, and bags of a running ROS graph.

    Attributes:
        actors: processes that play in simulation; 0 trains from what there is.
        bags: folders into which collectors put episodes meanwhile, of a robot for example; each bag is taken
            once it is closed.
        start: gradient step from which they play: before, the policy knows nothing.
        epsilon, noise, explore: see Exploration. again: see ActorConfig.
        per_shard: episodes per file.
        publish_every: gradient steps between new weights.
        intake_every: gradient steps between looks for new episodes.
    """

    actors: int = 0
    bags: tuple[Path, ...] = ()
    start: int = 500
    epsilon: float = 0.2
    noise: float = 0.1
    explore: float = 0.7
    again: int = 0
    per_shard: int = 4
    publish_every: int = 200
    intake_every: int = 20

    def __post_init__(self) -> None:
        Exploration(self.epsilon, self.noise, self.explore)


@dataclass(frozen=True)
class RunConfig:
    """A training run from start to end.

    Attributes:
        out: folder of the run.
        data: episode stores and bags to learn from, offline.
        train: how to learn.
        online: actors beside the learner.
        updaters: processes that make labels beside the learner, in addition to its own (train.labels.ratio,
            which may then be 0).
        robot, mdp, benchmark: files; see config/.
        camera: name of the camera of the data and the actors.
        start_from: checkpoint whose weights the run starts from, both targets and the network in training, in
            place of fresh ones; of a run that goes on, its own state counts.
        allow_outside_envelope: start from weights of another hand or of tighter action bounds too, to learn
            this robot's; before its first step the run's weights then count as untrained.
    """

    out: Path
    data: tuple[Path, ...] = ()
    train: TrainConfig = field(default_factory=TrainConfig)
    online: OnlineConfig = field(default_factory=OnlineConfig)
    updaters: int = 0
    robot: Path = Path("config/robots/sim.yaml")
    mdp: Path = Path("config/mdp.yaml")
    benchmark: Path = Path("config/benchmark_v1.yaml")
    camera: str = "wrist"
    start_from: Path | None = None
    allow_outside_envelope: bool = False

    def __post_init__(self) -> None:
        if not self.data:
            raise ConfigError("nothing to learn from: give data; actors play with what it has taught")
        if self.train.deterministic and (self.online.actors or self.online.bags or self.updaters):
            raise ConfigError(
                "deterministic training takes no actors, online.bags or updaters: one process, frozen data"
            )
        if self.updaters and not self.train.labels.cached:
            raise ConfigError(
                f"{self.updaters} updaters with labels of kind {self.train.labels.kind}, fresh "
                f"{self.train.labels.fresh}: nobody would use theirs; "
                "set updaters to 0 or train.labels.no-fresh"
            )
        augment = self.train.augment
        if self.train.network != "compact" and (augment.mirror or augment.half_turn):
            raise ConfigError(
                f"augment.mirror {augment.mirror}, half_turn {augment.half_turn} with the network "
                f"{self.train.network}: only compact looks through the camera model that they change"
            )


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """Return the same run with another training seed, in a folder of its own."""
    return replace(config, out=config.out / f"seed{seed}", train=replace(config.train, seed=seed))
