"""Full bins of few objects."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.emptying import EmptyingConfig, EmptyingEnv, Filler, in_bin
from grasp_bringup.sim.oracle import OraclePolicy
from grasp_bringup.sim.scenario import load_scenario
from grasp_bringup.sim.scene import SceneConfig
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import TERMINATE, GraspAction

BENCHMARK = load_benchmark()
BIN = BENCHMARK.robot.bin
STOP = GraspAction(np.zeros(3), 0.0, TERMINATE).as_array()


def scenes(count: int) -> SceneConfig:
    return replace(BENCHMARK.scene, object_count=(count, count))


def make(objects: int) -> EmptyingEnv:
    config = EmptyingConfig(objects=objects)
    return EmptyingEnv(BENCHMARK, BENCHMARK.mdp, scenes(objects), config, rendered=False)


def positions(env: EmptyingEnv) -> NDArray[np.float64]:
    return np.array([pose.position for pose in env.truth().object_poses])


def grasp(env: EmptyingEnv) -> bool:
    """Let the oracle play an episode; return whether it lifted something."""
    policy = OraclePolicy(env.world, env.mdp)
    while True:
        _, _, ended, _, info = env.step(policy.decide(env.observation).action.as_array())
        if ended:
            return bool(info["truth"])


def test_what_does_not_fit_in_one_scene_is_poured_above_it() -> None:
    filler = Filler(BENCHMARK.robot, scenes(3), EmptyingConfig(objects=7))
    objects = filler.fill("test", 1).objects
    assert len(objects) == 7
    assert all(in_bin(item, BIN) for item in objects)
    families = BENCHMARK.scene.splits["test"].families
    assert {item.shape.family for item in objects} <= set(families)
    # At rest: the lowest point of nothing is far from the floor or from what it lies on.
    assert max(item.pose.position[2] for item in objects) < 0.12


def test_a_full_bin_is_a_function_of_the_seed() -> None:
    config = EmptyingConfig(objects=4)
    one, other = (Filler(BENCHMARK.robot, scenes(3), config) for _ in range(2))
    other.fill("test", 2)
    for a, b in zip(one.fill("test", 1).objects, other.fill("test", 1).objects, strict=True):
        np.testing.assert_array_equal(a.pose.as_array(), b.pose.as_array())


def test_more_objects_than_there_is_room_for_are_refused() -> None:
    filler = Filler(BENCHMARK.robot, scenes(1), EmptyingConfig(objects=11))
    with pytest.raises(ConfigError, match="9 of 11 objects"):
        filler.fill("test", 0)


def test_what_was_lifted_is_gone_and_the_rest_stays_where_it_was() -> None:
    env = make(3)
    env.fill(1)
    assert env.inside == 3
    assert grasp(env)
    before = positions(env)
    held = env.truth().held
    assert held is not None
    env.take_out()
    env.go_on()
    assert env.inside == 2
    np.testing.assert_allclose(positions(env), np.delete(before, held, axis=0), atol=0.005)
    assert env.truth().held is None
    assert env.world.tool_pose().distance(BENCHMARK.robot.start_pose) < 0.01


def test_a_miss_takes_nothing_out() -> None:
    env = make(2)
    env.fill(1)
    before = positions(env)
    env.step(STOP)
    env.take_out()
    env.go_on()
    assert env.inside == 2
    np.testing.assert_allclose(positions(env), before, atol=0.005)


def test_an_object_beside_the_bin_is_not_in_it() -> None:
    item = Filler(BENCHMARK.robot, scenes(1), EmptyingConfig(objects=1)).fill("test", 0).objects[0]
    beyond = np.array(BIN.centre) + np.array([BIN.size[0] / 2 + 0.03, 0.0, 0.02])
    assert in_bin(item, BIN)
    assert not in_bin(replace(item, pose=Pose(beyond, item.pose.quaternion)), BIN)


def test_the_scenario_is_the_papers() -> None:
    found = load_scenario("emptying").emptying
    assert found is not None
    assert (found.objects, found.attempts, found.repeats) == (28, 30, 5)


def test_an_emptying_without_objects_is_refused() -> None:
    with pytest.raises(ConfigError, match="objects 0: must be at least 1"):
        EmptyingConfig(objects=0)
