"""Image messages into RGB pictures: every usual encoding, and what cannot be used."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from qtopt_policy.base_node import RECORD_QOS, BaseNode
from qtopt_policy.camera_node import CameraInput, rgb_of
from qtopt_policy.drivers import CameraTopics
from qtopt_policy.episode_events import Frame
from qtopt_policy.errors import ImageError
from qtopt_policy.geometry import Pose
from qtopt_policy.image_codec import encode
from qtopt_policy.robot import CameraConfig
from support.graph import ros_graph
from support.lying_pictures import claiming

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


def compressed(kind: str, label: str = "") -> CompressedImage:
    data = encode(RGB, kind).data
    return CompressedImage(format=label or f"rgb8; {kind} compressed bgr8", data=data)


def test_a_compressed_image_comes_out_as_rgb() -> None:
    np.testing.assert_array_equal(rgb_of(compressed("png")), RGB)
    smooth = np.full((48, 64, 3), (200, 90, 30), dtype=np.uint8)
    image = rgb_of(CompressedImage(format="jpeg", data=encode(smooth, "jpeg").data))
    assert np.abs(image.astype(int) - smooth).max() <= 4


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (CompressedImage(format="jpeg", data=b""), "format 'jpeg': 0 bytes"),
        (CompressedImage(format="jpeg", data=b"no image"), "jpeg image of 8 bytes cannot be decoded"),
        (compressed("png", "16UC1; compressedDepth"), "depth, expected colour"),
        (
            CompressedImage(format="jpeg", data=claiming(40_000, encode(RGB, "jpeg").data)),
            "jpeg image of [0-9]+ bytes cannot be decoded: ",
        ),
    ],
)
def test_a_broken_compressed_image_is_refused(broken: CompressedImage, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        rgb_of(broken)


@pytest.mark.graph
def test_a_driver_with_topics_of_its_own_and_compressed_images_is_heard(tmp_path: Path) -> None:
    where = CameraTopics(image="cam/color/image_raw", info="cam/color/camera_info", transport="compressed")
    frames: list[Frame] = []
    with ros_graph(tmp_path) as graph:
        node = graph.add(BaseNode("seeing_node"))
        CameraInput(node, CameraConfig(), Pose.identity(), lambda stamp: True, frames.append, where)
        images = node.create_publisher(CompressedImage, "cam/color/image_raw/compressed", RECORD_QOS)
        infos = node.create_publisher(CameraInfo, "cam/color/camera_info", RECORD_QOS)
        info = CameraInfo(width=7, height=5, k=[8.0, 0.0, 3.0, 0.0, 8.0, 2.0, 0.0, 0.0, 1.0])
        info.header.frame_id = CameraConfig().frame

        def publish() -> bool:
            infos.publish(info)
            images.publish(compressed("png"))
            return bool(frames)

        graph.spin_until(publish, "a frame")
    np.testing.assert_array_equal(frames[0].image, RGB)
    assert (frames[0].camera.width, frames[0].camera.fx) == (7, 8.0)
