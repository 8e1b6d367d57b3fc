"""The options of a system: what it is made of and what it is to do."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grasp_bringup.dead_man import DEAD_MEN
from qtopt_collector.switching import AUTO, LEARNED, SCRIPTED, TURNS, WEIGHTED
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.policies.exploration import Exploration
from qtopt_policy.policies.registry import POLICIES
from qtopt_policy.policy_store import HOT_RELOADS
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

SYSTEMS = ("sim", "gazebo", "robot")
BY_ROBOT = "auto"
# Executors of arm motion, and the node of ours behind each.
EXECUTORS = {"embedded": "servo_node", "moveit": "moveit_node", "moveit_servo": "moveit_servo_node"}
ARMS = ("auto", *EXECUTORS)
SPLITS = ("train", "test")
POLICY_CHOICES = (AUTO, TURNS, *POLICIES)
# Seed of the first scene that is not kept for evaluation.
FIRST_SEED = 10_000

# As ROS takes it: names between slashes.
_NAMESPACE = re.compile(r"/?([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*/?)?")

# The options that concern `cell_nodes`.
CELL_OPTIONS = (
    *("robot", "mdp", "arm", "camera", "split", "seed", "rtf", "restarts", "namespace"),
    *("dead_man", "dead_man_button", "params", "security", "keystore"),
)


def _about(description: str, choices: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"description": description, "choices": choices}


@dataclass(frozen=True)
class SystemOptions:
    """What a system is made of and what it is to do; each field is an argument of the launch files.

    Once made, `system` is one of SYSTEMS and `policy` a name: `auto` and the empty one are replaced by what
    they mean.

    Raises:
        ConfigError: a value is out of range, does not go with another one, or (UnknownNameError) is not one
            of its choices; the robot's file cannot be used.
    """

    system: str = field(
        default=BY_ROBOT,
        metadata=_about(
            "what stands for the hardware; auto: sim if the robot's file is the simulator's "
            "(driver.simulated), else robot",
            (BY_ROBOT, *SYSTEMS),
        ),
    )
    robot: Path = field(
        default=Path("config/robots/sim.yaml"),
        metadata=_about(
            "YAML file of the robot; a relative one is looked for here, then in the package's share"
        ),
    )
    mdp: Path = field(
        default=Path("config/mdp.yaml"),
        metadata=_about("YAML file that defines steps, episodes and rewards"),
    )
    arm: str = field(
        default="auto", metadata=_about("executor of arm motion; auto: embedded in sim, else moveit", ARMS)
    )
    camera: str = field(
        default="wrist",
        metadata=_about("the camera that the policy looks through, one of those in the robot's file"),
    )
    policy: str = field(
        default="",
        metadata=_about(
            f"policy that picks the moves: {', '.join(POLICIES)}; empty: cem with a checkpoint, scripted "
            "without; auto: scripted and, every fifth episode, cem, until cem is better; turns: cem and "
            "scripted take turns"
        ),
    )
    checkpoint: Path | None = field(
        default=None,
        metadata=_about(
            "weights of the learned policy: for cem, auto and turns; it must be there, with hot_reload too"
        ),
    )
    allow_untrained: bool = field(
        default=False, metadata=_about("let weights drive that no training has touched (simulation)")
    )
    hot_reload: str = field(
        default="never",
        metadata=_about(
            "take up the checkpoint's file between episodes when it has changed; better: if its evaluation "
            "beats that of the running weights; newest: whatever a learner beside has written",
            HOT_RELOADS,
        ),
    )
    epsilon: float = field(
        default=0.0, metadata=_about("share of random actions of an exploring episode, 0 to 1")
    )
    noise: float = field(
        default=0.0,
        metadata=_about(
            "standard deviation of what is added to the moves of an exploring episode, in shares of "
            "their bounds"
        ),
    )
    explore: float = field(default=1.0, metadata=_about("share of the episodes that explore, 0 to 1"))
    bags: Path = field(default=Path("bags"), metadata=_about("folder for the episodes, one bag each"))
    episodes: int = field(default=10, metadata=_about("episodes to collect; then everything ends"))
    split: str = field(default="train", metadata=_about("family of simulated scenes", SPLITS))
    seed: int | None = field(
        default=None,
        metadata=_about(
            f"seed of the first episode and scene; each further episode adds one; empty: {FIRST_SEED} (those "
            "below are for evaluation) and, where episodes are collected, the number of those in bags"
        ),
    )
    rtf: float = field(default=1.0, metadata=_about("simulated seconds per second, at most; 0: no limit"))
    benchmark: str = field(default="", metadata=_about("digest of the benchmark, to be recorded in the bags"))
    restarts: int = field(
        default=0,
        metadata=_about(
            "times that a crashed node is started again; never the simulator, whose world is lost, nor the "
            "collector, whose end is the run's"
        ),
    )
    headless: bool = field(
        default=True,
        metadata=_about("false opens a window with the policy's candidates (needs image_view), and Gazebo's"),
    )
    dead_man: str = field(
        default="none",
        metadata=_about(
            "what must be held for the arm to move; joy: a button of joy_node's joystick; keyboard: the "
            "space bar of dead_man_node",
            DEAD_MEN,
        ),
    )
    dead_man_button: int = field(default=5, metadata=_about("index of that button with dead_man joy"))
    namespace: str = field(
        default="",
        metadata=_about(
            "namespace of all nodes, their relative topics and a simulation's clock, for several robots"
        ),
    )
    params: Path | None = field(
        default=None,
        metadata=_about(
            "ROS parameter file for the nodes: what is no launch argument, as docs/reference.md says"
        ),
    )
    security: bool = field(
        default=False,
        metadata=_about(
            "give every node its SROS2 enclave, and start nothing where the middleware heeds none"
        ),
    )
    keystore: Path | None = field(
        default=None, metadata=_about("folder of the SROS2 keystore with the enclaves, for security")
    )

    def __post_init__(self) -> None:
        _one_of("system", self.system, (BY_ROBOT, *SYSTEMS))
        _one_of("arm", self.arm, ARMS)
        _one_of("split", self.split, SPLITS)
        _one_of("hot_reload", self.hot_reload, HOT_RELOADS)
        _one_of("dead_man", self.dead_man, DEAD_MEN)
        for name, least in (("episodes", 1), ("seed", 0), ("restarts", 0), ("dead_man_button", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} {value}: must be at least {least}")
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ConfigError(
                f"namespace '{self.namespace}': must be a name of letters, digits and _, no digit first, or "
                "several with / between them"
            )
        self._settle()
        self._check_files()
        if not self.rtf >= 0.0:
            raise ConfigError(f"rtf {self.rtf}: must be 0 (as fast as the nodes keep up) or above")
        Exploration(self.epsilon, self.noise, self.explore)
        if self.executor == "moveit_servo" and self.simulated and self.rtf != 1.0:
            raise ConfigError(
                f"rtf {self.rtf}: must be 1 with arm moveit_servo: MoveIt Servo moves by the wall clock"
            )
        if self.system == "gazebo":
            self._check_gazebo()
        if self.security and self.keystore is None:
            raise ConfigError("security true: needs a keystore, made as docs/security.md says")
        if self.keystore is not None and not self.security:
            raise ConfigError(f"keystore {self.keystore}: would not be used without security true")

    def _settle(self) -> None:
        """Replace `auto` and the empty policy by what they mean; refuse what does not go together."""
        robot = load_robot(resolve(self.robot))
        _one_of("camera", self.camera, tuple(robot.cameras))
        if self.system in (BY_ROBOT, "sim"):
            simulated = robot.driver.simulated
            if self.system == "sim" and not simulated:
                raise ConfigError(
                    f"system sim with robot {self.robot}: that file is not the simulator's (its "
                    "driver.simulated is not true). Valid choices with it: system robot, or auto"
                )
            object.__setattr__(self, "system", "sim" if simulated else "robot")
        if not self.policy:
            object.__setattr__(self, "policy", SCRIPTED if self.checkpoint is None else LEARNED)
        _one_of("policy", self.policy, POLICY_CHOICES)
        if self.checkpoint is not None and self.policy not in WEIGHTED:
            raise ConfigError(
                f"policy {self.policy} with checkpoint {self.checkpoint}: that policy uses no weights. "
                f"Valid choices with a checkpoint: {', '.join(WEIGHTED)}"
            )

    def _check_files(self) -> None:
        """Refuse files that are not there now, before anything moves."""
        if self.checkpoint is not None and not self.checkpoint.is_file():
            later = "" if self.hot_reload == "never" else "; start once the learner beside has written it"
            raise ConfigError(f"checkpoint {self.checkpoint}: there is no such file{later}")
        if self.params is not None and not self.params.is_file():
            raise ConfigError(f"params {self.params}: there is no such file")

    def _check_gazebo(self) -> None:
        if self.rtf != 1.0:
            raise ConfigError(f"rtf {self.rtf}: must be 1 with system gazebo, as worlds/bin.sdf says")
        if self.namespace:
            raise ConfigError(
                f"namespace '{self.namespace}': must be empty with system gazebo, whose world holds one robot"
            )

    @property
    def simulated(self) -> bool:
        """Whether a simulator makes the time."""
        return self.system != "robot"

    @property
    def first_seed(self) -> int:
        """Seed of the first episode: the one given, else the one after those in `bags` now."""
        return next_seed(self.bags) if self.seed is None else self.seed

    @property
    def scene_seed(self) -> int:
        """Seed of the scene before the first episode; each episode places its own."""
        return FIRST_SEED if self.seed is None else self.seed

    @property
    def executor(self) -> str:
        """The executor that moves the arm, one of EXECUTORS."""
        if self.arm != "auto":
            return self.arm
        return "embedded" if self.system == "sim" else "moveit"

    @property
    def one_machine(self) -> bool:
        """Whether no other machine takes part."""
        return self.simulated


def next_seed(bags: Path) -> int:
    """Return the seed after those kept for evaluation and those of the folder's episodes."""
    return FIRST_SEED + (sum(entry.is_dir() for entry in bags.iterdir()) if bags.is_dir() else 0)


def _one_of(kind: str, name: str, valid: tuple[str, ...]) -> None:
    if name not in valid:
        raise UnknownNameError(kind, name, valid)
