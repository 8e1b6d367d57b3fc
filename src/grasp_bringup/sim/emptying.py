"""A full bin that is grasped from without replacement (bin emptying, 1806.10293, section 6.1).

More objects than fit side by side are poured in: scenes of the benchmark's generator are dropped one above
the other between walls that are higher than the bin's, with the arm turned away. Then the walls are as they
are, and what does not hold slides down, some of it out of the bin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from grasp_bringup.sim.benchmark import Benchmark
from grasp_bringup.sim.env import GraspEnv
from grasp_bringup.sim.model import WALL_THICKNESS
from grasp_bringup.sim.scene import Scene, SceneConfig, SceneObject, sample_scene
from grasp_bringup.sim.world import World
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import BinConfig, RobotConfig

# Number of the next scene above a scene; within the seeds that are kept from training.
SCENE_STRIDE = 1000
MOST_SCENES = 9


@dataclass(frozen=True)
class EmptyingConfig:
    """One emptying.

    Attributes:
        objects: in the bin at first.
        attempts: at grasping, less if the bin is empty before.
        repeats: emptyings of each policy.
        wall_height: of the walls between which the objects are poured [m].
    """

    objects: int = 28
    attempts: int = 30
    repeats: int = 5
    wall_height: float = 0.3

    def __post_init__(self) -> None:
        for name in ("objects", "attempts", "repeats"):
            if getattr(self, name) < 1:
                raise ConfigError(f"emptying: {name} {getattr(self, name)}: must be at least 1")


class Filler:
    """Fills the bin.

    Args:
        robot: whose bin it is; its arm is turned away meanwhile, by a quarter about its first joint.
        scenes: distribution of the scenes that are poured in.
        config: how many objects.
    """

    def __init__(self, robot: RobotConfig, scenes: SceneConfig, config: EmptyingConfig) -> None:
        walls = replace(robot.bin, size=(*robot.bin.size[:2], config.wall_height))
        home = (robot.home[0] + np.pi / 2.0, *robot.home[1:])
        self._world = World(replace(robot, bin=walls, home=home), scenes)
        self._scenes = scenes
        self._count = config.objects

    def fill(self, split: str, seed: int) -> Scene:
        """Return scene number `seed` of a split with the full bin's objects at rest, a function of both.

        Raises:
            ConfigError: so many objects do not fit between the walls.
        """
        robot = self._world.robot
        objects: tuple[SceneObject, ...] = ()
        for number in range(MOST_SCENES):
            drawn = sample_scene(self._scenes, split, seed + number * SCENE_STRIDE, robot.bin)
            above = drawn.objects[: self._count - len(objects)]
            objects = self._pour(drawn, objects, above)
            if len(objects) == self._count:
                return replace(sample_scene(self._scenes, split, seed, robot.bin), objects=objects)
        raise ConfigError(f"emptying: {len(objects)} of {self._count} objects fit into the bin")

    def _pour(
        self, scene: Scene, lying: tuple[SceneObject, ...], above: tuple[SceneObject, ...]
    ) -> tuple[SceneObject, ...]:
        """Drop objects above those that lie there; return all of them at rest, without what fell out."""
        walls = self._world.robot.bin
        reach = self._scenes.sizes.length[1] / 2.0  # of a standing object above its centre
        heights = [float(item.pose.position[2]) - walls.centre[2] for item in lying]
        lift = max(heights) + reach if heights else 0.0
        up = Pose(np.array([0.0, 0.0, lift]), Pose.identity().quaternion)
        objects = (*lying, *(replace(item, pose=up @ item.pose) for item in above))
        self._world.reset(replace(scene, objects=objects))
        moved = _moved(objects, self._world.truth().object_poses)
        return tuple(item for item in moved if in_bin(item, walls))


def in_bin(item: SceneObject, walls: BinConfig) -> bool:
    """Return whether the middle of an object lies within or above the bin."""
    away = np.abs(item.pose.position - np.array(walls.centre)) - np.array(walls.size) / 2.0
    return bool((away[:2] < WALL_THICKNESS).all())


def _moved(objects: Sequence[SceneObject], poses: Sequence[Pose]) -> tuple[SceneObject, ...]:
    return tuple(replace(item, pose=pose) for item, pose in zip(objects, poses, strict=True))


class EmptyingEnv(GraspEnv):
    """GraspEnv whose objects stay where they are from one episode to the next; what is grasped is taken out.

    Args:
        benchmark: robot and physics.
        mdp: definition of steps.
        scenes: distribution of the scenes that are poured in.
        config: how full the bin is.
        camera: name of the active camera.
        split: of the scenes.
        rendered: without it images stay black.

    Attributes:
        contents: the scene as it was when the last episode had ended.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        mdp: MdpConfig,
        scenes: SceneConfig,
        config: EmptyingConfig,
        camera: str = "wrist",
        split: str = "test",
        rendered: bool = True,
    ) -> None:
        super().__init__(benchmark.robot, mdp, scenes, camera, split, rendered)
        self._filler = Filler(benchmark.robot, scenes, config)
        self.contents: Scene | None = None

    def fill(self, seed: int) -> None:
        """Fill the bin and begin the first episode."""
        self.contents = self._filler.fill(self.split, seed)
        self.reset(seed=seed)
        self._look()

    def take_out(self) -> None:
        """After an episode: take out what was lifted, for good."""
        truth = self.truth()
        self._look(truth.held if truth.lifted else None)

    def go_on(self) -> None:
        """Begin the next episode: the arm at home, the objects where they are."""
        self.reset(seed=self._seed)

    @property
    def inside(self) -> int:
        """How many objects lay in the bin when the last episode had ended, or when it was filled."""
        objects = () if self.contents is None else self.contents.objects
        return sum(in_bin(item, self.robot.bin) for item in objects)

    def _look(self, taken: int | None = None) -> None:
        """Note where the objects are, without number `taken`."""
        assert self.contents is not None
        moved = _moved(self.contents.objects, self.truth().object_poses)
        left = tuple(item for index, item in enumerate(moved) if index != taken)
        self.contents = replace(self.contents, objects=left)

    def _draw(self, seed: int) -> Scene:
        return super()._draw(seed) if self.contents is None else self.contents
