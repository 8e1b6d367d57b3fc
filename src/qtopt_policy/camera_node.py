"""The active camera of a node: Image and CameraInfo messages into RGB frames with their camera model."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from cv_bridge import CvBridge
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from qtopt_policy import topics
from qtopt_policy.base_node import OK, RECORD_QOS, SENSOR_QOS, WARN, BaseNode, nanoseconds
from qtopt_policy.camera import CameraModel
from qtopt_policy.episode_events import Frame
from qtopt_policy.errors import ImageError, QtoptError
from qtopt_policy.geometry import Pose, readonly
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

    Attributes:
        model: of the camera, or None before its first camera_info.
    """

    def __init__(
        self,
        node: BaseNode,
        config: CameraConfig,
        pose: Pose,
        wanted: Callable[[float], bool],
        take: Callable[[Frame], None],
    ) -> None:
        self.model: CameraModel | None = None
        self._node, self._config, self._pose = node, config, pose
        self._wanted, self._take = wanted, take
        self._info: tuple[object, ...] = ()
        self._bad, self._failing = 0, False
        self._taken = node.create_publisher(Header, topics.IMAGE_TAKEN, RECORD_QOS)
        node.create_subscription(Image, topics.IMAGE, self._on_image, SENSOR_QOS)
        node.create_subscription(CameraInfo, topics.CAMERA_INFO, self._on_info, SENSOR_QOS)

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

    def _on_image(self, message: Image) -> None:
        arrival = time.monotonic()
        self._taken.publish(Header(stamp=message.header.stamp, frame_id=self._node.get_name()))
        stamp = nanoseconds(message.header.stamp) * 1e-9
        try:
            check_layout(message.encoding, message.width, message.height, message.step, len(message.data))
            if self.model is None:
                raise ImageError(f"no usable {topics.CAMERA_INFO} yet")
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


def rgb_of(message: Image) -> NDArray[np.uint8]:
    """Return the RGB picture of an Image message, uint8, shape (height, width, 3).

    Raises:
        ImageError: unknown encoding, zero size, truncated, or values that are not finite.
    """
    check_layout(message.encoding, message.width, message.height, message.step, len(message.data))
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
