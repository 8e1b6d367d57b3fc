"""Image messages into RGB pictures: every usual encoding, and what cannot be used."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from qtopt_policy.camera_node import rgb_of
from qtopt_policy.errors import ImageError

RGB: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def message(pixels: NDArray[np.generic], encoding: str, padding: int = 0) -> Image:
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    height, width = pixels.shape[:2]
    return Image(height=height, width=width, encoding=encoding, step=padded.shape[1], data=padded.tobytes())


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(
    ("pixels", "encoding"),
    [
        (RGB, "rgb8"),
        (np.ascontiguousarray(RGB[..., ::-1]), "bgr8"),
        (np.concatenate([RGB, RGB[..., :1]], axis=-1), "rgba8"),
        (RGB.astype(np.uint16) * 256 + 17, "rgb16"),
    ],
)
def test_colours_come_out_as_rgb_whatever_the_encoding_and_row_length(
    pixels: NDArray[np.generic], encoding: str, padding: int
) -> None:
    np.testing.assert_array_equal(rgb_of(message(pixels, encoding, padding)), RGB)


def test_grey_becomes_three_equal_channels() -> None:
    grey = np.ascontiguousarray(RGB[..., 0])
    np.testing.assert_array_equal(rgb_of(message(grey, "mono8", 1)), np.repeat(grey[..., None], 3, axis=-1))


@pytest.mark.parametrize("padding", [0, 3])
def test_big_endian_images_are_swapped(padding: int) -> None:
    for pixels, encoding in ((RGB, "rgb8"), ((RGB.astype(np.uint16) * 256 + 17).byteswap(), "rgb16")):
        image = message(pixels, encoding, padding)
        image.is_bigendian = 1
        np.testing.assert_array_equal(rgb_of(image), RGB)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"encoding": "bgr7"}, "encoding 'bgr7' is not supported. Valid: rgb8"),
        ({"encoding": ""}, "encoding '' is not supported"),
        ({"width": 0}, "0 x 5 pixels: zero size"),
        ({"height": 0}, "7 x 0 pixels: zero size"),
        ({"data": RGB.tobytes()[:-10]}, "truncated: 95 bytes"),
        ({"data": b""}, "truncated: 0 bytes"),
        ({"step": 5}, "step of 5 bytes"),
    ],
)
def test_a_broken_image_is_refused_with_its_numbers(change: dict[str, object], text: str) -> None:
    image = message(RGB, "rgb8")
    for name, value in change.items():
        setattr(image, name, value)
    with pytest.raises(ImageError, match=text):
        rgb_of(image)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_numbers_are_refused(value: float) -> None:
    pixels = np.full((5, 7, 3), 0.5, dtype=np.float32)
    pixels[2, 3, 1] = value
    with pytest.raises(ImageError, match="1 pixels are NaN or infinite"):
        rgb_of(message(pixels, "32FC3"))
