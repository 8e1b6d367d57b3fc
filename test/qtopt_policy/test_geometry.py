import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import (
    Pose,
    pointing_down,
    quaternion_about_z,
    quaternion_from_matrix,
    slerp,
    wrap_angle,
)

coordinate = st.floats(-2.0, 2.0)
component = st.floats(-1.0, 1.0)


@st.composite
def poses(draw: st.DrawFn) -> Pose:
    quaternion = np.array([draw(component) for _ in range(4)])
    if np.linalg.norm(quaternion) < 0.1:
        quaternion = np.array([0.0, 0.0, 0.0, 1.0])
    return Pose(np.array([draw(coordinate) for _ in range(3)]), quaternion)


def assert_same(a: Pose, b: Pose) -> None:
    np.testing.assert_allclose(a.position, b.position, atol=1e-9)
    assert a.angle(b) < 1e-6


@given(poses())
def test_inverse_undoes_a_pose(pose: Pose) -> None:
    assert_same(pose @ pose.inverse(), Pose.identity())


@given(poses(), poses(), poses())
def test_composition_is_associative(a: Pose, b: Pose, c: Pose) -> None:
    assert_same((a @ b) @ c, a @ (b @ c))


@given(poses(), poses())
def test_composition_equals_the_product_of_matrices(a: Pose, b: Pose) -> None:
    np.testing.assert_allclose((a @ b).as_matrix(), a.as_matrix() @ b.as_matrix(), atol=1e-9)


@given(poses())
def test_matrix_round_trip(pose: Pose) -> None:
    assert_same(Pose.from_matrix(pose.as_matrix()), pose)


@given(poses())
def test_array_round_trip(pose: Pose) -> None:
    assert_same(Pose.from_array(pose.as_array()), pose)


def test_half_turns_are_read_from_matrices() -> None:
    for axis in np.eye(3):
        matrix = 2.0 * np.outer(axis, axis) - np.eye(3)
        quaternion = quaternion_from_matrix(matrix)
        np.testing.assert_allclose(np.abs(quaternion), [*axis, 0.0], atol=1e-9)


@given(poses(), poses())
def test_interpolation_ends_at_both_poses_and_halves_the_angle(a: Pose, b: Pose) -> None:
    assert_same(a.interpolate(b, 0.0), a)
    assert_same(a.interpolate(b, 1.0), b)
    middle = a.interpolate(b, 0.5)
    assert middle.angle(a) == pytest.approx(a.angle(b) / 2.0, abs=1e-4)


def test_slerp_takes_the_shorter_arc() -> None:
    a, b = quaternion_about_z(0.0), -quaternion_about_z(1.0)
    assert abs(slerp(a, b, 0.5) @ quaternion_about_z(0.5)) == pytest.approx(1.0)


@given(st.floats(-3.0, 3.0))
def test_a_tool_pointing_down_keeps_its_heading(yaw: float) -> None:
    pose = pointing_down([0.1, 0.2, 0.3], yaw)
    assert pose.yaw() == pytest.approx(yaw, abs=1e-9)
    np.testing.assert_allclose(pose.rotation()[:, 2], [0.0, 0.0, -1.0], atol=1e-12)


@given(st.floats(-50.0, 50.0))
def test_wrapped_angles_are_the_same_direction(angle: float) -> None:
    wrapped = wrap_angle(angle)
    assert -np.pi < wrapped <= np.pi
    assert np.cos(wrapped - angle) == pytest.approx(1.0)


def test_pose_is_immutable() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Pose.identity().position[0] = 1.0


@pytest.mark.parametrize(
    ("position", "quaternion", "message"),
    [
        ([0.0, 0.0], [0, 0, 0, 1.0], "expected \\(3,\\)"),
        ([0.0, 0.0, np.nan], [0, 0, 0, 1.0], "not finite"),
        ([0.0, 0.0, 0.0], [0, 0, 0, 0.0], "zero length"),
    ],
)
def test_bad_poses_are_refused(position: list[float], quaternion: list[float], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Pose(np.array(position), np.array(quaternion))
