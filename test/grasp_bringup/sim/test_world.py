"""The simulated cell: determinism, camera models against rendered pixels, commands, ground truth."""

import dataclasses
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from grasp_bringup.sim.env import ROBOT_FILE
from grasp_bringup.sim.objects import Part, Shape
from grasp_bringup.sim.scene import Scene, SceneConfig, SceneObject, load_scene_config, sample_scene
from grasp_bringup.sim.world import World
from qtopt_policy.errors import ConfigError, ShapeError, UnknownNameError
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

ROBOT = load_robot(resolve(ROBOT_FILE))
CONFIG = load_scene_config()


def scene(split: str = "train", seed: int = 1) -> Scene:
    return sample_scene(CONFIG, split, seed, ROBOT.bin)


def with_objects(*objects: SceneObject) -> Scene:
    return dataclasses.replace(scene(), objects=objects)


def block(position: list[float], size: tuple[float, float, float] = (0.015, 0.015, 0.015)) -> SceneObject:
    shape = Shape("box", (Part("box", size),), (2 * size[1],), 2 * size[2])
    pose = Pose(np.array(position), np.array([0.0, 0.0, 0.0, 1.0]))
    return SceneObject(shape, pose, 400.0, 0.8, (1.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def sharp() -> SceneConfig:
    """Cameras of 256 x 256 pixels."""
    cameras = {n: dataclasses.replace(c, width=256, height=256) for n, c in CONFIG.cameras.items()}
    return dataclasses.replace(CONFIG, cameras=cameras)


@pytest.fixture
def world() -> Iterator[World]:
    world = World(ROBOT, CONFIG)
    yield world
    world.close()


def state(world: World) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    _, data = world.mujoco_state
    return np.concatenate([data.qpos, data.qvel, [data.time]])


def play(world: World) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    world.reset(scene())
    for i in range(30):
        world.command_arm(np.array(ROBOT.home) + 0.005 * i)
        world.command_gripper(0.0 if i > 15 else 0.04)
        world.advance(0.01)
    return state(world)


def test_equal_commands_give_bitwise_equal_states(world: World) -> None:
    first = play(world)
    world.reset(scene("test", 3))  # what came before must not matter
    assert (play(world) == first).all()
    other = World(ROBOT, CONFIG)
    assert (play(other) == first).all()


def test_pictures_are_bitwise_equal(world: World) -> None:
    play(world)
    first = world.render("wrist")
    play(world)
    assert (world.render("wrist") == first).all()
    assert first.shape == (128, 128, 3)
    assert first.std() > 10.0


@pytest.mark.parametrize("camera", ["wrist", "shoulder"])
def test_camera_model_projects_to_the_rendered_pixels(camera: str, sharp: SceneConfig) -> None:
    """Random arm poses and jittered cameras: a small ball appears where the model says."""
    rng = np.random.default_rng(5)
    world = World(ROBOT, sharp)
    ball = Shape("ellipsoid", (Part("ellipsoid", (0.006, 0.006, 0.006)),), (0.012,), 0.012)
    errors = []
    for trial in range(24):
        item = dataclasses.replace(block([0.5, 0.0, 0.1]), shape=ball)
        world.reset(dataclasses.replace(scene("train", trial), objects=(item,)), settle=False)
        model, data = world.mujoco_state
        data.qpos[:7] = np.array(ROBOT.home) + rng.uniform(-0.15, 0.15, size=7)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        view, tool = world.camera_model(camera), world.tool_pose()
        pixels = rng.uniform([40, 15], [216, 90])  # the fingers do not reach there
        point = view.unproject(pixels, rng.uniform(0.12, 0.2), tool)
        pixel, _ = view.project(point, tool)
        centre = _difference_centre(world, camera, point)
        if centre is not None:
            errors.append(np.linalg.norm(centre - pixel))
    world.close()
    assert len(errors) >= 8
    assert max(errors) < 0.3


def _difference_centre(
    world: World, camera: str, point: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    """Return the centre of the pixels that change when the ball goes away; None if it is not all visible."""
    model, data = world.mujoco_state
    address = model.jnt_qposadr[model.joint("object0").id]
    pictures = []
    for place in (point, np.array([-5.0, 0.0, 0.0])):
        data.qpos[address : address + 3] = place
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        pictures.append(world.render(camera).astype(int))
    changed = np.argwhere(np.abs(pictures[0] - pictures[1]).max(axis=2) > 0)
    whole = np.ptp(changed, axis=0) if len(changed) else np.zeros(2)
    if len(changed) < 12 or abs(whole[0] - whole[1]) > 1 or changed.min() < 2 or changed.max() > 253:
        return None
    return np.asarray(changed.mean(axis=0)[::-1])


def test_wrist_camera_sees_the_space_between_the_fingertips_in_its_middle(world: World) -> None:
    world.reset(scene())
    view, tool = world.camera_model("wrist"), world.tool_pose()
    pixel, depth = view.project(tool.position, tool)
    assert depth > 0.05
    assert np.abs(pixel - 63.5).max() < 0.1 * 128


def test_jitter_can_be_turned_off(world: World) -> None:
    plain = World(ROBOT, CONFIG, jitter_cameras=False)
    plain.reset(scene())
    world.reset(scene())
    offset = plain.camera_model("wrist").pose.inverse() @ world.camera_model("wrist").pose
    expected = scene().camera_offsets["wrist"]
    assert offset.distance(expected) < 1e-6
    assert offset.angle(expected) < 1e-6


def test_keep_arm_keeps_arm_gripper_and_time(world: World) -> None:
    play(world)
    before, time = world.joint_sample(), world.time
    world.reset(scene("test", 2), keep_arm=True, settle=False)
    after = world.joint_sample()
    assert world.time == time
    assert (after.position == before.position).all()
    assert (after.velocity == before.velocity).all()
    world.advance(0.5)  # and the servos go on to hold the last set points
    target = np.array(ROBOT.home) + 0.005 * 29
    assert np.abs(world.joint_sample().position[:7] - target).max() < 0.01


def test_objects_rest_after_a_reset(world: World) -> None:
    world.reset(scene("test", 5))
    before = world.truth().object_poses
    world.advance(0.5)
    moved = [a.distance(b) for a, b in zip(before, world.truth().object_poses, strict=True)]
    assert max(moved) < 0.01


def test_smooth_set_points_are_followed_without_lag(world: World) -> None:
    world.reset(scene())
    home = np.array(ROBOT.home)
    for i in range(60):
        target = home + 0.2 * (1 - np.cos(np.pi * (i + 1) / 60)) / 2
        world.command_arm(target)
        world.advance(0.01)
        assert np.abs(world.joint_sample().position[:7] - target).max() < 0.01


def test_fingers_hold_a_block_and_truth_names_it(world: World) -> None:
    tool = np.array([0.5, 0.0, 0.18])
    floor = ROBOT.bin.centre[2]
    far = block([0.58, 0.1, floor + 0.016])
    world.reset(with_objects(far, block([*tool[:2], tool[2] - 0.005])), settle=False)
    world.command_gripper(0.0)
    model, data = world.mujoco_state
    model.opt.gravity[2] = 0.0  # until the fingers are closed
    world.advance(0.6)
    model.opt.gravity[2] = -9.81
    world.advance(0.5)
    truth = world.truth()
    assert truth.held == 1
    assert truth.lifted
    assert truth.height == pytest.approx(tool[2] - 0.005 - floor, abs=0.004)
    assert world.aperture() == pytest.approx(0.03, abs=0.002)
    assert data.time > 1.0


def test_nothing_is_held_by_open_or_empty_fingers(world: World) -> None:
    world.reset(with_objects(block([0.5, 0.0, ROBOT.bin.centre[2] + 0.016])))
    assert world.truth().held is None
    world.command_gripper(0.0)
    world.advance(0.8)
    truth = world.truth()
    assert truth.held is None
    assert not truth.lifted
    assert np.isnan(truth.height)
    assert world.aperture() < ROBOT.gripper.held_aperture


def test_both_fingers_move_alike_against_a_block_at_one_side(world: World) -> None:
    """The mimic joint holds under force: the aperture that one joint tells is the true one."""
    world.reset(with_objects(block([0.5, 0.012, 0.18])), settle=False)
    world.mujoco_state[0].opt.gravity[2] = 0.0
    world.command_gripper(0.0)
    world.advance(0.8)
    fingers = world.joint_sample().position[7:]
    assert abs(fingers[0] - fingers[1]) < 0.002


@pytest.mark.parametrize("command", [np.zeros(6), np.full(7, np.nan)])
def test_bad_arm_command_is_refused(
    world: World, command: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> None:
    world.reset(scene(), settle=False)
    with pytest.raises(ShapeError, match=r"arm command.*7 finite"):
        world.command_arm(command)


def test_bad_gripper_command_is_refused(world: World) -> None:
    with pytest.raises(ShapeError, match="gripper command nan"):
        world.command_gripper(float("nan"))


def test_unknown_camera_is_named(world: World) -> None:
    world.reset(scene(), settle=False)
    with pytest.raises(UnknownNameError, match=r"'head'.*shoulder, wrist"):
        world.render("head")


def test_urdf_without_the_tool_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no frame 'gripper_tip'.*tcp"):
        World(dataclasses.replace(ROBOT, tool_frame="gripper_tip"), CONFIG)


def test_timestep_must_divide_the_control_period() -> None:
    physics = dataclasses.replace(CONFIG.physics, timestep=0.004)
    with pytest.raises(ConfigError, match=r"timestep 0.004"):
        World(ROBOT, dataclasses.replace(CONFIG, physics=physics))
