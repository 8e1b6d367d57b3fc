"""GraspEnv in scenes that ask for more than a grasp: packed blocks, clutter, grasps that fail once.

Each scenario is a function of its parameters (config/scenarios.yaml), split and seed alone, as scenes are.
"""

import colorsys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.sim.benchmark import Benchmark
from grasp_bringup.sim.emptying import EmptyingConfig
from grasp_bringup.sim.env import GraspEnv, Observations
from grasp_bringup.sim.model import object_name
from grasp_bringup.sim.objects import Part, Range, Shape
from grasp_bringup.sim.scene import Scene, SceneConfig, SceneObject, sample_scene
from grasp_bringup.sim.world import CONTROL_PERIOD
from qtopt_policy.config import load_config
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.geometry import Pose, quaternion_about_z
from qtopt_policy.grasp_action import GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import BinConfig
from qtopt_policy.share import resolve
from qtopt_policy.step_record import StepRecord

SCENARIOS_FILE = Path("config/scenarios.yaml")
# Set the random numbers of packs and of disturbances apart from those of scenes.
PACK_STREAM, DISTURBANCE_STREAM = 1, 2
# Friction coefficient of the pads while what they hold is pushed away.
SLIPPERY = 1e-4
DROP = 0.002  # [m] between a packed block and the floor before it settles


@dataclass(frozen=True)
class PackConfig:
    """Blocks side by side in a rectangle, in place of the scene's objects.

    Attributes:
        rows, columns: least and largest number of blocks along the sides.
        side: of a block's square base [m].
        height: of a block [m].
        gap: between neighbours [m]; a finger does not fit in.
    """

    rows: tuple[int, int] = (2, 3)
    columns: tuple[int, int] = (2, 3)
    side: Range = (0.043, 0.048)
    height: Range = (0.025, 0.04)
    gap: float = 0.001

    def __post_init__(self) -> None:
        for low, high in (self.rows, self.columns):
            if not 1 <= low <= high:
                raise ConfigError(f"pack: [{low}, {high}] blocks, need 1 <= least <= largest")
        for name in ("side", "height"):
            low_length, high_length = getattr(self, name)
            if not 0.0 < low_length <= high_length:
                raise ConfigError(f"pack: {name} [{low_length}, {high_length}] is no interval of lengths")


@dataclass(frozen=True)
class DisturbanceConfig:
    """What both fingers touch when a step ends is pushed away before anyone looks, until it is lost once.

    The pads do not grip meanwhile: the grasp fails by decree, not by the strength of the push.

    Attributes:
        spread: largest angle between the push and the pads, along which it goes to either side [rad].
        speed: horizontal [m/s].
        lift: upward speed [m/s].
        duration: for which the pads do not grip [s].
    """

    spread: float = 0.0
    speed: float = 0.25
    lift: float = 0.0
    duration: float = 0.4

    def __post_init__(self) -> None:
        if not (self.speed > 0.0 and self.duration > 0.0) or min(self.lift, self.spread) < 0.0:
            raise ConfigError(
                f"disturbance: speed {self.speed}, duration {self.duration}, "
                f"lift {self.lift}, spread {self.spread}: must not be negative, the first two not 0"
            )


@dataclass(frozen=True)
class ScenarioConfig:
    """One scenario; what is None is as in the benchmark.

    Attributes:
        pack: blocks in place of the scene's objects.
        disturbance: a grasp that fails.
        emptying: a full bin, grasped from without replacement; the other keys are of what is poured in.
        object_count, gap, wall_gap: see SceneConfig.
    """

    pack: PackConfig | None = None
    disturbance: DisturbanceConfig | None = None
    emptying: EmptyingConfig | None = None
    object_count: tuple[int, int] | None = None
    gap: float | None = None
    wall_gap: float | None = None

    def of_scene(self, config: SceneConfig) -> SceneConfig:
        """Return the distribution of scenes with this scenario's changes."""
        changes: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("object_count", "gap", "wall_gap")
            if getattr(self, name) is not None
        }
        return replace(config, **changes)


@dataclass(frozen=True)
class ScenariosFile:
    """Keys of config/scenarios.yaml."""

    scenarios: dict[str, ScenarioConfig] = field(default_factory=dict)


def load_scenario(name: str, path: Path = SCENARIOS_FILE) -> ScenarioConfig:
    """Read one scenario; errors as `config.load_config`.

    Raises:
        UnknownNameError: the file has none of this name.
    """
    found = load_config(resolve(path), ScenariosFile).scenarios
    if name not in found:
        raise UnknownNameError("scenario", name, found)
    return found[name]


