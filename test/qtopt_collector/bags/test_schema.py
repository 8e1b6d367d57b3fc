import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, JointState
from std_msgs.msg import Bool, Header

from qtopt_collector.bags import schema
from qtopt_policy.errors import BagError

NAMES = st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9), max_size=9)
VALUES = st.lists(st.floats(allow_nan=False), max_size=9)


@given(NAMES, VALUES, VALUES)
def test_joint_states_of_rclpy_become_readable(
    names: list[str], position: list[float], effort: list[float]
) -> None:
    message = JointState(name=names, position=position, effort=effort, header=Header(frame_id="f"))
    cdr = schema.canonical(serialize_message(message), schema.JOINT_STATE)
    found = schema.TYPESTORE.deserialize_cdr(cdr, schema.JOINT_STATE)
    assert found.name == names  # type: ignore[attr-defined]
    assert found.position.tolist() == position  # type: ignore[attr-defined]
    assert deserialize_message(cdr, JointState) == message


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (PoseStamped(), schema.POSE),
        (Bool(data=True), schema.BOOL),
        (CompressedImage(format="png", data=b"123"), schema.COMPRESSED_IMAGE),
        (CameraInfo(), schema.CAMERA_INFO),
        (
            DiagnosticArray(status=[DiagnosticStatus(level=b"\1", values=[KeyValue(key="k", value="v")])]),
            schema.DIAGNOSTICS,
        ),
    ],
)
def test_messages_of_rclpy_stay_what_they_are(message: object, kind: str) -> None:
    cdr = schema.canonical(serialize_message(message), kind)
    assert deserialize_message(cdr, type(message)) == message
    assert schema.canonical(cdr, kind) == cdr


@given(st.binary(max_size=80))
def test_other_bytes_are_refused_or_fit(tail: bytes) -> None:
    data = b"\0\1\0\0" + tail
    try:
        cdr = schema.canonical(data, schema.JOINT_STATE)
    except BagError:
        return
    assert 0 <= len(data) - len(cdr) <= schema.MAX_SLACK


@given(st.integers(4, 75))
def test_a_truncated_message_is_refused(size: int) -> None:
    whole = serialize_message(JointState(name=["a", "b"], position=[1.0, 2.0], effort=[3.0, 4.0]))
    with pytest.raises(BagError):
        schema.deserialize(whole[:size], schema.JOINT_STATE)


def test_an_unknown_topic_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(
        BagError, match=r"topic 'tf' is not part of the bag schema\. Topics: policy/observation"
    ):
        schema.lookup("tf")
