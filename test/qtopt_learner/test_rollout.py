from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest

from grasp_bringup.sim.env import GraspEnv
from qtopt_learner.rollout import Origin, roll_out
from qtopt_learner.rows import Layout
from qtopt_learner.transitions import episode_rows
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.random_policy import RandomPolicy


@pytest.fixture(scope="module")
def env() -> Iterator[GraspEnv]:
    env = GraspEnv(mdp=MdpConfig(max_steps=4, action_frame="tool"))
    yield env
    env.close()


ORIGIN = Origin("try", checkpoint="abc", epsilon=0.1, benchmark="b1")


def test_an_episode_is_complete_and_can_be_learned_from(env: GraspEnv) -> None:
    episode = roll_out(env, RandomPolicy(env.mdp), "train", 20_001, ORIGIN)
    rows = episode_rows(episode, env.mdp, env.robot.gripper.max_aperture)
    layout = Layout.of(env.mdp.action_spec(), env.mdp.observation_spec())
    assert 1 <= layout.check(rows) == len(episode.steps) <= 4
    assert episode.info.end_reason in ("terminate", "max_steps")
    assert episode.info.success == bool(episode.info.reward)
    assert rows["reward"][-1] == episode.info.reward
    assert (episode.info.episode_id, episode.info.seed) == ("try-20001", 20_001)
    assert episode.info.checkpoint == "abc"
    assert set(episode.steps.policy) == {"random"}


def test_each_step_holds_the_picture_before_its_move(env: GraspEnv) -> None:
    episode = roll_out(env, RandomPolicy(env.mdp), "train", 20_002, ORIGIN)
    env.reset(seed=20_002, options={"split": "train"})
    for t in range(len(episode.steps)):
        seen = env.observation
        np.testing.assert_array_equal(episode.steps.image[t], seen.image)
        np.testing.assert_allclose(episode.steps.tool_pose[t], seen.tool_pose.as_array())
        assert episode.steps.stamp[t] == seen.stamp
        env.step(episode.steps.asked[t])


def test_the_seed_decides_everything(env: GraspEnv) -> None:
    first, again, other = (
        roll_out(env, RandomPolicy(env.mdp), "train", seed, ORIGIN) for seed in (20_003, 20_003, 20_004)
    )
    for entry in fields(first.steps):
        np.testing.assert_array_equal(getattr(first.steps, entry.name), getattr(again.steps, entry.name))
    assert not np.array_equal(first.steps.image[0], other.steps.image[0])


def test_the_step_limit_ends_an_episode(env: GraspEnv) -> None:
    never = RandomPolicy(env.mdp, shares=(1.0, 0.0, 0.0, 0.0))
    episode = roll_out(env, never, "train", 20_005, replace(ORIGIN))
    assert episode.info.end_reason == "max_steps"
    assert len(episode.steps) == 4
    assert episode.steps.is_terminal.tolist() == [False, False, False, True]
