"""What `qtopt` can be told: one frozen dataclass per subcommand. Imports nothing heavy: --help is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro import conf

from qtopt_policy.errors import ConfigError
from qtopt_policy.policies.exploration import Exploration
from qtopt_policy.policy_store import HotReload
from qtopt_policy.search_config import DRIVING, CemConfig

Paths = Annotated[
    tuple[Path, ...], conf.Positional, conf.arg(metavar="PATH [PATH ...]", help_behavior_hint="")
]
OptionalInt = Annotated[int | None, conf.arg(metavar="INT", help_behavior_hint="")]
OptionalPath = Annotated[Path | None, conf.arg(metavar="PATH", help_behavior_hint="")]
OptionalText = Annotated[str | None, conf.arg(metavar="TEXT", help_behavior_hint="")]


@dataclass(frozen=True)
class DemoConfig:
    """Watch the whole graph grasp: simulator, guard, servo, policy, collector; then a table and a report."""

    episodes: int = 10
    """Episodes in all; the learned policy and the scripted one take turns."""
    checkpoint: OptionalPath = None
    """Weights of the learned policy. (default: those that ship for the camera)"""
    out: OptionalPath = None
    """Folder for bags, logs and the report. (default: out/demo-<date and time>)"""
    seed: OptionalInt = None
    """Seed of the first scene; each further episode adds one. (default: the first not kept for evaluation)"""
    split: Literal["train", "test"] = "test"
    """Scenes to grasp in: families of objects, those trained on or those kept for testing."""
    real_time_factor: float = 4.0
    """Simulated seconds per second on the wall, at most."""
    camera: Literal["wrist", "shoulder"] = "wrist"
    """Camera that the policy looks through."""
    deadline: float = 150.0
    """Seconds after which the demo stops, with what it has by then."""

    def __post_init__(self) -> None:
        _positive("episodes", self.episodes)
        _positive("real-time-factor", self.real_time_factor)
        _positive("deadline", self.deadline)


@dataclass(frozen=True)
class CollectConfig:
    """Collect episodes of the simulated cell into bags over the ROS graph.

    Numbering goes on where the folder ends. With a robot: ros2 launch qtopt_grasping grasp.launch.py.
    """

    episodes: int = 100
    """Episodes to add."""
    bags: Path = Path("bags")
    """Folder of the bags, one folder per episode below it."""
    policy: str = "scripted"
    """random, scripted, scripted_exact, cem; auto: scripted, and cem every fifth time until it is better;
    turns: cem and scripted take turns."""
    checkpoint: OptionalPath = None
    """Weights for cem. (default: those that ship for the camera)"""
    allow_untrained: Annotated[bool, conf.FlagCreatePairsOff] = False
    """Let weights drive that no training has touched."""
    hot_reload: HotReload = "never"
    """Take up the checkpoint's file between episodes when it has changed: `better` if its evaluation beats
    that of the running weights, `newest` whatever a learner beside has written."""
    epsilon: float = 0.0
    """Share of random actions of an exploring episode."""
    noise: float = 0.0
    """Standard deviation of what is added to the moves of an exploring episode, in shares of their bounds."""
    explore: float = 1.0
    """Share of the episodes that explore."""
    split: Literal["train", "test"] = "train"
    """Scenes to grasp in."""
    seed: OptionalInt = None
    """Seed of the first scene; each further episode adds one. (default: after those of the bags there)"""
    real_time_factor: float = 4.0
    """Simulated seconds per second on the wall, at most."""
    camera: str = "wrist"
    """Camera that the policy looks through."""
    robot: Path = Path("config/robots/sim.yaml")
    """Description of the robot."""
    mdp: Path = Path("config/mdp.yaml")
    """Definition of steps, episodes and rewards."""
    namespace: str = ""
    """Namespace of all nodes and of their clock; with one each, several graphs run beside each other."""
    params: OptionalPath = None
    """ROS parameter file for the nodes, for all that is no option here."""

    def __post_init__(self) -> None:
        _positive("episodes", self.episodes)
        _positive("real-time-factor", self.real_time_factor)
        Exploration(self.epsilon, self.noise, self.explore)


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure policies on the benchmark: success with 95 % intervals, by ground truth and as judged."""

    policies: Annotated[tuple[str, ...], conf.arg(metavar="NAME [NAME ...]")] = (
        "random",
        "scripted",
        "scripted_exact",
        "oracle",
    )
    """Any of random, scripted, scripted_exact, oracle (the ceiling: it knows all poses) and cem."""
    split: Literal["train", "test"] = "test"
    """Scenes to grasp in; the object families and seeds of the two are disjoint."""
    episodes: OptionalInt = None
    """Scenes per policy, the same for all policies. (default: all of the benchmark's)"""
    first: int = 0
    """Scene to begin with, counted from the benchmark's first."""
    through: Literal["env", "graph"] = "env"
    """env: GraspEnv in worker processes, fast. graph: the ROS nodes, one episode after the other."""
    workers: int = 0
    """Worker processes; 0 takes one per core. The numbers do not depend on it."""
    checkpoint: OptionalPath = None
    """Weights for cem. (default: those that ship for the camera)"""
    allow_untrained: Annotated[bool, conf.FlagCreatePairsOff] = False
    """Let weights drive that no training has touched."""
    epsilon: float = 0.0
    """Share of random actions."""
    camera: Literal["wrist", "shoulder"] = "wrist"
    """Camera that the policy looks through."""
    benchmark: Path = Path("config/benchmark_v1.yaml")
    """Definition of the task; its digest stands beside every result."""
    mdp: OptionalPath = None
    """Another definition of steps, for a policy that needs one; what belongs to the task may not differ."""
    jitter: bool = True
    """Each scene has the camera a little elsewhere, and tells where (through env). The graph's nodes know the
    camera's place from the URDF, so that it stays there: compare with --no-jitter."""
    search: CemConfig = DRIVING
    """How cem looks for the best action (through env; the graph's is policy_node's parameter)."""
    real_time_factor: float = 4.0
    """Simulated seconds per second on the wall, at most (graph only)."""
    out: OptionalPath = None
    """JSON file of all results. (default: out/evaluation-<date and time>.json)"""

    def __post_init__(self) -> None:
        if self.episodes is not None:
            _positive("episodes", self.episodes)
        _positive("real-time-factor", self.real_time_factor)
        _share("epsilon", self.epsilon)
        if len(set(self.policies)) != len(self.policies) or not self.policies:
            raise ConfigError(f"policies {', '.join(self.policies)}: name each one once")
        if self.workers < 0 or self.first < 0:
            raise ConfigError(f"workers {self.workers}, first {self.first}: must not be negative")


