"""What is random about a scene, and one scene drawn from it: a function of split and seed alone.

Ranges and reasons: config/scene.yaml. A seed is an index within its split; the splits' ranges of entropy
are disjoint, so no scene of one split can occur in another.
"""

import colorsys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from grasp_bringup.sim.objects import FAMILIES, Range, Shape, SizeRanges, make_shape
from grasp_bringup.sim.placement import place
from qtopt_policy.config import load_config
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import Vector3
from qtopt_policy.robot import BinConfig
from qtopt_policy.share import resolve

Colour = tuple[float, float, float]
SCENE_FILE = Path("config/scene.yaml")
SEEDS_PER_SPLIT = 2**31


@dataclass(frozen=True)
class SplitConfig:
    """Object families of one split, and the number of its block of SEEDS_PER_SPLIT seeds."""

    families: tuple[str, ...]
    seed_block: int

    def __post_init__(self) -> None:
        for family in self.families:
            if family not in FAMILIES:
                raise UnknownNameError("object family", family, FAMILIES)


@dataclass(frozen=True)
class CameraSpec:
    """A simulated camera: image size [px], vertical field of view [deg], jitter of its pose [m], [rad]."""

    width: int = 128
    height: int = 128
    fovy: float = 75.0
    position_jitter: float = 0.005
    angle_jitter: float = 0.02


@dataclass(frozen=True)
class PhysicsConfig:
    """Constants of the simulation; SI units.

    Attributes:
        timestep: of the integration [s].
        impratio: stiffness of friction against that of contact normals (MuJoCo's impratio).
        noslip_iterations: of MuJoCo's noslip solver; 0 turns it off.
        pad_friction: sliding, torsional [m], rolling [m] of the finger pads.
        object_torsion, object_rolling: friction coefficients of objects [m].
        pad_solref, pad_solimp: contact parameters of the pads (MuJoCo): rubber yields a little.
        grip_stiffness, grip_damping: of the finger servo [N/m, N s/m].
        finger_armature: inertia of the gripper's drive as felt by each finger [kg].
        finger_speed: of each finger [m/s].
        arm_stiffness, arm_damping: servo gains per joint [N m/rad, N m s/rad].
        settle_time: objects fall for at most this long after a reset [s].
        settle_speed: and are at rest below this speed [m/s, rad/s].
        sleep_tolerance: speed below which MuJoCo puts resting objects to sleep [m/s].
    """

    timestep: float = 0.0025
    impratio: float = 50.0
    noslip_iterations: int = 0
    pad_friction: Vector3 = (1.0, 0.01, 0.0005)
    object_torsion: float = 0.003
    object_rolling: float = 0.0003
    pad_solref: tuple[float, float] = (0.01, 1.0)
    pad_solimp: Vector3 = (0.95, 0.99, 0.001)
    grip_stiffness: float = 2000.0
    grip_damping: float = 40.0
    finger_armature: float = 0.5
    finger_speed: float = 0.1
    arm_stiffness: tuple[float, ...] = (6000.0, 6000.0, 5000.0, 5000.0, 1500.0, 1500.0, 1000.0)
    arm_damping: tuple[float, ...] = (180.0, 180.0, 150.0, 150.0, 30.0, 30.0, 20.0)
    settle_time: float = 1.5
    settle_speed: float = 0.01
    sleep_tolerance: float = 0.002


