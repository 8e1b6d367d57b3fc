"""Messages of a bag as rosbags objects: built from and read into plain values. No rclpy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rosbags.typesys.stores import ros2_kilted as ros

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import BagError
from qtopt_policy.geometry import Pose
from qtopt_policy.image_codec import Encoded, decode, encode, encode_observation

Image = NDArray[np.uint8]
NANO = 1_000_000_000


def nanoseconds(seconds: float) -> int:
    """Return a time in [ns]."""
    return round(seconds * NANO)


def header(stamp: int, frame_id: str = "") -> Any:
    """Return a std_msgs/Header; `stamp` in [ns]."""
    time = ros.builtin_interfaces__msg__Time(sec=stamp // NANO, nanosec=stamp % NANO)
    return ros.std_msgs__msg__Header(stamp=time, frame_id=frame_id)


def stamp_of(message: Any) -> int:
    """Return the stamp of a message's header [ns]."""
    stamp = message.header.stamp
    return int(stamp.sec) * NANO + int(stamp.nanosec)


def compressed_image(image: Image, stamp: int, frame_id: str, lossless: bool = False) -> Any:
    """Return a CompressedImage of an RGB image, uint8, (H, W, 3), as image_codec encodes observations.

    With `lossless` it is a PNG, whatever its size.
    """
    encoded = encode(image, "png") if lossless else encode_observation(image)
    data = np.frombuffer(encoded.data, dtype=np.uint8)
    return ros.sensor_msgs__msg__CompressedImage(header(stamp, frame_id), encoded.format, data)


def decode_image(message: Any) -> Image:
    """Return the RGB image, uint8, shape (H, W, 3), of a CompressedImage; ImageError where it is none."""
    return decode(Encoded(message.format, bytes(message.data)))


def diagnostics(name: str, values: Mapping[str, str], stamp: int, message: str = "") -> Any:
    """Return a DiagnosticArray with one status that holds `values`."""
    pairs = [ros.diagnostic_msgs__msg__KeyValue(key, value) for key, value in values.items()]
    status = ros.diagnostic_msgs__msg__DiagnosticStatus(0, name, message, "", pairs)
    return ros.diagnostic_msgs__msg__DiagnosticArray(header(stamp), [status])


def values_of(message: Any) -> dict[str, str]:
    """Return the key-value pairs of a DiagnosticArray's only status.

    Raises:
        BagError: it does not hold exactly one status.
    """
    if len(message.status) != 1:
        raise BagError(f"DiagnosticArray with {len(message.status)} statuses, expected one")
    return {pair.key: pair.value for pair in message.status[0].values}


def joint_state(
    stamp: int,
    names: Sequence[str],
    position: ArrayLike,
    velocity: ArrayLike = (),
    effort: ArrayLike = (),
    frame_id: str = "",
) -> Any:
    """Return a JointState."""
    arrays = [np.asarray(values, dtype=np.float64) for values in (position, velocity, effort)]
    return ros.sensor_msgs__msg__JointState(header(stamp, frame_id), list(names), *arrays)


def pose_stamped(pose: Pose, stamp: int, frame_id: str) -> Any:
    """Return a PoseStamped."""
    point = ros.geometry_msgs__msg__Point(*map(float, pose.position))
    quaternion = ros.geometry_msgs__msg__Quaternion(*map(float, pose.quaternion))
    return ros.geometry_msgs__msg__PoseStamped(
        header(stamp, frame_id), ros.geometry_msgs__msg__Pose(point, quaternion)
    )


def pose_of(message: Any) -> Pose:
    """Return the pose of a PoseStamped; ShapeError where it is not finite."""
    p, q = message.pose.position, message.pose.orientation
    return Pose.from_array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])


def boolean(value: bool) -> Any:
    """Return a Bool."""
    return ros.std_msgs__msg__Bool(value)


def camera_info(camera: CameraModel, stamp: int, frame_id: str) -> Any:
    """Return the CameraInfo of a camera without distortion."""
    k = camera.matrix
    roi = ros.sensor_msgs__msg__RegionOfInterest(0, 0, 0, 0, False)
    p = np.hstack([k, np.zeros((3, 1))])
    return ros.sensor_msgs__msg__CameraInfo(
        header=header(stamp, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=k.ravel(),
        r=np.eye(3).ravel(),
        p=p.ravel(),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )
