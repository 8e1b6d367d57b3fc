"""One episode in GraspEnv as an Episode: what a bag of the ROS graph would hold of it."""

from dataclasses import dataclass, replace

import numpy as np

from grasp_bringup.sim.env import GraspEnv
from qtopt_collector.bags.records import stack_steps
from qtopt_collector.episode import Episode, EpisodeInfo
from qtopt_policy.config import to_mapping
from qtopt_policy.policies.base import Policy
from qtopt_policy.share import package_version


@dataclass(frozen=True)
class Origin:
    """Where an episode comes from, for its information.

    Attributes:
        prefix: of its id; id = prefix-seed, or prefix-chance where that is given.
        checkpoint: digest of the weights or "".
        epsilon: share of random actions.
        benchmark: digest of the benchmark's definition or "".
    """

    prefix: str
    checkpoint: str = ""
    epsilon: float = 0.0
    benchmark: str = ""


def roll_out(
    env: GraspEnv, policy: Policy, split: str, seed: int, origin: Origin, chance: int | None = None
) -> Episode:
    """Play one episode; the scene comes from `seed`, the policy's chance from `chance`, or `seed` too."""
    chance = seed if chance is None else chance
    _, info = env.reset(seed=seed, options={"split": split})
    policy.reset(chance)
    camera = env.observation.camera
    records, images = [], []
    name = f"{origin.prefix}-{chance}"
    done = False
    while not done:
        observation = env.observation
        decision = policy.decide(observation)
        _, _, done, _, info = env.step(decision.action.as_array())
        record = replace(info["step"], episode_id=name, policy=policy.name, q=decision.q)
        records.append(record)
        images.append(observation.image)
    described = EpisodeInfo(
        episode_id=name,
        seed=seed,
        policy=policy.name,
        end_reason=info["end_reason"],
        success=info["success"],
        reward=float(info["success"]),
        truth=info["truth"],
        aperture_closed=info["aperture_closed"],
        aperture_lifted=info["aperture_lifted"],
        checkpoint=origin.checkpoint,
        epsilon=origin.epsilon,
        robot=env.robot.name,
        benchmark=origin.benchmark,
        package_version=package_version(),
        limits=to_mapping(env.robot.limits),
        mdp=to_mapping(env.mdp),
    )
    return Episode(described, stack_steps(records, np.stack(images)), camera)
