"""GraspEnv: Gymnasium's contract, determinism, the definition of steps, ends and rewards."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from grasp_bringup.sim.env import GraspEnv
from qtopt_policy.errors import ConfigError, ShapeError, UnknownKeyError, UnknownNameError

DOWN, CLOSE, TERMINATE = 2, 5, 7
BOUNDS = (np.array([-0.04] * 3 + [-1.0] * 2 + [0.0] * 3), np.array([0.04] * 3 + [1.0] * 5))


@pytest.fixture(scope="module")
def env() -> Iterator[GraspEnv]:
    env = GraspEnv(render_mode="rgb_array")
    yield env
    env.close()


def action(**values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    names = {"dx": 0, "dy": 1, "dz": DOWN, "sin": 3, "cos": 4, "close": CLOSE, "open": 6, "end": TERMINATE}
    array = np.zeros(8)
    for name, value in values.items():
        array[names[name]] = value
    return array


def random_episode(env: GraspEnv, seed: int, split: str = "train") -> list[Any]:
    rng = np.random.default_rng(seed)
    trace: list[Any] = [env.reset(seed=seed, options={"split": split})]
    for _ in range(5):
        values = rng.uniform(*BOUNDS)
        values[TERMINATE] = 0.0
        trace.append(env.step(values))
    trace.append(env.step(action(end=1.0)))
    return trace


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [item for key in sorted(value) for item in flat(value[key])]
    if isinstance(value, list | tuple):
        return [item for part in value for item in flat(part)]
    return [value.tobytes()] if isinstance(value, np.ndarray) else [repr(value)]


def test_passes_gymnasiums_checker(env: GraspEnv) -> None:
    check_env(env, skip_render_check=True)


def test_episodes_are_bitwise_deterministic_whatever_came_before(env: GraspEnv) -> None:
    first = flat(random_episode(env, 7))
    random_episode(env, 3, "test")
    assert flat(random_episode(env, 7)) == first
    other = GraspEnv()
    assert flat(random_episode(other, 7)) == first
    other.close()


def test_other_seeds_and_splits_give_other_scenes(env: GraspEnv) -> None:
    images = {
        env.reset(seed=s, options={"split": n})[0]["image"].tobytes()
        for s in (1, 2)
        for n in ("train", "test")
    }
    assert len(images) == 4


def test_scenes_without_a_seed_are_never_evaluation_scenes(env: GraspEnv) -> None:
    env.reset(seed=1)
    drawn = [env.reset()[1]["seed"] for _ in range(3)]
    assert min(drawn) >= env.config.evaluation_seeds
    env.reset(seed=1)
    assert env.reset()[1]["seed"] == drawn[0]


def test_split_stays_until_it_is_changed(env: GraspEnv) -> None:
    env.reset(seed=0, options={"split": "test"})
    _, info = env.reset(seed=1)
    assert info["split"] == "test"
    assert set(info["families"]) <= set(env.config.splits["test"].families)
    env.reset(seed=0, options={"split": "train"})


def test_move_in_the_tool_frame_arrives_where_it_should(env: GraspEnv) -> None:
    env.reset(seed=0)
    start = env.world.tool_pose()
    observation, reward, ended, truncated, info = env.step(
        action(dx=0.02, dy=-0.03, dz=0.01, sin=0.4, cos=0.9)
    )
    moved = env.world.tool_pose()
    # The tool's z points down and its y to the robot's right.
    assert np.allclose(moved.position - start.position, [0.02, 0.03, -0.01], atol=0.003)
    assert moved.yaw() - start.yaw() == pytest.approx(np.arctan2(0.4, 0.9), abs=0.035)
    assert info["step"].end_cause == "arrived"
    assert not info["step"].altered
    assert reward == -env.mdp.step_penalty
    assert not ended
    assert not truncated
    assert observation["height_to_bottom"][0] == pytest.approx(0.165, abs=0.003)


def test_close_moves_first_and_waits_for_the_fingers(env: GraspEnv) -> None:
    env.reset(seed=0)
    observation, _, _, _, info = env.step(action(dz=-0.02, close=1.0))
    assert observation["gripper_closed"][0] == 1.0
    assert observation["aperture"][0] < 0.002
    assert info["step"].end_cause == "gripper_settled"
    assert env.world.tool_pose().position[2] == pytest.approx(0.2, abs=0.003)
    observation, *_ = env.step(action(open=1.0))
    assert observation["gripper_closed"][0] == 0.0
    assert observation["aperture"][0] == pytest.approx(0.08, abs=0.002)


def test_fingers_that_do_not_move_are_waited_for_as_the_robot_file_says(env: GraspEnv) -> None:
    driver = replace(env.robot.driver, gripper_reaction_time=0.5)
    other = GraspEnv(robot=replace(env.robot, driver=driver), rendered=False)
    times = []
    for each in (env, other):
        each.reset(seed=0)
        each.step(action(close=1.0))
        start = each.world.time
        each.step(action(close=1.0))
        times.append(each.world.time - start)
    other.close()
    assert times[1] - times[0] == pytest.approx(0.4, abs=0.011)


def test_terminate_ends_lifts_and_judges_without_moving_first(env: GraspEnv) -> None:
    env.reset(seed=0)
    before = env.world.tool_pose().position[2]
    _, reward, ended, _, info = env.step(action(dx=0.04, end=1.0))
    after = env.world.tool_pose()
    assert ended
    assert reward == 0.0
    assert info["end_reason"] == "terminate"
    assert info["reason"] == "gripper open"
    assert info["success"] is False
    assert info["truth"] is False
    assert after.position[2] - before == pytest.approx(env.mdp.lift_height, abs=0.004)
    assert after.position[0] == pytest.approx(0.5, abs=0.003)


def test_last_step_is_terminal_and_judged(env: GraspEnv) -> None:
    env.reset(seed=0)
    for index in range(env.mdp.max_steps):
        _, _, ended, _, info = env.step(action(dz=-0.002))
        assert info["step"].index == index
        assert ended == (index == env.mdp.max_steps - 1)
    assert info["end_reason"] == "max_steps"
    assert "success" in info


def test_stepping_after_the_end_is_refused(env: GraspEnv) -> None:
    env.reset(seed=0)
    env.step(action(end=1.0))
    with pytest.raises(gymnasium.error.ResetNeeded, match="ended"):
        env.step(action())


def test_target_is_clipped_to_the_workspace_before_it_is_recorded(env: GraspEnv) -> None:
    env.reset(seed=0)
    for _ in range(9):
        _, _, _, _, info = env.step(action(dz=-0.04))
    assert env.world.tool_pose().position[2] == pytest.approx(env.robot.limits.workspace_max[2], abs=0.003)
    assert abs(info["step"].asked[DOWN]) < 0.004
    assert not info["step"].altered


def test_values_beyond_the_bounds_are_clipped_to_them(env: GraspEnv) -> None:
    env.reset(seed=0)
    _, _, _, _, info = env.step(action(dz=-5.0, sin=1.0, cos=0.0))
    assert info["step"].asked[DOWN] == pytest.approx(-env.mdp.max_translation)
    assert np.arctan2(*info["step"].asked[3:5]) == pytest.approx(env.mdp.max_yaw)


def test_of_several_flags_the_highest_counts(env: GraspEnv) -> None:
    env.reset(seed=0)
    observation, _, ended, _, _ = env.step(action(close=0.9, open=0.8, end=0.7))
    assert observation["gripper_closed"][0] == 1.0
    assert not ended


def test_pressing_on_an_object_is_recorded_as_contact(env: GraspEnv) -> None:
    """Fingers that come down on an object cannot arrive: the step times out with what was reached."""
    for seed in range(40):
        env.reset(seed=seed)
        for _ in range(5):
            _, _, _, _, info = env.step(action(dz=0.04))
            if info["step"].contact:
                step = info["step"]
                assert step.altered
                assert step.end_cause == "timeout"
                assert step.executed[DOWN] < step.asked[DOWN]
                return
    pytest.fail("no contact in 40 scenes")


def test_observation_of_policies_equals_the_arrays(env: GraspEnv) -> None:
    arrays, _ = env.reset(seed=4)
    typed = env.observation
    assert (typed.image == arrays["image"]).all()
    assert np.allclose(typed.tool_pose.as_array(), arrays["tool_pose"], atol=1e-6)
    assert arrays["camera"][:4] == pytest.approx(
        [typed.camera.fx, typed.camera.fy, typed.camera.cx, typed.camera.cy]
    )
    assert typed.height_to_bottom == pytest.approx(float(typed.tool_pose.position[2]) - 0.005)
    assert env.mdp.image_size == typed.image.shape[:2]


def test_no_observation_before_the_first_reset() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        _ = GraspEnv(rendered=False).observation


def test_unrendered_images_are_black() -> None:
    arrays, _ = GraspEnv(rendered=False).reset(seed=0)
    assert not arrays["image"].any()


@pytest.mark.parametrize("jitter", [True, False])
def test_without_jitter_the_camera_is_where_the_urdf_has_it(jitter: bool) -> None:
    env = GraspEnv(rendered=False, jitter_cameras=jitter)
    poses = []
    for seed in (1, 2):
        env.reset(seed=seed)
        poses.append(env.observation.camera.pose)
    assert (poses[0].distance(poses[1]) < 1e-6) is not jitter
    env.close()


@pytest.mark.parametrize("bad", [np.zeros(7), np.full(8, np.nan)])
def test_bad_action_is_refused(env: GraspEnv, bad: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    env.reset(seed=0)
    with pytest.raises(ShapeError, match="8 finite"):
        env.step(bad)


def test_bad_reset_is_refused(env: GraspEnv) -> None:
    with pytest.raises(UnknownKeyError, match=r"'family'. Valid keys: split"):
        env.reset(options={"family": "ring"})
    with pytest.raises(UnknownNameError, match="split 'val'"):
        env.reset(options={"split": "val"})
    env.reset(seed=0, options={"split": "train"})
    with pytest.raises(ConfigError, match="scene seed"):
        env.reset(seed=2**40)


def test_unknown_camera_is_refused_at_once() -> None:
    with pytest.raises(UnknownNameError, match=r"camera 'head'.*shoulder, wrist"):
        GraspEnv(camera="head")
