import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ImageError
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.preprocess import (
    ENCODINGS,
    RobotState,
    View,
    centred_square,
    check_layout,
    observe,
    preprocess,
    to_rgb,
)


def camera(width: int = 64, height: int = 48) -> CameraModel:
    return CameraModel(width, height, 50.0, 50.0, width / 2, height / 2, "tool", Pose.identity())


def picture(width: int = 64, height: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_result_has_the_size_asked_for() -> None:
    image, model = preprocess(picture(), camera(), None, (24, 32))
    assert image.shape == (24, 32, 3)
    assert image.dtype == np.uint8
    assert (model.height, model.width) == (24, 32)


def test_without_change_pixels_and_camera_stay() -> None:
    image, model = preprocess(picture(48, 48), camera(48, 48), None, (48, 48))
    np.testing.assert_array_equal(image, picture(48, 48))
    np.testing.assert_allclose(model.matrix, camera(48, 48).matrix)


def test_crop_is_applied_before_resize() -> None:
    image, _ = preprocess(picture(), camera(), (10, 5, 16, 16), (16, 16))
    np.testing.assert_array_equal(image, picture()[5:21, 10:26])


@given(st.integers(1, 900), st.integers(1, 900))
def test_centred_square_is_largest_and_centred(width: int, height: int) -> None:
    left, top, w, h = centred_square(width, height)
    assert w == h == min(width, height)
    assert abs((width - w) - 2 * left) <= 1
    assert abs((height - h) - 2 * top) <= 1


def test_shrinking_averages_over_areas() -> None:
    checker = (np.indices((48, 48)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image, _ = preprocess(np.dstack([checker] * 3), camera(48, 48), None, (24, 24))
    assert (np.abs(image.astype(int) - 128) <= 1).all()


@given(st.integers(30, 70), st.integers(20, 60), st.sampled_from([(24, 24), (32, 32), (96, 96), (48, 24)]))
def test_a_bright_spot_lands_where_the_camera_projects_it(u: int, v: int, size: tuple[int, int]) -> None:
    """The pixels and the camera model undergo the same map: centre of mass against projection."""
    full = camera(100, 80)
    image = np.zeros((80, 100, 3), dtype=np.uint8)
    image[v - 3 : v + 4, u - 3 : u + 4] = 255
    point = full.unproject([u, v], 0.5, Pose.identity())
    small, model = preprocess(image, full, (15, 8, 70, 64), size)
    pixel, _ = model.project(point, Pose.identity())
    weights = small[..., 0].astype(float)
    rows, columns = np.indices(weights.shape)
    centre = [(columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()]
    touches_edge = not (4 <= u - 15 <= 65 and 4 <= v - 8 <= 59)
    if not touches_edge:
        np.testing.assert_allclose(centre, pixel, atol=0.1)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 0, 3), np.uint8), "zero size"),
        (np.zeros((48, 64), np.uint8), "expected"),
        (np.zeros((48, 64, 4), np.uint8), "expected"),
        (np.zeros((48, 64, 3), np.float32), "float32"),
        (np.zeros((47, 64, 3), np.uint8), "64 x 47 pixels, but its camera_info says 64 x 48"),
    ],
)
def test_an_unusable_image_is_refused(image: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        preprocess(image, camera(), None, (16, 16))


@pytest.mark.parametrize("crop", [(0, 0, 65, 10), (60, 0, 10, 10), (-1, 0, 5, 5), (0, 0, 0, 4)])
def test_a_crop_outside_the_image_is_refused(crop: tuple[int, int, int, int]) -> None:
    with pytest.raises(ImageError, match="crop"):
        preprocess(picture(), camera(), crop, (16, 16))


def test_colour_orders_agree() -> None:
    rgb = picture()
    np.testing.assert_array_equal(to_rgb(rgb, "rgb8"), rgb)
    np.testing.assert_array_equal(to_rgb(rgb[..., ::-1], "bgr8"), rgb)
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 7, np.uint8)])
    np.testing.assert_array_equal(to_rgb(rgba, "rgba8"), rgb)
    np.testing.assert_array_equal(to_rgb(rgba[..., [2, 1, 0, 3]], "bgra8"), rgb)


def test_sixteen_bits_keep_the_upper_byte() -> None:
    rgb = picture()
    np.testing.assert_array_equal(to_rgb(rgb.astype(np.uint16) * 257, "rgb16"), rgb)
    np.testing.assert_array_equal(to_rgb(rgb[..., ::-1].astype(np.uint16) * 257, "bgr16"), rgb)
    grey = rgb[..., 0]
    np.testing.assert_array_equal(to_rgb(grey.astype(np.uint16) * 257, "mono16"), np.dstack([grey] * 3))


def test_grey_takes_both_shapes() -> None:
    grey = picture()[..., 0]
    np.testing.assert_array_equal(to_rgb(grey, "mono8"), to_rgb(grey[..., None], "mono8"))


def test_float_images_are_scaled() -> None:
    rgb = picture()
    np.testing.assert_array_equal(to_rgb((rgb / 255.0).astype(np.float32), "32FC3"), rgb)