@dataclass(frozen=True)
class CompareConfig:
    """Compare policies scene by scene, out of files that `qtopt evaluate` wrote."""

    files: Paths
    """Evaluations; the first policy of the first file is compared with all others."""

    def __post_init__(self) -> None:
        if not self.files:
            raise ConfigError("give at least one evaluation file")


@dataclass(frozen=True)
class _BagPaths:
    paths: Paths
    """Bags, or folders of bags."""

    def __post_init__(self) -> None:
        if not self.paths:
            raise ConfigError("give the path of at least one bag or folder of bags")


@dataclass(frozen=True)
class BagsInfo(_BagPaths):
    """Show what bags hold: episodes, outcomes, steps, sizes."""


@dataclass(frozen=True)
class BagsCheck(_BagPaths):
    """Read every bag whole; name each one that is torn, reordered, not finite or lacks a topic."""


@dataclass(frozen=True)
class BagsRepair(_BagPaths):
    """Salvage bags that a crash left torn."""


@dataclass(frozen=True)
class BagsImport(_BagPaths):
    """Turn ordinary `ros2 bag record` output (sqlite3 or MCAP, zstd, split) into one bag per episode."""

    out: Path = Path("bags")
    """Folder for the episodes."""
    namespace: OptionalText = None
    """Namespace of the robot whose episodes are taken, `/` for none. (default: the only one recorded)"""


@dataclass(frozen=True)
class BagsReport(_BagPaths):
    """Write the HTML report of bags."""

    out: Path = Path("report.html")
    """The file to write."""
    robot: Path = Path("config/robots/sim.yaml")
    """Description of the recorded robot: how its joints tell the aperture."""
    shown: int = 60
    """Episodes with a section of their own."""


@dataclass(frozen=True)
class BagsConvert:
    """Turn bags into an episode store, or a store into bags, one per episode, every step as it was.

    What a store does not hold, joint states above all, is not in the bags made of it either.
    """

    paths: Paths
    """Bags or folders of bags (to a store); stores or their shards (to bags)."""
    to: Literal["store", "bags"]
    """What to write."""
    out: Path
    """Folder for the shards or bags; what is in it already stays as it is."""

    def __post_init__(self) -> None:
        if not self.paths:
            raise ConfigError("give the path of at least one bag, folder of bags, store or shard")


