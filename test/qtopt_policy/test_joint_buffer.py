import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.errors import ShapeError
from qtopt_policy.joint_buffer import JointBuffer

ARM = ("a", "b", "c")


def full(buffer: JointBuffer, stamp: int = 1, received: float = 0.0) -> None:
    buffer.update(ARM, [1.0, 2.0, 3.0], [0.1, 0.2, 0.3], [], stamp, received)


@given(st.permutations(["a", "b", "c", "finger"]))
def test_order_of_the_message_does_not_matter(names: list[str]) -> None:
    values = {"a": 1.0, "b": 2.0, "c": 3.0, "finger": 4.0}
    buffer = JointBuffer()
    buffer.update(names, [values[name] for name in names], [], [], 1, 0.0)
    snapshot = buffer.snapshot(ARM)
    assert snapshot is not None
    assert snapshot.position.tolist() == [1.0, 2.0, 3.0]


def test_partial_messages_of_two_publishers_are_merged() -> None:
    buffer = JointBuffer()
    buffer.update(["a", "b", "c"], [1.0, 2.0, 3.0], [], [], 5, 0.0)
    buffer.update(["finger"], [0.02], [], [], 9, 0.0)
    snapshot = buffer.snapshot(("c", "finger"))
    assert snapshot is not None
    assert snapshot.position.tolist() == [3.0, 0.02]


def test_snapshot_is_as_old_as_its_oldest_joint() -> None:
    buffer = JointBuffer()
    full(buffer, stamp=100, received=1.0)
    buffer.update(["b"], [2.5], [], [], 200, 2.0)
    snapshot = buffer.snapshot(ARM)
    assert snapshot is not None
    assert (snapshot.stamp, snapshot.received) == (100, 1.0)


def test_missing_joints_are_named() -> None:
    buffer = JointBuffer()
    buffer.update(["a"], [1.0], [], [], 1, 0.0)
    assert buffer.missing(ARM) == ("b", "c")
    assert buffer.snapshot(ARM) is None


def test_stale_joints_are_named() -> None:
    buffer = JointBuffer()
    full(buffer, received=1.0)
    buffer.update(["b"], [2.5], [], [], 2, 2.0)
    assert buffer.older_than((*ARM, "never"), 1.5) == ("a", "c", "never")


def test_velocity_and_effort_are_nan_where_the_driver_sends_none() -> None:
    buffer = JointBuffer()
    full(buffer)
    snapshot = buffer.snapshot(ARM)
    assert snapshot is not None
    assert snapshot.velocity.tolist() == [0.1, 0.2, 0.3]
    assert np.isnan(snapshot.effort).all()


@pytest.mark.parametrize(
    ("names", "position", "velocity", "reason"),
    [
        (["a", "b"], [1.0], [], "1 positions for 2 names"),
        (["a", "b"], [1.0, 2.0], [0.0], "1 velocities for 2 names"),
        (["a", "a"], [1.0, 2.0], [], "twice"),
        (["a", "b"], [1.0, float("nan")], [], "position of 'b'"),
    ],
)
def test_bad_message_is_refused_by_name_and_changes_nothing(
    names: list[str], position: list[float], velocity: list[float], reason: str
) -> None:
    buffer = JointBuffer()
    full(buffer)
    with pytest.raises(ShapeError, match=reason):
        buffer.update(names, position, velocity, [], 9, 9.0)
    reading = buffer.reading("a")
    assert reading is not None
    assert reading.stamp == 1


def test_position_out_of_its_bounds_is_refused_with_them() -> None:
    buffer = JointBuffer({"a": (-1.0, 2.0)})
    buffer.update(["a", "b"], [2.0, 1e6], [], [], 1, 0.0)
    with pytest.raises(ShapeError, match=r"'a' is 2\.5, bounds -1\.000 2\.000"):
        buffer.update(["a"], [2.5], [], [], 2, 0.1)
    assert buffer.snapshot(["a"]).stamp == 1  # type: ignore[union-attr]
