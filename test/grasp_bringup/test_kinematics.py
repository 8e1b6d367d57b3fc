import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_bringup.kinematics import Kinematics
from qtopt_policy.errors import ConfigError, ShapeError, UnknownNameError
from qtopt_policy.geometry import Array, Pose, pointing_down
from support.arms import ARM_JOINTS, HOME, arm_urdf

KINEMATICS = Kinematics(arm_urdf(), "base_link", "tcp", ARM_JOINTS)
LOW, HIGH = KINEMATICS.lower, KINEMATICS.upper

fractions = st.lists(st.floats(0.05, 0.95), min_size=7, max_size=7).map(np.array)
bin_poses = st.builds(
    lambda x, y, z, yaw: pointing_down(np.array([x, y, z]), yaw),
    st.floats(-0.15, 0.15),
    st.floats(-0.15, 0.15),
    st.floats(0.02, 0.35),
    st.floats(-1.5, 1.5),
)


def joints_at(fraction: Array) -> Array:
    q: Array = LOW + fraction * (HIGH - LOW)
    return q


@settings(max_examples=100, deadline=None)
@given(bin_poses)
def test_solution_reaches_every_pose_above_the_bin_from_home(target: Pose) -> None:
    found = KINEMATICS.solve(target, HOME)
    reached = KINEMATICS.forward(found.q)
    assert found.converged
    assert reached.distance(target) <= 2e-5
    assert reached.angle(target) <= 2e-4


@settings(max_examples=100, deadline=None)
@given(fractions, st.lists(st.floats(-0.15, 0.15), min_size=7, max_size=7).map(np.array))
def test_solution_recovers_the_pose_of_any_posture_from_nearby(fraction: Array, offset: Array) -> None:
    q = joints_at(fraction)
    target = KINEMATICS.forward(q)
    found = KINEMATICS.solve(target, np.clip(q + offset, LOW, HIGH))
    assert found.converged
    assert KINEMATICS.forward(found.q).distance(target) <= 2e-5


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1.5, 1.5), min_size=7, max_size=7).map(np.array), fractions)
def test_limits_hold_for_reachable_and_unreachable_targets(numbers: Array, fraction: Array) -> None:
    quaternion = numbers[3:] if np.linalg.norm(numbers[3:]) > 0.1 else np.array([0.0, 0.0, 0.0, 1.0])
    found = KINEMATICS.solve(Pose(numbers[:3], quaternion), joints_at(fraction))
    assert (found.q >= LOW).all()
    assert (found.q <= HIGH).all()


@settings(max_examples=50, deadline=None)
@given(fractions)
def test_jacobian_equals_finite_differences(fraction: Array) -> None:
    q = joints_at(fraction)
    numeric = np.zeros((6, 7))
    for i in range(7):
        delta = np.zeros(7)
        delta[i] = 1e-6
        before, after = KINEMATICS.forward(q - delta), KINEMATICS.forward(q + delta)
        numeric[:3, i] = (after.position - before.position) / 2e-6
        turn = (after.rotation() - before.rotation()) / 2e-6 @ KINEMATICS.forward(q).rotation().T
        numeric[3:, i] = [turn[2, 1], turn[0, 2], turn[1, 0]]
    np.testing.assert_allclose(KINEMATICS.jacobian(q), numeric, atol=1e-6)


def test_forward_equals_the_denavit_hartenberg_product() -> None:
    # The flange of the Panda at zero lies at x = 0.088, z = 0.333 + 0.316 + 0.384 and points down.
    pose = KINEMATICS.forward(np.zeros(7))
    np.testing.assert_allclose(pose.position, [-0.5 + 0.088, 0.0, 1.033 - 0.2], atol=1e-6)
    np.testing.assert_allclose(pose.rotation()[:, 2], [0.0, 0.0, -1.0], atol=1e-6)


def test_unreachable_target_is_reported_with_its_distance() -> None:
    found = KINEMATICS.solve(Pose(np.array([2.0, 0.0, 0.5]), np.array([1.0, 0.0, 0.0, 0.0])), HOME)
    assert not found.converged
    assert found.position_error > 0.5


def test_null_space_prefers_the_comfortable_posture() -> None:
    target = KINEMATICS.forward(HOME)
    awkward = KINEMATICS.solve(target, np.array([0.8, -0.3, -0.8, -2.2, 0.3, 1.9, 0.785]))
    assert np.linalg.norm(awkward.q - KINEMATICS.posture) < np.linalg.norm(
        np.array([0.8, -0.3, -0.8, -2.2, 0.3, 1.9, 0.785]) - KINEMATICS.posture
    )


def test_frame_pose_of_the_camera_is_fixed_to_the_last_link() -> None:
    q = joints_at(np.full(7, 0.3))
    camera = KINEMATICS.frame_pose(q, "link7").inverse() @ KINEMATICS.frame_pose(q, "camera")
    np.testing.assert_allclose(camera.position, [0.05, 0.0, 0.1], atol=1e-9)


def test_base_frame_is_at_its_own_origin() -> None:
    np.testing.assert_allclose(KINEMATICS.frame_pose(HOME, "base_link").as_matrix(), np.eye(4), atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(fractions)
def test_lowest_point_is_that_of_the_corners_of_all_moving_boxes(fraction: Array) -> None:
    q = joints_at(fraction)
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T * 0.025
    frames = [*(f"link{i}" for i in range(1, 8)), "finger", "camera"]
    expected = min(KINEMATICS.frame_pose(q, f).transform(signs)[:, 2].min() for f in frames)
    assert KINEMATICS.lowest_point(q) == pytest.approx(expected, abs=1e-9)


def test_missing_tool_frame_lists_the_frames() -> None:
    with pytest.raises(UnknownNameError, match=r"'tcp_link'.*camera.*tcp"):
        Kinematics(arm_urdf(), "base_link", "tcp_link", ARM_JOINTS)


def test_missing_joint_lists_the_movable_joints() -> None:
    with pytest.raises(UnknownNameError, match=r"'elbow'.*finger_joint1, joint1"):
        Kinematics(arm_urdf(), "base_link", "tcp", (*ARM_JOINTS[:6], "elbow"))


def test_joint_of_the_chain_that_is_not_listed_is_refused() -> None:
    with pytest.raises(ConfigError, match="joint4"):
        Kinematics(arm_urdf(), "base_link", "tcp", tuple(j for j in ARM_JOINTS if j != "joint4"))


def test_joint_off_the_chain_is_refused() -> None:
    with pytest.raises(ConfigError, match="finger_joint1"):
        Kinematics(arm_urdf(), "base_link", "tcp", (*ARM_JOINTS, "finger_joint1"))


def test_missing_speed_limit_is_refused_by_the_joints_name() -> None:
    with pytest.raises(ConfigError, match=r"joint1.*velocity"):
        Kinematics(re.sub(r' velocity="[\d.]+"', "", arm_urdf()), "base_link", "tcp", ARM_JOINTS)


def test_text_that_is_no_urdf_is_refused() -> None:
    with pytest.raises(ConfigError, match="not XML"):
        Kinematics("hello", "base_link", "tcp", ARM_JOINTS)


@pytest.mark.parametrize("q", [np.zeros(6), np.full(7, np.nan)])
def test_bad_joint_positions_are_refused(q: Array) -> None:
    with pytest.raises(ShapeError, match="expected 7 finite"):
        KINEMATICS.forward(q)
