"""Which nodes make a system: the one list behind the launch files, run.py and `qtopt`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.share import PACKAGE

Parameter = bool | int | float | str | list[str]

SYSTEMS = ("sim",)
EXECUTORS = ("embedded",)
CAMERAS = ("wrist", "shoulder")
SPLITS = ("train", "test")

# Every node of ours must have seen a tick of the simulated clock before the next one.
LOCKSTEP = ("guard_node", "servo_node", "gripper_node", "policy_node", "collector_node")


@dataclass(frozen=True)
class NodeSpec:
    """One node as launch_ros and run.py start it.

    Attributes:
        package, executable: as in `ros2 run <package> <executable>`.
        name, namespace: of the node.
        parameters: ROS parameters by name.
        remappings: pairs of topic names, from and to.
        required: whether the system ends when the node ends.
    """

    package: str
    executable: str
    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    namespace: str = ""
    required: bool = True


@dataclass(frozen=True)
class SystemOptions:
    """What a system is made of and what it is to do.

    Attributes:
        system: `sim`.
        robot, mdp: YAML files, absolute or in the package's share folder.
        arm: executor of arm motion.
        camera: the active camera.
        policy: name in the policy registry.
        checkpoint: weights for the policies that need them.
        epsilon: share of random actions.
        bags: folder for episodes.
        episodes: to collect; then the collector ends, and with it the system.
        split: family of simulated scenes.
        seed: of the first scene; each further episode adds one.
        rtf: real-time factor asked of the simulator.
        headless: without a window that shows the policy's candidates.
        namespace: of all nodes and relative topics, for several robots.
    """

    system: str = "sim"
    robot: Path = Path("config/robots/sim.yaml")
    mdp: Path = Path("config/mdp.yaml")
    arm: str = "embedded"
    camera: str = "wrist"
    policy: str = "scripted"
    checkpoint: Path | None = None
    epsilon: float = 0.0
    bags: Path = Path("bags")
    episodes: int = 10
    split: str = "train"
    seed: int = 1
    rtf: float = 1.0
    headless: bool = True
    namespace: str = ""

    def __post_init__(self) -> None:
        _one_of("system", self.system, SYSTEMS)
        _one_of("arm", self.arm, EXECUTORS)
        _one_of("camera", self.camera, CAMERAS)
        _one_of("split", self.split, SPLITS)
        for name, least in (("episodes", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} {getattr(self, name)}: must be at least {least}")
        if not self.rtf > 0.0:
            raise ConfigError(f"rtf {self.rtf}: must be above 0")
        if not 0.0 <= self.epsilon <= 1.0:
            raise ConfigError(f"epsilon {self.epsilon}: must be in [0, 1]")

    @property
    def one_machine(self) -> bool:
        """Whether no other machine takes part."""
        return self.system == "sim"


def _one_of(kind: str, name: str, valid: tuple[str, ...]) -> None:
    if name not in valid:
        raise UnknownNameError(kind, name, valid)


def cell_nodes(options: SystemOptions, consumers: tuple[str, ...] = LOCKSTEP[:3]) -> tuple[NodeSpec, ...]:
    """Return the nodes of the cell: what stands for the robot's drivers, guard, executor and gripper.

    Args:
        options: of the system.
        consumers: names of the nodes that the simulated clock waits for.
    """
    return (
        _simulator(options, consumers),
        _node(options, "guard_node", {"require_arming": False}),
        _node(options, "servo_node"),
        _node(options, "gripper_node"),
    )


def system_nodes(options: SystemOptions) -> tuple[NodeSpec, ...]:
    """Return all nodes in the order in which they start; they stop in the opposite one."""
    policy: dict[str, Parameter] = {
        "policy.name": options.policy,
        "policy.epsilon": options.epsilon,
        "checkpoint": _text(options.checkpoint),
        "seed": options.seed,
    }
    collector: dict[str, Parameter] = {
        "bags": str(options.bags.absolute()),
        "episodes": options.episodes,
        "policy": options.policy,
        "checkpoint": _text(options.checkpoint),
        "epsilon": options.epsilon,
        "seed": options.seed,
        "split": options.split,
        "exit_when_done": True,
    }
    nodes = (
        *cell_nodes(options, LOCKSTEP),
        _node(options, "policy_node", policy),
        _node(options, "collector_node", collector),
    )
    return nodes if options.headless else (_window(options), *nodes)


def _node(
    options: SystemOptions, executable: str, parameters: Mapping[str, Parameter] | None = None
) -> NodeSpec:
    common: dict[str, Parameter] = {
        "use_sim_time": True,
        "real_time_factor": _watchdog_factor(options.rtf),
        "robot": str(options.robot),
        "mdp": str(options.mdp),
        "camera": options.camera,
    }
    return NodeSpec(
        PACKAGE, executable, executable, {**common, **(parameters or {})}, namespace=options.namespace
    )


def _simulator(options: SystemOptions, consumers: tuple[str, ...]) -> NodeSpec:
    parameters: dict[str, Parameter] = {
        "use_sim_time": False,  # it makes the time
        "rtf": options.rtf,
        "lockstep": True,
        "lockstep_consumers": list(consumers),
        "seed": options.seed,
        "split": options.split,
    }
    return _node(options, "sim_node", parameters)


def _window(options: SystemOptions) -> NodeSpec:
    remappings = (("image", "policy/debug_image"),)
    return NodeSpec("image_view", "image_view", "debug_view", {}, remappings, options.namespace, False)


def _watchdog_factor(rtf: float) -> float:
    """Return the real-time factor that watchdogs count on.

    A simulation may not reach the factor asked of it, and a watchdog that counts on it all the same fires at
    a healthy graph. Asked for less than real time, it is always reached.
    """
    return min(rtf, 1.0)


def _text(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())
