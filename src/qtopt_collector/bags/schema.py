"""What a bag holds: topics, types, QoS, metadata records. Schema version 1.

A bag is a folder named after its episode with `<episode>.mcap` and, once closed, `metadata.yaml` (rosbag2
version 9). Messages lie unchunked in the order of their log time. Message definitions come from rosbags.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from qtopt_policy import topics
from qtopt_policy.errors import BagError

SCHEMA_VERSION = 1
LIBRARY = "qtopt_grasping"  # in the header of every file
TYPESTORE = get_typestore(Stores.ROS2_KILTED)

# A JointState of rclpy with three empty sequences is 12 bytes longer than its fields.
MAX_SLACK = 16

# Names of MCAP metadata records. The last record of a name counts, so what is known early is on disk early.
INFO_RECORD = "qtopt_episode"  # one key per field of EpisodeInfo as JSON, and schema_version
CAMERA_RECORD = "qtopt_camera"  # camera: JSON of CameraModel.to_mapping, as the network saw through it
IMPORT_RECORD = "qtopt_import"  # where an imported episode came from and how it was aligned
CONVERT_RECORD = "qtopt_convert"  # source: the shard of an episode store that the episode came from

DEBUG_IMAGE = topics.DEBUG_IMAGE + "/compressed"  # as image_transport names it

JOINT_STATE = "sensor_msgs/msg/JointState"
POSE = "geometry_msgs/msg/PoseStamped"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
BOOL = "std_msgs/msg/Bool"


@dataclass(frozen=True)
class TopicSpec:
    """One topic of a bag.

    Attributes:
        name: relative to the namespace, as in topics.py; in the bag with a leading slash.
        kind: message type.
        required: an episode with steps holds at least one message of it.
        reliable, latched, depth: QoS as offered by its publisher, for `ros2 bag play`.
    """

    name: str
    kind: str
    required: bool
    reliable: bool = True
    latched: bool = False
    depth: int = 1


TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(topics.OBSERVATION, COMPRESSED_IMAGE, required=True, depth=100),
    TopicSpec(topics.CAMERA_INFO, CAMERA_INFO, required=True, reliable=False),
    TopicSpec(topics.JOINT_STATES, JOINT_STATE, required=True, reliable=False),
    TopicSpec(topics.TOOL_POSE, POSE, required=True),
    TopicSpec(topics.ACTION, JOINT_STATE, required=True, depth=100),
    TopicSpec(topics.STEP, DIAGNOSTICS, required=True, depth=100),
    TopicSpec(topics.OUTCOME, DIAGNOSTICS, required=True, latched=True, depth=10),
    TopicSpec(topics.EPISODE, DIAGNOSTICS, required=False, latched=True, depth=10),
    TopicSpec(topics.TARGET_POSE, POSE, required=False),
    TopicSpec(topics.GRIPPER_CLOSE, BOOL, required=False),
    TopicSpec(topics.DROP_IMAGE, COMPRESSED_IMAGE, required=False, depth=100),
    TopicSpec(DEBUG_IMAGE, COMPRESSED_IMAGE, required=False, depth=100),
)
SPECS = {spec.name: spec for spec in TOPICS}
# Required of a recorded bag, but an episode store does not hold it: a converted bag does without.
NOT_STORED = (topics.JOINT_STATES,)


def lookup(topic: str) -> TopicSpec:
    """Return the spec of a topic by its relative name.

    Raises:
        BagError: the schema has no such topic; the message lists them.
    """
    if topic not in SPECS:
        raise BagError(f"topic '{topic}' is not part of the bag schema. Topics: {', '.join(SPECS)}")
    return SPECS[topic]


@lru_cache
def message_definition(kind: str) -> bytes:
    """Return the ROS 2 message definition of a type with all types that it uses."""
    return TYPESTORE.generate_msgdef(kind, ros_version=2)[0].encode()


def serialize(message: object, kind: str) -> bytes:
    """Return the CDR bytes of a rosbags message object."""
    return bytes(TYPESTORE.serialize_cdr(message, kind))


def canonical(cdr: bytes, kind: str) -> bytes:
    """Return the same message as rosbags serialises it; errors as `deserialize`.

    rclpy leaves bytes of no meaning between the fields and, where sequences are empty, after the last one:
    its middleware reserves room for their alignment. rosbags' reader refuses the latter.
    """
    return serialize(deserialize(cdr, kind), kind)


def deserialize(cdr: bytes, kind: str) -> object:
    """Return the rosbags message object of CDR bytes.

    A few bytes more than the fields take are accepted (see `canonical`).

    Raises:
        BagError: the bytes are not a message of that type.
    """
    if cdr[:2] != b"\x00\x01":
        raise BagError(f"{kind}: not little-endian CDR: {cdr[:4].hex()}")
    definition = TYPESTORE.get_msgdef(kind)
    try:
        message, end = definition.deserialize_cdr_le(memoryview(cdr)[4:], 0, definition.cls, TYPESTORE)
    except (SerdeError, struct.error, ValueError, IndexError) as error:
        raise BagError(f"{kind}: {len(cdr)} bytes are not such a message: {error}") from error
    if not 0 <= len(cdr) - end - 4 <= MAX_SLACK:
        raise BagError(f"{kind}: {len(cdr)} bytes, its fields take {end + 4}")
    return message
