"""The benchmark's definition and its digest: what a success rate must be quoted with."""

import hashlib
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from grasp_bringup.sim.scene import Scene, SceneConfig, load_scene_config, sample_scene
from qtopt_policy.config import load_config, to_mapping
from qtopt_policy.errors import ConfigError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve

BENCHMARK_FILE = Path("config/benchmark_v1.yaml")
PROBES = 5  # scenes per split whose content goes into the digest, so that it covers the generator's code
# What a learner may choose without changing the task.
FREE_MDP_KEYS = ("action_frame", "max_skew", "step_penalty", "discount", "image_size")

# What the drivers are called, and what only MoveIt is told, is no part of the task.
FREE_ROBOT_KEYS = ("driver", "table")


@dataclass(frozen=True)
class BenchmarkFile:
    """Keys of config/benchmark_v*.yaml; config/benchmark_v1.yaml explains them."""

    version: int
    scene: Path
    robot: Path
    mdp: Path
    first_seed: int
    episodes: int


@dataclass(frozen=True)
class Benchmark:
    """The benchmark with everything that it refers to.

    Attributes:
        version: of its definition.
        scene: distribution of scenes.
        robot: the cell.
        mdp: the task's definition of steps, ends and success.
        seeds: of the evaluation scenes of each split.
    """

    version: int
    scene: SceneConfig
    robot: RobotConfig
    mdp: MdpConfig
    seeds: range

    @cached_property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the canonical content."""
        text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def content(self) -> dict[str, Any]:
        """Return what the digest covers, as JSON types."""
        mdp = to_mapping(self.mdp)
        return {
            "version": self.version,
            "seeds": [self.seeds.start, self.seeds.stop],
            "scene": to_mapping(self.scene),
            "mdp": {key: value for key, value in mdp.items() if key not in FREE_MDP_KEYS},
            "robot": {k: v for k, v in to_mapping(self.robot).items() if k not in FREE_ROBOT_KEYS},
            "description": [_canonical(self.robot.urdf), _canonical(self.robot.srdf)],
            "probes": [_fingerprint(scene) for scene in self._probes()],
        }

    def _probes(self) -> list[Scene]:
        scenes = self.scene.splits
        return [
            sample_scene(self.scene, split, seed, self.robot.bin)
            for split in sorted(scenes)
            for seed in range(self.seeds.start, self.seeds.start + PROBES)
        ]


def load_benchmark(path: Path = BENCHMARK_FILE) -> Benchmark:
    """Read a benchmark and what it refers to; errors as `config.load_config`.

    Raises:
        ConfigError: also if its seeds are not kept from training.
    """
    source = resolve(path)
    keys = load_config(source, BenchmarkFile)
    scene = load_scene_config(keys.scene)
    seeds = range(keys.first_seed, keys.first_seed + keys.episodes)
    if seeds.start < 0 or seeds.stop > scene.evaluation_seeds or not seeds:
        raise ConfigError(
            f"{source}: seeds {seeds.start} to {seeds.stop - 1} must lie within the scene file's "
            f"evaluation_seeds, 0 to {scene.evaluation_seeds - 1}"
        )
    mdp = load_config(resolve(keys.mdp), MdpConfig)
    return Benchmark(keys.version, scene, load_robot(resolve(keys.robot)), mdp, seeds)


def _canonical(path: Path) -> str:
    """Return the SHA-256 of an XML file without its comments and formatting."""
    text = ElementTree.canonicalize(from_file=str(resolve(path)), strip_text=True, with_comments=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _fingerprint(scene: Scene) -> list[Any]:
    """Return families, sizes and places of a scene, rounded to 0.1 mm: the same on every machine."""

    def rounded(values: Any) -> list[int]:
        return [round(float(value) * 1e4) for value in values]

    return [
        [
            item.shape.family,
            [[part.kind, rounded((*part.size, *part.position))] for part in item.shape.parts],
            rounded(item.pose.as_array()),
        ]
        for item in scene.objects
    ]


def require_robot(benchmark: Benchmark, robot: RobotConfig, name: Path) -> None:
    """Refuse a robot that is not the one which the benchmark simulates.

    Args:
        benchmark: whose scenes are to be played.
        robot: that is asked for.
        name: of its file.

    Raises:
        ConfigError: it is another one.
    """
    if to_mapping(robot) != to_mapping(benchmark.robot):
        raise ConfigError(
            f"robot {name}: simulation plays the benchmark's robot, {benchmark.robot.name}. Without "
            "simulated actors any robot's bags can be learned from"
        )
