"""From a camera's image to what the network sees: one path for nodes, GraspEnv and training.

Decoding to RGB, crop and resize live here and nowhere else, so that training equals serving; the camera
model is cropped and resized along with the pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ConfigError, ImageError
from qtopt_policy.geometry import Pose
from qtopt_policy.observation import Observation

Image = NDArray[np.uint8]
Crop = tuple[int, int, int, int]


@dataclass(frozen=True)
class Encoding:
    """How one of sensor_msgs/image_encodings lies in memory, and how it becomes RGB."""

    dtype: type[np.generic]
    channels: int
    to_rgb: Callable[[NDArray[Any]], NDArray[Any]]

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return np.dtype(self.dtype).itemsize * self.channels


def _convert(code: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda array: np.asarray(cv2.cvtColor(array, code))


# cv2 names a Bayer pattern by its second row, ROS by its first: rggb is BayerBG in OpenCV.
ENCODINGS: dict[str, Encoding] = {
    "rgb8": Encoding(np.uint8, 3, lambda array: array),
    "bgr8": Encoding(np.uint8, 3, _convert(cv2.COLOR_BGR2RGB)),
    "rgba8": Encoding(np.uint8, 4, _convert(cv2.COLOR_RGBA2RGB)),
    "bgra8": Encoding(np.uint8, 4, _convert(cv2.COLOR_BGRA2RGB)),
    "mono8": Encoding(np.uint8, 1, _convert(cv2.COLOR_GRAY2RGB)),
    "rgb16": Encoding(np.uint16, 3, lambda array: array),
    "bgr16": Encoding(np.uint16, 3, _convert(cv2.COLOR_BGR2RGB)),
    "mono16": Encoding(np.uint16, 1, _convert(cv2.COLOR_GRAY2RGB)),
    "bayer_rggb8": Encoding(np.uint8, 1, _convert(cv2.COLOR_BayerBG2RGB)),
    "bayer_bggr8": Encoding(np.uint8, 1, _convert(cv2.COLOR_BayerRG2RGB)),
    "bayer_gbrg8": Encoding(np.uint8, 1, _convert(cv2.COLOR_BayerGR2RGB)),
    "bayer_grbg8": Encoding(np.uint8, 1, _convert(cv2.COLOR_BayerGB2RGB)),
    "yuv422": Encoding(np.uint8, 2, _convert(cv2.COLOR_YUV2RGB_UYVY)),
    "yuv422_yuy2": Encoding(np.uint8, 2, _convert(cv2.COLOR_YUV2RGB_YUY2)),
    "32FC1": Encoding(np.float32, 1, _convert(cv2.COLOR_GRAY2RGB)),
    "32FC3": Encoding(np.float32, 3, lambda array: array),
}


def lookup_encoding(name: str) -> Encoding:
    """Return the layout of an encoding.

    Raises:
        ImageError: it is none of ENCODINGS; the message lists them.
    """
    if name not in ENCODINGS:
        raise ImageError(f"image encoding '{name}' is not supported. Valid: {', '.join(ENCODINGS)}")
    return ENCODINGS[name]


def check_layout(encoding: str, width: int, height: int, step: int, length: int) -> None:
    """Check the numbers of a sensor_msgs/Image before its bytes are read.

    Args:
        encoding: name of the encoding.
        width: [px].
        height: [px].
        step: bytes of one row.
        length: bytes of `data`.

    Raises:
        ImageError: unknown encoding, zero size, rows shorter than their pixels, or truncated data.
    """
    pixel_bytes = lookup_encoding(encoding).pixel_bytes
    if width < 1 or height < 1:
        raise ImageError(f"image of {width} x {height} pixels: zero size")
    if step < width * pixel_bytes:
        raise ImageError(
            f"image step of {step} bytes: {width} pixels of {encoding} need {width * pixel_bytes}"
        )
    if length < step * height:
        raise ImageError(
            f"image truncated: {length} bytes, {height} rows of {step} bytes need {step * height}"
        )


def to_rgb(array: NDArray[Any], encoding: str) -> Image:
    """Convert an image as cv_bridge's `passthrough` returns it to RGB uint8.

    16-bit images keep their upper byte; float images must lie in [0, 1].

    Args:
        array: shape (H, W) or (H, W, channels), of the encoding's type.
        encoding: one of ENCODINGS.

    Returns:
        Image of shape (H, W, 3).

    Raises:
        ImageError: unknown encoding, zero size, wrong type or channels, NaN or out of range.
    """
    layout = lookup_encoding(encoding)
    channels = 1 if array.ndim == 2 else array.shape[-1]
    if array.ndim not in (2, 3) or channels != layout.channels or array.dtype != layout.dtype:
        expected = f"(height, width, {layout.channels}) {np.dtype(layout.dtype)}"
        raise ImageError(f"image {array.shape} {array.dtype} is not {encoding}, which is {expected}")
    if array.size == 0:
        raise ImageError(f"image {array.shape}: zero size")
    if encoding.startswith("yuv") and array.shape[1] % 2:
        raise ImageError(f"image {array.shape}: {encoding} needs an even width")
    return _to_uint8(layout.to_rgb(np.ascontiguousarray(array)), encoding)


def _to_uint8(array: NDArray[Any], encoding: str) -> Image:
    if array.dtype == np.uint16:
        array = array >> 8
    elif array.dtype == np.float32:
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).any(axis=-1).sum())
            raise ImageError(f"image {encoding}: {count} pixels are NaN or infinite")
        if array.min() < 0.0 or array.max() > 1.0:
            raise ImageError(f"image {encoding}: values {array.min()} to {array.max()}, expected 0 to 1")
        array = np.rint(array * 255.0)
    return np.ascontiguousarray(array, dtype=np.uint8)


def centred_square(width: int, height: int) -> Crop:
    """Return the largest centred square of an image as left, top, width, height [px]."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def preprocess(
    image: Image, camera: CameraModel, crop: Crop | None, size: tuple[int, int]
) -> tuple[Image, CameraModel]:
    """Crop and resize an image, and its camera with it.

    Shrinking averages over areas, so that no detail aliases; enlarging interpolates linearly. Both keep
    the convention of camera.py: u' = (u + 0.5) s - 0.5.

    Args:
        image: RGB uint8, shape (camera.height, camera.width, 3).
        camera: of that image.
        crop: left, top, width, height [px]; None means the largest centred square.
        size: height and width of the result [px].

    Returns:
        The image, uint8, shape (*size, 3), and its camera.

    Raises:
        ImageError: the image is not what `camera` says, or the crop does not lie within it.
    """
    _check_image(image, camera)
    left, top, width, height = crop or centred_square(camera.width, camera.height)
    if width < 1 or height < 1:
        raise ImageError(f"crop {width} x {height} at ({left}, {top}): zero size")
    try:
        cropped = camera.cropped(left, top, width, height)
    except ConfigError as error:
        raise ImageError(str(error)) from error
    rows, columns = size
    window = image[top : top + height, left : left + width]
    shrinks = rows <= height and columns <= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(window), (columns, rows), interpolation=method)
    return np.asarray(resized, dtype=np.uint8), cropped.resized(columns, rows)


