import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from qtopt_policy.camera import Mount
from qtopt_policy.checkpoint import Checkpoint, describe
from qtopt_policy.errors import CheckpointError, ShapeError
from qtopt_policy.grasp_action import from_search
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.registry import make_network
from qtopt_policy.policies.cem_policy import CemPolicy
from qtopt_policy.search_config import DRIVING, CemConfig
from support.pictures import sim_robot
from support.policy_samples import make_camera, make_observation

ROBOT = sim_robot()
MDP = MdpConfig()


def make_checkpoint(mount: Mount = "tool") -> Checkpoint:
    torch.manual_seed(0)
    network = make_network("compact", MDP.action_spec(), MDP.observation_spec()).eval()
    info = describe(network, MDP, ROBOT, [make_camera(mount=mount)], steps=1)
    return Checkpoint(Path("model.safetensors"), info, "digest", network)


def test_it_takes_the_best_of_its_candidates() -> None:
    decision = CemPolicy(make_checkpoint(), MDP, ROBOT.gripper).decide(make_observation(0))
    assert decision.candidates is not None
    best = int(decision.candidates.q.argmax())
    action = from_search(decision.candidates.actions[best], MDP.action_spec())
    np.testing.assert_array_equal(decision.action.as_array(), action.as_array())
    assert decision.q == pytest.approx(float(decision.candidates.q[best]))
    assert 0.0 < decision.q < 1.0


@pytest.mark.parametrize("search", [CemConfig(), DRIVING])
def test_it_searches_as_told_and_shows_all_candidates(search: CemConfig) -> None:
    policy = CemPolicy(make_checkpoint(), MDP, ROBOT.gripper, search)
    candidates = policy.decide(make_observation(0)).candidates
    assert candidates is not None
    assert candidates.actions.shape == (search.iterations * search.samples, 8)
    assert candidates.q.shape == (search.iterations * search.samples,)
    assert int(candidates.elite.sum()) == search.elites


def test_equal_seeds_act_alike_and_others_do_not() -> None:
    policy = CemPolicy(make_checkpoint(), MDP, ROBOT.gripper)
    actions = []
    for seed in (1, 1, 2):
        policy.reset(seed)
        actions.append([policy.decide(make_observation(i)).action.as_array() for i in range(3)])
    np.testing.assert_array_equal(actions[0], actions[1])
    assert not np.array_equal(actions[0], actions[2])


def test_every_step_draws_new_noise() -> None:
    policy = CemPolicy(make_checkpoint(), MDP, ROBOT.gripper)
    first, second = (policy.decide(make_observation(0)).candidates for _ in range(2))
    assert first is not None
    assert second is not None
    assert not np.array_equal(first.actions, second.actions)


def test_one_search_for_several_episodes_finds_what_each_would_alone() -> None:
    policy = CemPolicy(make_checkpoint(), MDP, ROBOT.gripper)
    seeds, steps = [3, 1, 3], [0, 2, 1]
    together = policy.decide_all([make_observation(i) for i in range(3)], seeds, steps)
    for index, (seed, step) in enumerate(zip(seeds, steps, strict=True)):
        policy.reset(seed)
        for _ in range(step):
            policy.decide(make_observation(9))
        alone = policy.decide(make_observation(index))
        np.testing.assert_allclose(
            together[index].action.as_array(), alone.action.as_array(), rtol=0, atol=1e-4
        )
        assert together[index].q == pytest.approx(alone.q, abs=1e-4)
        assert together[index].candidates is not None


def test_tighter_bounds_are_kept() -> None:
    tight = dataclasses.replace(MDP, max_translation=0.01, max_yaw=0.1)
    action = CemPolicy(make_checkpoint(), tight, ROBOT.gripper).decide(make_observation(0)).action
    assert np.abs(action.translation).max() <= 0.01 + 1e-6
    assert abs(action.yaw) <= 0.1 + 1e-6


def test_a_checkpoint_for_another_camera_mount_is_refused() -> None:
    policy = CemPolicy(make_checkpoint("base"), MDP, ROBOT.gripper)
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: trained for camera mount base, but this robot uses tool"
    ):
        policy.decide(make_observation(0, mount="tool"))


def test_a_camera_outside_the_envelope_is_refused_unless_allowed() -> None:
    observation = make_observation(0)
    other = dataclasses.replace(observation, camera=dataclasses.replace(observation.camera, fx=200.0))
    with pytest.raises(CheckpointError, match="fx 200 is not in the trained"):
        CemPolicy(make_checkpoint(), MDP, ROBOT.gripper).decide(other)
    CemPolicy(make_checkpoint(), MDP, ROBOT.gripper, allow_outside_envelope=True).decide(other)


def test_another_task_is_refused_at_once() -> None:
    with pytest.raises(CheckpointError, match="action_frame"):
        CemPolicy(make_checkpoint(), dataclasses.replace(MDP, action_frame="base"), ROBOT.gripper)


def test_another_gripper_is_refused_at_once() -> None:
    wide = dataclasses.replace(ROBOT.gripper, max_aperture=0.14)
    with pytest.raises(CheckpointError, match=r"opening 0\.14"):
        CemPolicy(make_checkpoint(), MDP, wide)


def test_a_q_that_is_not_finite_never_becomes_a_move() -> None:
    checkpoint = make_checkpoint()
    next(checkpoint.network.parameters()).data.fill_(float("nan"))
    with pytest.raises(ShapeError, match="Q values are not finite"):
        CemPolicy(checkpoint, MDP, ROBOT.gripper).decide(make_observation(0))


def test_threads_are_left_alone_when_asked() -> None:
    before = torch.get_num_threads()
    CemPolicy(make_checkpoint(), MDP, ROBOT.gripper, threads=None)
    assert torch.get_num_threads() == before