class ScenarioEnv(GraspEnv):
    """GraspEnv of one scenario.

    Args:
        benchmark: robot and scenes.
        mdp: definition of steps.
        scenario: what differs.
        camera: name of the active camera.
        split: of the scenes.
        rendered: without it images stay black.

    Attributes:
        disturbed: whether an object was pushed out of the fingers in this episode.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        mdp: MdpConfig,
        scenario: ScenarioConfig,
        camera: str = "wrist",
        split: str = "test",
        rendered: bool = True,
    ) -> None:
        super().__init__(benchmark.robot, mdp, scenario.of_scene(benchmark.scene), camera, split, rendered)
        self.scenario = scenario
        self.disturbed = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """As GraspEnv; nothing is disturbed yet."""
        self.disturbed = False
        return super().reset(seed=seed, options=options)

    def _draw(self, seed: int) -> Scene:
        scene = sample_scene(self.config, self.split, seed, self.robot.bin)
        if self.scenario.pack is None:
            return scene
        rng = np.random.default_rng((seed, PACK_STREAM))
        return replace(scene, objects=packed(self.scenario.pack, self.config, self.robot.bin, rng))

    def _execute(self, action: GraspAction) -> StepRecord:
        record = super()._execute(action)
        disturbance = self.scenario.disturbance
        if disturbance is not None and not self.disturbed and not record.is_terminal:
            held = self.world.truth().held
            if held is not None:
                self._push(held, disturbance)
                self.disturbed = self.world.truth().held is None
        return record

    def _push(self, index: int, config: DisturbanceConfig) -> None:
        """Drive an object out of the fingers at the set speed."""
        rng = np.random.default_rng((self._seed, DISTURBANCE_STREAM))
        model, data = self.world.mujoco_state
        address = int(model.joint(object_name(index)).dofadr[0])
        fingers = [int(model.joint(name).bodyid[0]) for name in self.robot.gripper.joints]
        across = data.xpos[fingers[0]] - data.xpos[fingers[1]]
        heading = float(np.arctan2(across[1], across[0])) + np.pi * (0.5 + float(rng.integers(2)))
        heading += float(rng.uniform(-config.spread, config.spread))
        data.qvel[address + 2] = config.lift
        pads = np.isin(model.geom_bodyid, fingers)
        friction = model.geom_friction[pads].copy()
        model.geom_friction[pads] = SLIPPERY
        for _ in range(round(config.duration / CONTROL_PERIOD)):
            data.qvel[address : address + 2] = config.speed * np.cos(heading), config.speed * np.sin(heading)
            self.world.advance(CONTROL_PERIOD)
        model.geom_friction[pads] = friction


def packed(
    pack: PackConfig, config: SceneConfig, bin_config: BinConfig, rng: np.random.Generator
) -> tuple[SceneObject, ...]:
    """Draw equal blocks in a rectangle that lies anywhere in the bin.

    Raises:
        ConfigError: the bin is too small for them.
    """
    rows, columns = (int(rng.integers(low, high + 1)) for low, high in (pack.rows, pack.columns))
    side, height = float(rng.uniform(*pack.side)), float(rng.uniform(*pack.height))
    pitch = side + pack.gap
    radius = pitch * float(np.hypot(rows, columns)) / 2.0
    room = min(bin_config.size[:2]) / 2.0 - radius
    if room < 0.0:
        raise ConfigError(f"pack: {rows} x {columns} blocks of {side:.3f} m do not fit into the bin")
    origin = np.array(bin_config.centre) + np.array([*rng.uniform(-room, room, 2), height / 2.0 + DROP])
    turn = quaternion_about_z(float(rng.uniform(-np.pi, np.pi)))
    frame = Pose(origin, turn)
    shape = Shape("box", (Part("box", (side / 2, side / 2, height / 2)),), (side,), height)
    density, friction = float(rng.uniform(*config.density)), float(rng.uniform(*config.friction))
    blocks = []
    for place in grid(rows, columns) * pitch:
        hue, *rest = rng.random(), rng.uniform(*config.object_saturation), rng.uniform(*config.object_value)
        pose = frame @ Pose(np.array([*place, 0.0]), np.array([0.0, 0.0, 0.0, 1.0]))
        blocks.append(SceneObject(shape, pose, density, friction, colorsys.hsv_to_rgb(hue, *rest)))
    return tuple(blocks)


def grid(rows: int, columns: int) -> NDArray[np.float64]:
    """Return the points of a grid of step 1 around the origin, shape (rows * columns, 2)."""
    points = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)
    centred: NDArray[np.float64] = points.reshape(-1, 2) - np.array([rows - 1, columns - 1]) / 2.0
    return centred
