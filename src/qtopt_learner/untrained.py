"""A checkpoint of fresh weights that fits the simulated cell, marked as untrained."""

from pathlib import Path

import numpy as np
import torch

from grasp_bringup.sim.scene import load_scene_config, sample_scene
from grasp_bringup.sim.world import World
from qtopt_policy.camera import CameraModel
from qtopt_policy.checkpoint import describe, save_checkpoint
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.registry import make_network
from qtopt_policy.preprocess import preprocess
from qtopt_policy.robot import RobotConfig


def simulated_camera(robot: RobotConfig, mdp: MdpConfig, name: str) -> CameraModel:
    """Return a camera of the simulated cell as the network looks through it, after crop and resize."""
    scenes = load_scene_config()
    world = World(robot, scenes, jitter_cameras=False, success_height=mdp.success_height)
    world.reset(sample_scene(scenes, "train", scenes.evaluation_seeds, robot.bin))
    raw = world.camera_model(name)
    blank = np.zeros((raw.height, raw.width, 3), dtype=np.uint8)
    return preprocess(blank, raw, robot.cameras[name].crop, mdp.image_size)[1]


def save_untrained(path: Path, robot: RobotConfig, mdp: MdpConfig, camera: str, seed: int) -> None:
    """Write a `compact` network with fresh weights drawn from `seed`.

    Raises:
        CheckpointError: the file cannot be written.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make_network("compact", mdp.action_spec(), mdp.observation_spec())
    info = describe(network, mdp, robot, [simulated_camera(robot, mdp, camera)])
    save_checkpoint(path, network, info)
