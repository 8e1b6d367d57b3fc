"""Messages of poses as Gazebo prints them, and when models rest."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from grasp_bringup.gazebo.poses import ModelPoses, RestWatch, parse_poses
from qtopt_policy.geometry import Pose


def test_numbers_that_are_0_are_not_in_the_message() -> None:
    line = '{"header": {"stamp": {"sec": "12", "nsec": 500000000}}, "pose": '
    line += '[{"name": "a", "position": {"y": 2}, "orientation": {"w": 1}}, '
    line += '{"name": "b", "orientation": {"z": 1}}]}'
    seen = parse_poses(line)
    assert seen.stamp == 12.5
    assert seen.poses["a"].as_array().tolist() == [0, 2, 0, 0, 0, 0, 1]
    assert seen.poses["b"].as_array().tolist() == [0, 0, 0, 0, 0, 1, 0]


def test_at_time_0_nothing_is_in_the_header() -> None:
    assert parse_poses('{"header": {"stamp": {}}}') == ModelPoses(0.0, {})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        '{"header": {"stamp": {"sec": "soon"}}}',
        '{"header": {}, "pose": [{"position": {}}]}',
        '{"header": {}, "pose": [{"name": "a", "position": {"x": "NaN"}, "orientation": {"w": 1}}]}',
        '{"header": {}, "pose": [{"name": "a", "position": {"x": 1}}]}',
    ],
)
def test_what_is_no_message_of_poses_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"expected a message of gz\.msgs\.Pose_V, found"):
        parse_poses(line)


def poses(stamp: float, **heights: float) -> ModelPoses:
    turn = np.array([0.0, 0.0, 0.0, 1.0])
    return ModelPoses(stamp, {name: Pose(np.array([0.0, 0.0, z]), turn) for name, z in heights.items()})


def turned(stamp: float, angle: float) -> ModelPoses:
    turn = np.array([0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2)])
    return ModelPoses(stamp, {"a": Pose(np.zeros(3), turn)})


def test_models_rest_once_all_are_there_and_slow() -> None:
    watch = RestWatch(["a", "b"], speed=0.01)
    watch.take(poses(0.0, a=0.0))
    assert watch.missing == ("b",)
    watch.take(poses(1.0, a=0.0, b=1.0))
    watch.take(poses(1.2, a=0.0, b=0.9))
    assert not watch.at_rest
    assert watch.moving == {"b": pytest.approx(0.5)}
    watch.take(poses(1.4, a=0.0, b=0.8995))
    assert watch.at_rest


MOTIONS: list[tuple[Callable[[float], ModelPoses], bool]] = [
    (lambda t: poses(t, a=0.009 * t), True),
    (lambda t: poses(t, a=0.011 * t), False),
    (lambda t: turned(t, 0.009 * t), True),
    (lambda t: turned(t, 0.011 * t), False),
]


@pytest.mark.parametrize(("motion", "rests"), MOTIONS)
def test_a_model_rests_below_the_speed_in_both_moving_and_turning(
    motion: Callable[[float], ModelPoses], rests: bool
) -> None:
    watch = RestWatch(["a"], speed=0.01)
    for t in np.arange(0.0, 0.5, 0.016):
        watch.take(motion(float(t)))
    assert watch.at_rest is rests


def test_time_that_stands_shows_nothing() -> None:
    watch = RestWatch(["a"], speed=0.01)
    for _ in range(100):
        watch.take(poses(3.0, a=1.0))
    assert not watch.at_rest


def test_time_that_jumps_back_begins_anew() -> None:
    watch = RestWatch(["a"], speed=0.01)
    watch.take(poses(10.0, a=1.0))
    watch.take(poses(1.0, a=1.0))
    assert not watch.at_rest
    watch.take(poses(1.2, a=1.0))
    assert watch.at_rest
