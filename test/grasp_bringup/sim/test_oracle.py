"""The oracle and its planner: the ceiling is high on both splits, and plans are sound."""

import numpy as np
import pytest

from grasp_bringup.sim.env import GraspEnv
from grasp_bringup.sim.grasp_planner import build_cloud, plan_grasps
from grasp_bringup.sim.oracle import OraclePolicy

EPISODES = 8


@pytest.fixture(scope="module")
def env() -> GraspEnv:
    return GraspEnv(rendered=False)


@pytest.mark.parametrize("split", ["train", "test"])
def test_oracle_grasps_nearly_always(env: GraspEnv, split: str) -> None:
    """500 episodes per split are bench/bench_oracle.py's work; this notices a broken bin."""
    policy, wins = OraclePolicy(env.world, env.mdp), 0
    for seed in range(EPISODES):
        env.reset(seed=seed, options={"split": split})
        policy.reset(seed)
        ended = False
        while not ended:
            _, _, ended, _, info = env.step(policy.decide(env.observation).action.as_array())
        wins += info["truth"]
        assert info["truth"] == info["success"]
    assert wins >= EPISODES - 1


def test_oracle_stays_within_the_bounds_of_an_action(env: GraspEnv) -> None:
    policy = OraclePolicy(env.world, env.mdp)
    env.reset(seed=3)
    policy.reset(3)
    for _ in range(4):
        action = policy.decide(env.observation).action
        assert np.abs(action.translation).max() <= env.mdp.max_translation + 1e-9
        assert abs(action.yaw) <= env.mdp.max_yaw
        env.step(action.as_array())


def test_planned_grasps_close_across_the_object_and_miss_everything_else(env: GraspEnv) -> None:
    env.reset(seed=1, options={"split": "train"})
    scene = env.world.scene
    assert scene is not None
    cloud = build_cloud(scene, env.truth().object_poses)
    best = plan_grasps(cloud, env.robot.bin, env.robot.limits)[0]
    local = best.pose.inverse().transform(cloud.points)
    own = cloud.owner == best.index
    pads = (np.abs(local[:, 0]) < 0.01) & (local[:, 2] < 0.01) & (local[:, 2] > -0.013)
    assert np.abs(local[own & pads, 1]).max() < 0.04
    assert np.ptp(local[own & pads, 1]) == pytest.approx(best.width, abs=0.004)
    fingers = (np.abs(np.abs(local[:, 1]) - 0.045) < 0.005) & pads
    assert not fingers.any()
