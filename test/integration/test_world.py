"""What a world must do, whichever it is: camera, joint states, controllers, scenes. Times are the world's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from grasp_bringup.sim.scene import SceneObject, load_scene_config, sample_scene
from integration.conftest import Drivers
from qtopt_policy.base_node import nanoseconds
from qtopt_policy.geometry import pointing_down
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

pytestmark = [pytest.mark.graph, pytest.mark.timeout(240)]

CONFIG = load_scene_config()
BIN = load_robot(resolve(Path("config/robots/sim.yaml"))).bin
FOLLOWING = 0.01  # [rad] that a joint may be off at the end of a trajectory, and beyond it on the way
GRASP_HEIGHT = 0.02  # [m] of the tool above the bin's floor


def stamps(messages: Sequence[Any]) -> NDArray[np.float64]:
    """Return the distinct stamps of messages [s]."""
    found = [nanoseconds(message.header.stamp) for message in messages]
    return np.unique(np.array(found, dtype=np.float64)) * 1e-9


def test_the_camera_sends_10_images_a_second_each_with_its_camera_info(drivers: Drivers) -> None:
    drivers.images.clear()
    drivers.infos.clear()
    drivers.pass_time(2.0)
    taken = stamps(drivers.images)
    assert len(taken) >= 15
    assert np.median(np.diff(taken)) == pytest.approx(0.1, abs=0.01)
    assert set(taken[2:-2]) <= set(stamps(drivers.infos))


def test_images_are_rgb8_of_the_configured_camera(drivers: Drivers) -> None:
    image, info, spec = drivers.images[-1], drivers.infos[-1], CONFIG.cameras["wrist"]
    assert (image.encoding, image.width, image.height) == ("rgb8", spec.width, spec.height)
    assert image.header.frame_id == info.header.frame_id == drivers.robot.cameras["wrist"].frame
    focal = spec.height / 2 / np.tan(np.deg2rad(spec.fovy) / 2)
    np.testing.assert_allclose([info.k[0], info.k[4]], focal, rtol=0.01)
    np.testing.assert_allclose([info.k[2], info.k[5]], [spec.width / 2, spec.height / 2], atol=1.0)
    assert drivers.picture().std() > 5.0


def test_joint_states_come_often_and_begin_at_home(drivers: Drivers) -> None:
    drivers.joints.clear()
    drivers.graph.spin_until(lambda: len(drivers.joints) > 100, "joint states")
    assert np.median(np.diff(stamps(drivers.joints))) <= 0.02
    np.testing.assert_allclose(drivers.q, drivers.robot.home, atol=FOLLOWING)
    assert drivers.aperture == pytest.approx(drivers.robot.gripper.max_aperture, abs=0.002)


def test_a_trajectory_is_followed_within_its_tolerance(drivers: Drivers) -> None:
    start = drivers.q
    goal = start + np.array([0.2, 0.0, 0.0, -0.1, 0.0, 0.1, 0.2])
    drivers.joints.clear()
    drivers.move(goal, 1.0)
    drivers.graph.spin_until(lambda: bool(drivers.joints), "joint states")
    drivers.pass_time(2.0)
    index = [list(drivers.joints[0].name).index(name) for name in drivers.robot.arm_joints]
    path = np.array([np.array(message.position)[index] for message in drivers.joints])
    low, high = np.minimum(start, goal), np.maximum(start, goal)
    assert (path >= low - FOLLOWING).all()
    assert (path <= high + FOLLOWING).all()
    np.testing.assert_allclose(path[-1], goal, atol=FOLLOWING)
    between = np.abs(path[:, 0] - start[0] - 0.1) < 0.05  # the middle half of joint1's way
    duration = np.ptp(stamps([m for m, inside in zip(drivers.joints, between, strict=True) if inside]))
    assert 0.2 < duration < 0.8  # a jump takes no time
    drivers.move(drivers.robot.home, 1.0)
    drivers.pass_time(1.5)


def test_a_reset_places_the_scene_of_its_seed(drivers: Drivers) -> None:
    pictures = []
    for seed in (3, 4, 3):
        reply = drivers.reset(seed)
        scene = sample_scene(CONFIG, "train", seed, drivers.robot.bin)
        expected = {"seed": seed, "split": "train", "objects": len(scene.objects)}
        assert {name: reply[name] for name in expected} == expected
        pictures.append(drivers.picture().astype(float))
    first, other, again = pictures
    assert np.abs(first - again).mean() < 0.2 * np.abs(first - other).mean()


def lone_box() -> tuple[int, SceneObject]:
    """Return the first scene of a single box that the gripper can span, and its box."""
    for seed in range(2000):
        objects = sample_scene(CONFIG, "train", seed, BIN).objects
        if len(objects) == 1 and [part.kind for part in objects[0].shape.parts] == ["box"]:
            return seed, objects[0]
    raise AssertionError("no scene of one box")


def test_fingers_that_close_on_an_object_keep_its_width(drivers: Drivers) -> None:
    seed, box = lone_box()
    x, y, _ = box.shape.parts[0].size
    width = 2.0 * min(x, y)
    # At yaw 0 the fingers open along the base's y: turn them across the box's narrow side.
    yaw = box.pose.yaw() - (np.pi / 2 if x < y else 0.0)
    yaw = (yaw + np.pi / 2) % np.pi - np.pi / 2
    place = np.array([*box.pose.position[:2], drivers.robot.bin.centre[2] + GRASP_HEIGHT])
    drivers.go(pointing_down(place + np.array([0.0, 0.0, 0.12]), yaw))
    drivers.grip(drivers.robot.gripper.open_position)
    drivers.reset(seed)
    drivers.go(pointing_down(place, yaw))
    drivers.grip(drivers.robot.gripper.closed_position)
    assert drivers.aperture == pytest.approx(width, abs=0.006)
    drivers.go(pointing_down(place + np.array([0.0, 0.0, 0.12]), yaw))
    assert drivers.aperture > drivers.robot.gripper.held_aperture


def test_fingers_that_close_on_nothing_meet(drivers: Drivers) -> None:
    drivers.grip(drivers.robot.gripper.open_position)
    drivers.grip(drivers.robot.gripper.closed_position)
    assert drivers.aperture < drivers.robot.gripper.held_aperture
