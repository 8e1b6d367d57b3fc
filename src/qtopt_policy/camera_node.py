"""The active camera of a node: image and CameraInfo messages into RGB frames with their camera model.

Images may be raw, in any of preprocess.ENCODINGS, or compressed as image_transport does it. They must be
rectified (no distortion in camera_info): that is image_proc's work.
"""

import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from cv_bridge import CvBridge
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from qtopt_policy import topics
from qtopt_policy.base_node import OK, RECORD_QOS, SENSOR_QOS, WARN, BaseNode, nanoseconds
from qtopt_policy.camera import CameraModel
from qtopt_policy.drivers import CameraTopics
from qtopt_policy.episode_events import Frame
from qtopt_policy.errors import ImageError, QtoptError
from qtopt_policy.geometry import Pose, readonly
from qtopt_policy.image_codec import Encoded, decode
from qtopt_policy.preprocess import check_layout, lookup_encoding, to_rgb
from qtopt_policy.robot import CameraConfig, camera_model

_BRIDGE = CvBridge()


class CameraInput:
    """Subscribes to the camera and confirms each image taken (topics.IMAGE_TAKEN).

    Args:
        node: that it belongs to; problems go into its diagnostics.
        config: of the active camera.
        pose: of the optical frame in its mount frame.
        wanted: is told the stamp of each usable image message [s]; returns whether its picture is wanted.
        take: takes the picture.
        where: topics and transport; the standard ones if None.

    Attributes:
        model: of the camera, or None before its first camera_info.
        info_topic: topic of camera_info.
    """

    def __init__(
        self,
        node: BaseNode,
        config: CameraConfig,
        pose: Pose,
        wanted: Callable[[float], bool],
        take: Callable[[Frame], None],
        where: CameraTopics | None = None,
    ) -> None:
        where = where or CameraTopics()
        self.model: CameraModel | None = None
        self._node, self._config, self._pose = node, config, pose
        self._wanted, self._take = wanted, take
        self._info: tuple[object, ...] = ()
        self._bad, self._failing = 0, False
        self._taken = node.create_publisher(Header, topics.IMAGE_TAKEN, RECORD_QOS)
        self.info_topic = where.info
        kind = Image if where.transport == "raw" else CompressedImage
        node.create_subscription(kind, where.topic, self._on_image, SENSOR_QOS)
        node.create_subscription(CameraInfo, where.info, self._on_info, SENSOR_QOS)

    def _on_info(self, message: CameraInfo) -> None:
        info = (message.width, message.height, *message.k, *message.d, message.header.frame_id)
        if info == self._info:
            return
        self._info = info
        try:
            k = readonly(message.k, (9,), "K of camera_info")
            self.model = camera_model(self._config, message.width, message.height, k, self._pose)
        except QtoptError as error:
            self.model = None
            self._node.report("camera_info", WARN, str(error))
            return
        self._node.report("camera_info", *self._finding(message))

    def _finding(self, message: CameraInfo) -> tuple[bytes, str]:
        frame = message.header.frame_id
        if frame != self._config.frame:
            return WARN, f"frame '{frame}', but the camera is configured as '{self._config.frame}'"
        if any(message.d):
            return WARN, f"distorted: {list(message.d)}; rectify the image (image_proc)"
        return OK, f"{message.width} x {message.height}"

    def _on_image(self, message: Image | CompressedImage) -> None:
        arrival = time.monotonic()
        self._taken.publish(Header(stamp=message.header.stamp, frame_id=self._node.get_name()))
        stamp = nanoseconds(message.header.stamp) * 1e-9
        try:
            check(message)
            if self.model is None:
                raise ImageError(f"no usable {self.info_topic} yet")
            if self._wanted(stamp):
                self._take(Frame(stamp, arrival, rgb_of(message), self.model))
        except ImageError as error:
            self._bad += 1
            self._failing = True
            self._node.report("image", WARN, str(error), refused=self._bad)
            return
        if self._failing:
            self._failing = False
            self._node.report("image", OK, "usable", refused=self._bad)


def check(message: Image | CompressedImage) -> None:
    """Raise ImageError where an image message's numbers show that it cannot be used; reads no pixels."""
    if not isinstance(message, CompressedImage):
        check_layout(message.encoding, message.width, message.height, message.step, len(message.data))
    elif "compressedDepth" in message.format:
        raise ImageError(f"compressed image of format '{message.format}': depth, expected colour")
    elif not len(message.data):
        raise ImageError(f"compressed image of format '{message.format}': 0 bytes")


def rgb_of(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """Return the RGB picture of an image message, uint8, shape (height, width, 3).

    Raises:
        ImageError: unknown encoding, zero size, truncated, not decodable, or values that are not finite.
    """
    check(message)
    if isinstance(message, CompressedImage):
        return decode(Encoded(message.format, bytes(message.data)))
    encoding = lookup_encoding(message.encoding)
    row = message.width * encoding.pixel_bytes
    plain = message.step == row and not message.is_bigendian
    source = message if plain else _plain(message, row, np.dtype(encoding.dtype))
    return to_rgb(_BRIDGE.imgmsg_to_cv2(source, desired_encoding="passthrough"), message.encoding)


def _plain(message: Image, row: int, dtype: "np.dtype[np.generic]") -> SimpleNamespace:
    """Return the message little-endian with rows of `row` bytes.

    cv_bridge's Python part ignores `step`, and fails on `is_bigendian` with NumPy 2.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)[: message.height * message.step]
    packed = np.ascontiguousarray(data.reshape(message.height, message.step)[:, :row])
    if message.is_bigendian:
        packed = packed.view(dtype).byteswap().view(np.uint8)
    names = ("height", "width", "encoding")
    values = {name: getattr(message, name) for name in names}
    return SimpleNamespace(**values, is_bigendian=False, step=row, data=packed.data)