BagsConfig = (
    Annotated[BagsInfo, conf.subcommand("info")]
    | Annotated[BagsCheck, conf.subcommand("check")]
    | Annotated[BagsRepair, conf.subcommand("repair")]
    | Annotated[BagsImport, conf.subcommand("import")]
    | Annotated[BagsReport, conf.subcommand("report")]
    | Annotated[BagsConvert, conf.subcommand("convert")]
)


@dataclass(frozen=True)
class Bags:
    """Look into, check, repair and import bags."""

    command: conf.OmitSubcommandPrefixes[BagsConfig]


@dataclass(frozen=True)
class ReportConfig:
    """Write the HTML page of a training run: curves, success, film strips, configuration."""

    run: Annotated[Path, conf.Positional]
    """Folder of the run."""
    out: OptionalPath = None
    """The file to write. (default: report.html in the run's folder)"""
    films: int = 12
    """Episodes of the run shown whole."""
    evaluations: Annotated[tuple[Path, ...], conf.arg(metavar="FILE [FILE ...]", help_behavior_hint="")] = ()
    """Results of `qtopt evaluate`, beside evaluation*.json in the run's folder."""

    def __post_init__(self) -> None:
        if self.films < 0:
            raise ConfigError(f"films {self.films}: must not be negative")


@dataclass(frozen=True)
class DoctorConfig:
    """Say what is installed, missing or mixed, and what mends it; with --robot, look at a live robot."""

    robot: OptionalPath = None
    """Robot file: compare it with the running graph instead of looking at this machine."""
    camera: str = "wrist"
    """Camera that the policy is to look through."""
    checkpoint: OptionalPath = None
    """Weights: does the robot lie within what they were trained on?"""
    mdp: Path = Path("config/mdp.yaml")
    """Definition of steps, episodes and rewards."""
    seconds: float = 5.0
    """How long to listen."""
    gripper: Literal["ask", "yes", "no"] = "ask"
    """Open and close the gripper, after asking, without asking, or not at all."""
    picture: Path = Path("reach.png")
    """The file to draw the reachable workspace into."""
    one_machine: Annotated[bool, conf.FlagCreatePairsOff] = False
    """All nodes run on this machine (the simulator)."""
    namespace: str = ""
    """Namespace of the robot's nodes, as in namespace:= of the launch files."""

    def __post_init__(self) -> None:
        _positive("seconds", self.seconds)


@dataclass(frozen=True)
class SecurityConfig:
    """Print the SROS2 policy of a system: what each of its processes may say and hear (docs/security.md)."""

    system: Literal["sim", "gazebo", "robot"] = "robot"
    """What stands for the hardware."""
    robot: Path = Path("config/robots/sim.yaml")
    """Robot file, whose topics the policy names."""
    arm: Literal["auto", "embedded", "moveit", "moveit_servo"] = "auto"
    """Executor of arm motion."""
    camera: str = "wrist"
    """The camera that the policy looks through."""
    dead_man: Literal["none", "joy", "keyboard"] = "none"
    """The dead-man switch that the guard listens to."""
    window: Annotated[bool, conf.FlagCreatePairsOff] = False
    """With image_view's window (headless:=false)."""
    namespace: str = ""
    """Namespace of all nodes: a part of every name in the policy."""


@dataclass(frozen=True)
class CalibrateConfig:
    """Check and solve where a camera sits on the robot, from pictures of a ChArUco board."""

    folder: Annotated[OptionalPath, conf.Positional] = None
    """Folder with the pictures, camera_info.yaml and poses.csv or poses.json."""
    robot: Path = Path("config/robots/sim.yaml")
    """Robot file whose pose of the camera is checked."""
    camera: str = "wrist"
    """Camera of the robot file."""
    columns: int = 7
    """Squares of the board along its x."""
    rows: int = 5
    """Squares of the board along its y."""
    square: float = 0.035
    """Edge of a square as printed [m]."""
    marker: float = 0.026
    """Edge of a marker as printed [m]."""
    dictionary: str = "DICT_5X5_100"
    """Dictionary of the markers, as OpenCV names it."""
    draw_board: OptionalPath = None
    """Write the board as a PNG file to print, and stop."""

    def __post_init__(self) -> None:
        if (self.folder is None) == (self.draw_board is None):
            raise ConfigError("give the folder of a recording, or --draw-board and a file")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{name} {value}: must be above 0")


def _share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"{name} {value}: must be in [0, 1]")
