from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.oracle import OraclePolicy
from grasp_bringup.sim.scenario import PackConfig, ScenarioEnv, grid, load_scenario, packed
from grasp_bringup.sim.scene import sample_scene
from qtopt_policy.errors import ConfigError, UnknownNameError

BENCHMARK = load_benchmark()
BIN = BENCHMARK.robot.bin


def make(name: str) -> ScenarioEnv:
    return ScenarioEnv(BENCHMARK, BENCHMARK.mdp, load_scenario(name), rendered=False)


def play(env: ScenarioEnv, seed: int) -> list[int | None]:
    """Let the oracle play; return what it held after each step but the last."""
    policy = OraclePolicy(env.world, env.mdp)
    env.reset(seed=seed)
    policy.reset(seed)
    held: list[int | None] = []
    while True:
        _, _, ended, _, _ = env.step(policy.decide(env.observation).action.as_array())
        if ended:
            return held
        held.append(env.truth().held)


def test_unknown_scenarios_are_named() -> None:
    with pytest.raises(UnknownNameError, match="singulation"):
        load_scenario("juggling")


def test_no_packed_block_has_two_opposite_free_sides() -> None:
    pack = load_scenario("singulation").pack
    assert pack is not None
    opening = BENCHMARK.robot.gripper.max_aperture
    for seed in range(20):
        blocks = packed(pack, BENCHMARK.scene, BIN, np.random.default_rng(seed))
        side = blocks[0].shape.widths[0]
        assert side < opening < 2 * side
        for block in blocks:
            away = [block.pose.inverse() @ other.pose for other in blocks if other is not block]
            near = [p.position[:2] for p in away if np.abs(p.position[:2]).sum() < 1.5 * side]
            # A neighbour on one side of each of the block's two axes.
            assert all(any(abs(p[axis]) > side / 2 for p in near) for axis in (0, 1))


def test_packs_lie_in_the_bin_and_stay_packed() -> None:
    env = make("singulation")
    env.reset(seed=3)
    inside = np.array(BIN.size[:2]) / 2
    poses = [pose.position for pose in env.truth().object_poses]
    assert all((np.abs(p[:2] - BIN.centre[:2]) < inside).all() for p in poses)
    nearest = min(np.linalg.norm(poses[0] - p) for p in poses[1:])
    assert nearest < 0.052


def test_a_pack_that_does_not_fit_is_refused() -> None:
    big = PackConfig(rows=(9, 9))
    with pytest.raises(ConfigError, match="do not fit"):
        packed(big, BENCHMARK.scene, BIN, np.random.default_rng(0))


def test_clutter_has_ten_objects_or_more() -> None:
    scenes = load_scenario("clutter").of_scene(BENCHMARK.scene)
    counts = [len(sample_scene(scenes, "test", seed, BIN).objects) for seed in range(60)]
    assert min(counts) >= 10


@pytest.mark.parametrize("name", ["regrasp", "perturbation"])
def test_what_is_held_first_is_lost_once(name: str) -> None:
    env = make(name)
    assert play(env, 1).count(None) > 0
    assert env.disturbed
    # The same without the disturbance holds it.
    calm = ScenarioEnv(BENCHMARK, BENCHMARK.mdp, replace(env.scenario, disturbance=None), rendered=False)
    held = play(calm, 1)
    assert not calm.disturbed
    assert any(each is not None for each in held)


def test_after_the_disturbance_the_fingers_are_empty_and_grip_again() -> None:
    env = make("perturbation")
    env.reset(seed=1)
    model, _ = env.world.mujoco_state
    before = model.geom_friction.copy()
    policy = OraclePolicy(env.world, env.mdp)
    policy.reset(1)
    while not env.disturbed:
        env.step(policy.decide(env.observation).action.as_array())
    assert env.truth().held is None
    np.testing.assert_array_equal(model.geom_friction, before)


def test_scenes_are_a_function_of_the_seed() -> None:
    one, other = make("singulation"), make("singulation")
    one.reset(seed=5)
    other.reset(seed=5)
    for a, b in zip(one.truth().object_poses, other.truth().object_poses, strict=True):
        np.testing.assert_array_equal(a.as_array(), b.as_array())


def test_grids_are_centred() -> None:
    np.testing.assert_allclose(grid(2, 3).mean(axis=0), 0.0)
    assert grid(2, 3).shape == (6, 2)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "scenarios.yaml"
    path.write_text("scenarios: {few: {object_count: [1, 2]}}\n")
    assert load_scenario("few", path).of_scene(BENCHMARK.scene).object_count == (1, 2)
