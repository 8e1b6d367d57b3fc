import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtopt_policy.camera import Mount
from qtopt_policy.geometry import pointing_down
from qtopt_policy.policies.segment import SegmentConfig, find_blobs, hand_mask, rectify
from support.pictures import Box, bin_camera, observe_boxes, sim_robot

ROBOT = sim_robot()
CONFIG = SegmentConfig()
MOUNTS: tuple[Mount, ...] = ("tool", "base")


def angle_modulo_half_turn(first: float, second: float) -> float:
    return abs((first - second + 0.5 * np.pi) % np.pi - 0.5 * np.pi)


@pytest.mark.parametrize("mount", MOUNTS)
@settings(deadline=None, max_examples=40)
@given(x=st.floats(0.53, 0.57), y=st.floats(-0.07, 0.07), heading=st.floats(-np.pi, np.pi))
def test_a_box_is_found_where_it_lies(mount: Mount, x: float, y: float, heading: float) -> None:
    aside = pointing_down([0.36, 0.14, 0.45], 0.0)  # out of the fixed camera's way
    observation = observe_boxes([Box(x, y, heading)], mount, aside if mount == "base" else None)
    (blob,) = find_blobs(observation, ROBOT.bin, ROBOT.gripper, CONFIG)
    np.testing.assert_allclose(blob.centre, [x, y], atol=0.006)
    assert angle_modulo_half_turn(blob.heading, heading) < 0.35
    assert abs(blob.length - 0.06) < 0.02
    assert abs(blob.width - 0.025) < 0.02


def test_boxes_are_counted_largest_first() -> None:
    boxes = [Box(0.56, -0.08, 0.0, 0.04), Box(0.56, 0.0, 0.0, 0.07), Box(0.56, 0.08, 0.0, 0.05)]
    blobs = find_blobs(observe_boxes(boxes), ROBOT.bin, ROBOT.gripper, CONFIG)
    assert len(blobs) == 3
    assert abs(blobs[0].centre[1]) < 0.01


def test_an_empty_bin_holds_nothing() -> None:
    assert find_blobs(observe_boxes([]), ROBOT.bin, ROBOT.gripper, CONFIG) == []


def test_a_colour_like_the_floor_is_not_seen() -> None:
    boxes = [Box(0.56, 0.0, 0.0, colour=(124, 129, 134))]
    assert find_blobs(observe_boxes(boxes), ROBOT.bin, ROBOT.gripper, CONFIG) == []


def test_specks_are_not_objects() -> None:
    boxes = [Box(0.56, 0.0, 0.0, length=0.006, width=0.006)]
    assert find_blobs(observe_boxes(boxes), ROBOT.bin, ROBOT.gripper, CONFIG) == []


def test_what_the_hand_covers_is_not_an_object() -> None:
    """Pixels of fingers and palm are painted black; nothing of them is found."""
    observation = observe_boxes([])
    observation.image[hand_mask(observation, ROBOT.gripper, CONFIG)] = 0
    assert find_blobs(observation, ROBOT.bin, ROBOT.gripper, CONFIG) == []


def test_a_wrist_camera_sees_its_fingertips_and_the_space_between_them() -> None:
    observation = observe_boxes([])
    mask = hand_mask(observation, ROBOT.gripper, CONFIG)
    for y, expected in [(0.05, True), (-0.05, True), (0.0, False)]:
        point = observation.tool_pose.transform([0.0, y, 0.0])
        (u, v), _ = observation.camera.project(point, observation.tool_pose)
        assert mask[round(v), round(u)] == expected


def test_a_camera_that_looks_away_sees_nothing() -> None:
    observation = observe_boxes([Box(0.5, 0.0, 0.0)], tool=pointing_down([5.0, 5.0, 0.18], 0.0))
    assert find_blobs(observation, ROBOT.bin, ROBOT.gripper, CONFIG) == []


def test_the_map_covers_the_floor_without_the_strip_along_the_walls() -> None:
    floor = rectify(observe_boxes([], "base"), ROBOT.bin, ROBOT.gripper, CONFIG)
    low = np.array(ROBOT.bin.centre[:2]) - 0.5 * np.array(ROBOT.bin.size[:2]) + CONFIG.wall_margin
    np.testing.assert_allclose(floor.origin, low)
    assert floor.colour.shape[:2] == (121, 121)
    assert floor.visible.any()


def test_the_pictures_camera_looks_at_the_tool_point() -> None:
    tool = pointing_down([0.5, 0.1, 0.2], 0.7)
    camera = bin_camera("tool")
    pixel, depth = camera.project(tool.position, tool)
    np.testing.assert_allclose(pixel, [31.5, 31.5], atol=1e-6)
    assert depth > 0.0
