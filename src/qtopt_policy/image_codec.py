"""The image of an observation as it is published, recorded and seen by the network: one set of bytes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_policy.errors import ImageError

Image = NDArray[np.uint8]

LOSSLESS_SIZE = 128  # [px] of the longer side, up to which an observation is a PNG
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Encoded:
    """A compressed image: `format` as sensor_msgs/CompressedImage names it, and its bytes."""

    format: str
    data: bytes


def encode_observation(image: Image) -> Encoded:
    """Compress an RGB image, uint8, shape (H, W, 3): PNG up to 128 px, else JPEG of quality 95.

    Raises:
        ImageError: OpenCV cannot encode it.
    """
    if max(image.shape[:2]) <= LOSSLESS_SIZE:
        return encode(image, "png")
    return encode(image, "jpeg")


def encode(image: Image, kind: str) -> Encoded:
    """Compress an RGB image, uint8, shape (H, W, 3), as `png` or `jpeg`; errors as `encode_observation`."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if kind == "jpeg" else []
    done, data = cv2.imencode(f".{kind}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ImageError(f"image of shape {image.shape} cannot be encoded as {kind}")
    return Encoded(kind, data.tobytes())


def decode(encoded: Encoded) -> Image:
    """Return the RGB image, uint8, shape (H, W, 3), of compressed bytes, as the pixels lie: no EXIF rotation.

    Raises:
        ImageError: the bytes are no image that OpenCV can read.
    """
    data = np.frombuffer(encoded.data, dtype=np.uint8)
    what = f"{encoded.format or 'compressed'} image of {data.size} bytes"
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    except cv2.error as error:  # a header that claims more pixels than OpenCV takes
        raise ImageError(f"{what} cannot be decoded: {error}") from error
    if image is None:
        raise ImageError(f"{what} cannot be decoded")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
