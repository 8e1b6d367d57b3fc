import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose

MOUNTS: tuple[Mount, ...] = ("base", "tool")


def random_pose(rng: np.random.Generator) -> Pose:
    return Pose(rng.uniform(-1.0, 1.0, 3), rng.normal(size=4))


def random_camera(rng: np.random.Generator, mount: Mount) -> CameraModel:
    fx, fy, cx, cy = rng.uniform([200.0, 200.0, 250.0, 200.0], [900.0, 900.0, 390.0, 280.0])
    return CameraModel(640, 480, fx, fy, cx, cy, mount, random_pose(rng))


def points_in_front(camera: CameraModel, tool_pose: Pose, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points of the base frame with depths of 0.1 to 2 m."""
    pixels = rng.uniform([0.0, 0.0], [640.0, 480.0], (20, 2))
    return camera.unproject(pixels, rng.uniform(0.1, 2.0, 20), tool_pose)


def opencv_projection(
    camera: CameraModel, points: NDArray[np.float64], tool_pose: Pose
) -> NDArray[np.float64]:
    """Project with cv2.projectPoints, by a chain of homogeneous matrices instead of Pose."""
    mount = tool_pose.as_matrix() if camera.mount == "tool" else np.eye(4)
    base_to_camera = np.linalg.inv(mount @ camera.pose.as_matrix())
    rotation, _ = cv2.Rodrigues(base_to_camera[:3, :3])
    pixels, _ = cv2.projectPoints(points, rotation, base_to_camera[:3, 3], camera.matrix, None)
    return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)


@pytest.mark.parametrize("mount", MOUNTS)
@given(seed=st.integers(0, 2**32 - 1))
def test_projection_agrees_with_opencv(mount: Mount, seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera, tool_pose = random_camera(rng, mount), random_pose(rng)
    points = points_in_front(camera, tool_pose, rng)
    pixels, depth = camera.project(points, tool_pose)
    np.testing.assert_allclose(pixels, opencv_projection(camera, points, tool_pose), atol=1e-4)
    assert (depth > 0.0).all()


@pytest.mark.parametrize("mount", MOUNTS)
@given(seed=st.integers(0, 2**32 - 1))
def test_crop_and_resize_agree_with_opencv_on_the_changed_matrix(mount: Mount, seed: int) -> None:
    """A crop shifts pixels; a resize maps u to (u + 0.5) s - 0.5: OpenCV sees the same rays."""
    rng = np.random.default_rng(seed)
    camera, tool_pose = random_camera(rng, mount), random_pose(rng)
    points = points_in_front(camera, tool_pose, rng)
    full = opencv_projection(camera, points, tool_pose)
    small = camera.cropped(80, 30, 400, 440).resized(100, 55)
    expected = (full - [80, 30] + 0.5) * [100 / 400, 55 / 440] - 0.5
    np.testing.assert_allclose(opencv_projection(small, points, tool_pose), expected, atol=1e-4)
    np.testing.assert_allclose(small.project(points, tool_pose)[0], expected, atol=1e-4)


@pytest.mark.parametrize("mount", MOUNTS)
@given(seed=st.integers(0, 2**32 - 1))
def test_unproject_inverts_project(mount: Mount, seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera, tool_pose = random_camera(rng, mount), random_pose(rng)
    points = points_in_front(camera, tool_pose, rng)
    pixels, depth = camera.project(points, tool_pose)
    np.testing.assert_allclose(camera.unproject(pixels, depth, tool_pose), points, atol=1e-9)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_wrist_camera_sees_points_of_the_tool_at_fixed_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera, in_tool = random_camera(rng, "tool"), rng.uniform(0.05, 0.3, 3)
    first, second = random_pose(rng), random_pose(rng)
    pixel, _ = camera.project(first.transform(in_tool), first)
    np.testing.assert_allclose(pixel, camera.project(second.transform(in_tool), second)[0], atol=1e-4)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_fixed_camera_does_not_care_about_the_tool(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera, point = random_camera(rng, "base"), rng.uniform(-1.0, 1.0, 3)
    first, _ = camera.project(point, random_pose(rng))
    np.testing.assert_array_equal(first, camera.project(point, random_pose(rng))[0])


def test_a_point_behind_the_camera_has_negative_depth_and_a_finite_pixel() -> None:
    camera = CameraModel(640, 480, 500.0, 500.0, 320.0, 240.0, "base", Pose.identity())
    pixels, depth = camera.project([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0]], Pose.identity())
    assert depth[0] == -1.0
    assert np.isfinite(pixels).all()


def test_resizing_there_and_back_changes_nothing() -> None:
    camera = random_camera(np.random.default_rng(0), "tool")
    np.testing.assert_allclose(camera.resized(64, 64).resized(640, 480).matrix, camera.matrix)


@pytest.mark.parametrize("crop", [(-1, 0, 10, 10), (0, -1, 10, 10), (635, 0, 10, 10), (0, 475, 10, 10)])
def test_a_crop_outside_the_image_is_refused(crop: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match="exceeds the image 640 x 480"):
        random_camera(np.random.default_rng(0), "tool").cropped(*crop)


@pytest.mark.parametrize(
    ("width", "fx", "message"), [(0, 1.0, "0 x 48 pixels"), (64, 0.0, "focal"), (64, float("nan"), "focal")]
)
def test_an_impossible_camera_is_refused(width: int, fx: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CameraModel(width, 48, fx, 50.0, 32.0, 24.0, "base", Pose.identity())