def _check_image(image: Image, camera: CameraModel) -> None:
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ImageError(f"image {image.shape} {image.dtype}, expected (height, width, 3) uint8")
    if image.size == 0:
        raise ImageError(f"image {image.shape}: zero size")
    if image.shape[:2] != (camera.height, camera.width):
        found = f"{image.shape[1]} x {image.shape[0]}"
        raise ImageError(
            f"image of {found} pixels, but its camera_info says {camera.width} x {camera.height}"
        )


@dataclass(frozen=True, eq=False)
class RobotState:
    """The robot at an image's stamp.

    Attributes:
        tool_pose: measured pose of the tool in the base frame.
        aperture: distance between the fingertips [m].
        gripper_closed: last command to the gripper.
    """

    tool_pose: Pose
    aperture: float
    gripper_closed: bool


@dataclass(frozen=True)
class View:
    """How observations are cut out of a camera's images.

    Attributes:
        size: height and width of the image that the network sees [px].
        crop: left, top, width, height [px]; None means the largest centred square.
        floor: height of the bin floor in the base frame [m].
    """

    size: tuple[int, int]
    crop: Crop | None
    floor: float


def observe(image: Image, camera: CameraModel, state: RobotState, view: View, stamp: float) -> Observation:
    """Assemble the observation of one RGB image taken at `stamp` [s] by `camera`; errors as `preprocess`."""
    small, small_camera = preprocess(image, camera, view.crop, view.size)
    return Observation(
        image=small,
        gripper_closed=state.gripper_closed,
        height_to_bottom=float(state.tool_pose.position[2]) - view.floor,
        aperture=state.aperture,
        tool_pose=state.tool_pose,
        camera=small_camera,
        stamp=stamp,
    )