@dataclass(frozen=True)
class SceneConfig:
    """Distribution of scenes. All ranges are uniform; SI units; colours in HSV.

    Attributes:
        splits: `train`, `test`: object families and seeds, both disjoint.
        evaluation_seeds: the first seeds of every split are kept for evaluation: GraspEnv draws later ones.
        object_count: least and largest number of objects.
        sizes: of the objects.
        density: [kg/m^3].
        friction: sliding friction of objects.
        gap: least horizontal distance between objects when they are dropped [m].
        wall_gap: least distance of a dropped object from the walls [m].
        drop_height: of an object's underside above the floor [m].
        object_saturation, object_value: of an object's colour; its hue is any.
        surface_saturation, surface_value: of table and bin.
        light_height, light_spread: of the lamp above the bin and to its sides [m].
        light_diffuse, light_ambient: brightness.
        cameras: by the names of the robot's configuration.
        physics: constants.
    """

    splits: dict[str, SplitConfig]
    cameras: dict[str, CameraSpec]
    evaluation_seeds: int = 10_000
    object_count: tuple[int, int] = (1, 10)
    sizes: SizeRanges = field(default_factory=SizeRanges)
    density: Range = (150.0, 700.0)
    friction: Range = (0.5, 1.0)
    gap: float = 0.01
    wall_gap: float = 0.015
    drop_height: Range = (0.005, 0.02)
    object_saturation: Range = (0.5, 1.0)
    object_value: Range = (0.35, 1.0)
    surface_saturation: Range = (0.0, 0.35)
    surface_value: Range = (0.25, 0.9)
    light_height: Range = (0.8, 1.6)
    light_spread: float = 0.6
    light_diffuse: Range = (0.4, 0.8)
    light_ambient: Range = (0.2, 0.45)
    physics: PhysicsConfig = field(default_factory=PhysicsConfig)

    def __post_init__(self) -> None:
        low, high = self.object_count
        if not 1 <= low <= high:
            raise ConfigError(f"object_count [{low}, {high}]: need 1 <= least <= largest")
        blocks = [split.seed_block for split in self.splits.values()]
        if len(set(blocks)) != len(blocks):
            raise ConfigError(f"splits: seed blocks {blocks} are not disjoint")
        families = [family for split in self.splits.values() for family in split.families]
        if len(set(families)) != len(families):
            raise ConfigError(f"splits: families {families} are not disjoint")


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object: shape, pose at which it is dropped (base frame), density, friction and colour."""

    shape: Shape
    pose: Pose
    density: float
    friction: float
    colour: Colour


@dataclass(frozen=True, eq=False)
class Scene:
    """One drawn scene; `camera_offsets` are poses of the true optical frames in the nominal ones."""

    split: str
    seed: int
    objects: tuple[SceneObject, ...]
    table_colour: Colour
    bin_colour: Colour
    light_position: Vector3
    light_diffuse: float
    light_ambient: float
    camera_offsets: dict[str, Pose]


def load_scene_config(path: Path = SCENE_FILE) -> SceneConfig:
    """Read a scene configuration; errors as `config.load_config`."""
    return load_config(resolve(path), SceneConfig)


def sample_scene(config: SceneConfig, split: str, seed: int, bin_config: BinConfig) -> Scene:
    """Draw scene number `seed` of a split.

    Raises:
        UnknownNameError: there is no such split.
        ConfigError: `seed` is not in 0 ... SEEDS_PER_SPLIT - 1.
    """
    if split not in config.splits:
        raise UnknownNameError("split", split, config.splits)
    if not 0 <= seed < SEEDS_PER_SPLIT:
        raise ConfigError(f"scene seed {seed}: must be in 0 ... {SEEDS_PER_SPLIT - 1}")
    chosen = config.splits[split]
    rng = np.random.default_rng(chosen.seed_block * SEEDS_PER_SPLIT + seed)
    count = int(rng.integers(config.object_count[0], config.object_count[1] + 1))
    families = [chosen.families[i] for i in rng.integers(len(chosen.families), size=count)]
    shapes = [make_shape(family, config.sizes, rng) for family in families]
    poses = place(shapes, bin_config, config.wall_gap, config.gap, config.drop_height, rng)
    return Scene(
        split=split,
        seed=seed,
        objects=tuple(_finish(s, p, config, rng) for s, p in zip(shapes, poses, strict=True) if p),
        table_colour=_colour(config.surface_saturation, config.surface_value, rng),
        bin_colour=_colour(config.surface_saturation, config.surface_value, rng),
        light_position=_light_position(config, bin_config, rng),
        light_diffuse=float(rng.uniform(*config.light_diffuse)),
        light_ambient=float(rng.uniform(*config.light_ambient)),
        camera_offsets={name: _camera_offset(spec, rng) for name, spec in sorted(config.cameras.items())},
    )


def _finish(shape: Shape, pose: Pose, config: SceneConfig, rng: np.random.Generator) -> SceneObject:
    density, friction = float(rng.uniform(*config.density)), float(rng.uniform(*config.friction))
    colour = _colour(config.object_saturation, config.object_value, rng)
    return SceneObject(shape, pose, density, friction, colour)


def _colour(saturation: Range, value: Range, rng: np.random.Generator) -> Colour:
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))


def _light_position(config: SceneConfig, bin_config: BinConfig, rng: np.random.Generator) -> Vector3:
    dx, dy = rng.uniform(-config.light_spread, config.light_spread, size=2)
    x, y, _ = bin_config.centre
    return (x + float(dx), y + float(dy), float(rng.uniform(*config.light_height)))


def _camera_offset(spec: CameraSpec, rng: np.random.Generator) -> Pose:
    position = rng.uniform(-spec.position_jitter, spec.position_jitter, size=3)
    half = rng.uniform(-spec.angle_jitter, spec.angle_jitter, size=3) / 2.0
    return Pose(position, np.array([*half, 1.0]))  # normalised: the angles are small