@pytest.mark.parametrize(
    ("encoding", "pattern"),
    [("bayer_rggb8", "RGGB"), ("bayer_bggr8", "BGGR"), ("bayer_gbrg8", "GBRG"), ("bayer_grbg8", "GRBG")],
)
def test_bayer_pattern_gives_the_colour_back(encoding: str, pattern: str) -> None:
    colour = {"R": 200, "G": 120, "B": 40}
    mosaic = np.zeros((16, 16), np.uint8)
    for index, letter in enumerate(pattern):
        mosaic[index // 2 :: 2, index % 2 :: 2] = colour[letter]
    np.testing.assert_array_equal(to_rgb(mosaic, encoding)[8, 8], [200, 120, 40])


@pytest.mark.parametrize("encoding", ["yuv422", "yuv422_yuy2"])
def test_yuv_of_a_grey_area_is_grey(encoding: str) -> None:
    luma_first = encoding == "yuv422_yuy2"
    pixel = [126, 128] if luma_first else [128, 126]
    image = to_rgb(np.tile(np.array(pixel, np.uint8), (4, 6, 1)), encoding)
    assert np.ptp(image.astype(int)) <= 1
    assert abs(int(image[0, 0, 0]) - 128) <= 1  # (126 - 16) * 255 / 219


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_yields_contiguous_rgb(encoding: str) -> None:
    layout = ENCODINGS[encoding]
    image = to_rgb(np.zeros((6, 8, layout.channels), layout.dtype), encoding)
    assert image.shape == (6, 8, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


def test_unknown_encoding_lists_the_valid_ones() -> None:
    with pytest.raises(ImageError, match=r"'16UC1' is not supported\. Valid: rgb8, bgr8"):
        to_rgb(np.zeros((4, 4), np.uint16), "16UC1")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_float_image_that_is_not_finite_is_refused(value: float) -> None:
    image = np.zeros((4, 4, 3), np.float32)
    image[1, 2, 0] = value
    with pytest.raises(ImageError, match="1 pixels are NaN or infinite"):
        to_rgb(image, "32FC3")


def test_a_float_image_out_of_range_is_refused() -> None:
    with pytest.raises(ImageError, match="expected 0 to 1"):
        to_rgb(np.full((4, 4, 3), 200.0, np.float32), "32FC3")


@pytest.mark.parametrize(
    ("array", "encoding"),
    [
        (np.zeros((4, 4, 3), np.uint8), "mono8"),
        (np.zeros((4, 4), np.uint8), "rgb8"),
        (np.zeros((4, 4, 3), np.uint16), "bgr8"),
        (np.zeros(16, np.uint8), "mono8"),
    ],
)
def test_an_array_that_is_not_its_encoding_is_refused(array: NDArray[np.uint8], encoding: str) -> None:
    with pytest.raises(ImageError, match=f"is not {encoding}"):
        to_rgb(array, encoding)


def test_zero_size_is_refused() -> None:
    with pytest.raises(ImageError, match="zero size"):
        to_rgb(np.zeros((0, 4, 3), np.uint8), "rgb8")


def test_odd_width_in_yuv_is_refused() -> None:
    with pytest.raises(ImageError, match="even width"):
        to_rgb(np.zeros((4, 5, 2), np.uint8), "yuv422")


def test_whole_layout_passes() -> None:
    check_layout("rgb8", 640, 480, 1920, 921600)


@pytest.mark.parametrize(
    ("width", "height", "step", "length", "message"),
    [
        (0, 480, 1920, 921600, "zero size"),
        (640, 0, 1920, 0, "zero size"),
        (640, 480, 640, 307200, "step of 640 bytes"),
        (640, 480, 1920, 921599, "truncated: 921599 bytes"),
    ],
)
def test_broken_layout_is_refused(width: int, height: int, step: int, length: int, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        check_layout("rgb8", width, height, step, length)


def test_observe_measures_height_above_the_floor() -> None:
    state = RobotState(pointing_down([0.5, 0.0, 0.17], 0.3), aperture=0.06, gripper_closed=True)
    observation = observe(picture(), camera(), state, View((32, 32), None, floor=0.02), stamp=1.5)
    np.testing.assert_allclose(observation.scalars(), [1.0, 0.15, 0.06], rtol=1e-6)
    assert observation.image.shape == (32, 32, 3)
    assert observation.camera.width == 32


def test_observe_uses_the_same_pixels_as_preprocess() -> None:
    state = RobotState(pointing_down([0.5, 0.0, 0.17], 0.0), aperture=0.06, gripper_closed=False)
    observation = observe(picture(), camera(), state, View((20, 20), (3, 3, 40, 40), 0.0), stamp=0.0)
    expected, _ = preprocess(picture(), camera(), (3, 3, 40, 40), (20, 20))
    np.testing.assert_array_equal(observation.image, expected)
    np.testing.assert_array_equal(
        expected, cv2.resize(picture()[3:43, 3:43], (20, 20), interpolation=cv2.INTER_AREA)
    )
