from pathlib import Path

import numpy as np
import pytest

from grasp_bringup.kinematics import Kinematics, kinematics_of
from grasp_bringup.moveit_path import excess, flaw, joint_jump, line, step_towards
from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Array, Pose, pointing_down
from qtopt_policy.limits import Limits
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

START = pointing_down([0.5, 0.0, 0.2], 0.0)
LIMITS = Limits((0.3, -0.2, 0.0), (0.7, 0.2, 0.5))


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return kinematics_of(load_robot(resolve(Path("config/robots/sim.yaml"))))


def test_a_near_target_is_the_step() -> None:
    target = pointing_down([0.53, 0.0, 0.2], 0.3)
    assert step_towards(START, target, LIMITS) is target


@pytest.mark.parametrize(("x", "yaw"), [(0.9, 0.0), (0.9, 0.2), (0.5, 2.0), (0.6, 2.5)])
def test_a_step_keeps_both_bounds_and_the_line(x: float, yaw: float) -> None:
    target = pointing_down([x, 0.0, 0.2], yaw)
    step = step_towards(START, target, LIMITS)
    length, angle = START.distance(step), START.angle(step)
    assert length <= LIMITS.max_step_length + 1e-9
    assert angle <= LIMITS.max_step_yaw + 1e-6
    assert length == pytest.approx(LIMITS.max_step_length) or angle == pytest.approx(LIMITS.max_step_yaw)
    assert np.abs(step.position[1:] - START.position[1:]).max() < 1e-12


@pytest.mark.parametrize(("goal", "count"), [([0.53, 0.0, 0.2], 6), ([0.5, 0.0, 0.2], 10)])
def test_a_line_is_as_dense_as_asked_and_ends_at_the_goal(goal: list[float], count: int) -> None:
    target = pointing_down(goal, 0.5 if goal[0] == 0.5 else 0.0)
    poses = line(START, target, 0.005, 0.05)
    assert len(poses) == count
    assert poses[-1].distance(target) < 1e-12
    gaps = [a.distance(b) for a, b in zip([START, *poses[:-1]], poses, strict=True)]
    assert max(gaps) <= 0.005 + 1e-9


def test_a_jump_is_found_where_it_is() -> None:
    path = np.zeros((4, 7))
    assert joint_jump(path, 0.2) == ""
    path[2:, 3] = 1.0
    assert joint_jump(path, 0.2) == "1.000 rad between points 1 and 2, at most 0.2 rad"


def moved(kinematics: Kinematics, target: Pose) -> Array:
    q = kinematics.solve(START, kinematics.posture).q
    return np.array([q, kinematics.solve(target, q).q])


@pytest.mark.parametrize(("seconds", "factor"), [(0.2, 1.0), (0.1, 2.0), (0.4, 0.5)])
def test_the_tools_speed_counts_against_its_limit(
    kinematics: Kinematics, seconds: float, factor: float
) -> None:
    path = moved(kinematics, pointing_down([0.55, 0.0, 0.2], 0.0))
    assert excess(np.array([0.0, seconds]), path, kinematics, LIMITS) == pytest.approx(factor, rel=0.01)


def test_a_joints_speed_counts_against_its_share(kinematics: Kinematics) -> None:
    path = np.array([kinematics.posture, kinematics.posture])
    path[1, 6] += 2.61  # turns the tool by 2.61 rad: as fast as the joint's own limit in one second
    quick = Limits((0.3, -0.2, 0.0), (0.7, 0.2, 0.5), max_tool_yaw_speed=100.0)
    assert excess(np.array([0.0, 1.0]), path, kinematics, quick) == pytest.approx(2.0)


def test_one_point_has_no_speed(kinematics: Kinematics) -> None:
    assert excess(np.zeros(1), np.zeros((1, 7)), kinematics, LIMITS) == 0.0


@pytest.mark.parametrize(
    ("times", "spoiled", "found"),
    [
        ([0.0, 0.1, 0.1], None, "times do not rise: point 1 at 0.1 s, the next one at 0.1 s"),
        ([0.0, 0.2, 0.1], None, "times do not rise: point 1 at 0.2 s, the next one at 0.1 s"),
        ([0.0, 0.1, np.nan], None, "time of point 2 is not finite"),
        ([0.0, 0.1, 0.2], np.nan, "joint positions of point 1 are not finite"),
        ([0.0, 0.1, 0.2], np.inf, "joint positions of point 1 are not finite"),
    ],
)
def test_points_that_have_no_speed_are_refused(
    kinematics: Kinematics, times: list[float], spoiled: float | None, found: str
) -> None:
    path = np.tile(kinematics.posture, (3, 1))  # the arm stands still between points with one time: NaN rad/s
    if spoiled is not None:
        path[1, 2] = spoiled
    assert flaw(np.array(times), path) == found
    with pytest.raises(ShapeError, match=found):
        excess(np.array(times), path, kinematics, LIMITS)


def test_points_in_order_have_no_flaw(kinematics: Kinematics) -> None:
    assert flaw(np.array([0.0, 0.1, 0.2]), np.tile(kinematics.posture, (3, 1))) == ""
