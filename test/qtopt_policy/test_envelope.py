import dataclasses

import numpy as np
import pytest

from qtopt_policy.camera import CameraModel
from qtopt_policy.config import from_mapping, to_mapping
from qtopt_policy.envelope import Envelope
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose, multiply, quaternion_about_z
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import GripperConfig
from support.policy_samples import make_camera

GRIPPER = GripperConfig(joints=("finger_joint1",))
MDP = MdpConfig()


def moved(camera: CameraModel, dx: float = 0.0, yaw: float = 0.0) -> CameraModel:
    quaternion = multiply(camera.pose.quaternion, quaternion_about_z(yaw))
    pose = Pose(camera.pose.position + np.array([dx, 0.0, 0.0]), quaternion)
    return dataclasses.replace(camera, pose=pose)


def test_what_was_seen_is_inside() -> None:
    cameras = [make_camera(), moved(make_camera(), dx=0.05, yaw=0.2)]
    envelope = Envelope.around(cameras, [GRIPPER], MDP)
    for camera in cameras:
        assert envelope.outside_camera(camera) == []
    assert envelope.outside_gripper(GRIPPER) == []
    assert envelope.outside_bounds(MDP) == []


def test_small_errors_of_calibration_are_inside() -> None:
    envelope = Envelope.around([make_camera()], [GRIPPER], MDP)
    slightly = dataclasses.replace(moved(make_camera(), 0.005, 0.03), fx=make_camera().fx * 1.01)
    assert envelope.outside_camera(slightly) == []


@pytest.mark.parametrize("name", ["fx", "fy", "cx", "cy"])
def test_other_intrinsics_are_named(name: str) -> None:
    camera = make_camera()
    other = dataclasses.replace(camera, **{name: getattr(camera, name) * 1.2})
    (sentence,) = Envelope.around([camera], [GRIPPER], MDP).outside_camera(other)
    assert sentence.startswith(f"{name} {getattr(other, name):.4g} is not in the trained")


def test_another_place_of_the_camera_is_named() -> None:
    (sentence,) = Envelope.around([make_camera()], [GRIPPER], MDP).outside_camera(moved(make_camera(), 0.1))
    assert sentence == "camera_x 0.16 is not in the trained 0.05 to 0.07"


def test_another_orientation_is_named() -> None:
    envelope = Envelope.around([make_camera()], [GRIPPER], MDP)
    assert envelope.outside_camera(moved(make_camera(), yaw=0.5)) == [
        "camera angle 0.500 rad exceeds the trained 0.050"
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"max_aperture": 0.14}, "opening 0.14 is not in the trained 0.075 to 0.085"),
        ({"finger_length": 0.02}, "finger_length 0.02 is not in the trained 0.045 to 0.055"),
    ],
)
def test_another_gripper_is_named(change: dict[str, float], expected: str) -> None:
    other = GripperConfig(joints=("finger_joint1",), **change)
    assert Envelope.around([make_camera()], [GRIPPER], MDP).outside_gripper(other) == [expected]


def test_larger_moves_are_named_and_smaller_ones_are_fine() -> None:
    envelope = Envelope.around([make_camera()], [GRIPPER], MDP)
    assert envelope.outside_bounds(MdpConfig(max_translation=0.02, max_yaw=0.1)) == []
    assert envelope.outside_bounds(MdpConfig(max_translation=0.05, max_yaw=0.6)) == [
        "max_translation 0.05 exceeds the trained 0.04",
        "max_yaw 0.6 exceeds the trained 0.5",
    ]


def test_plain_types_round_trip() -> None:
    envelope = Envelope.around([make_camera()], [GRIPPER], MDP)
    assert from_mapping(to_mapping(envelope), Envelope, "test") == envelope


def test_an_envelope_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 cameras and 1 grippers"):
        Envelope.around([], [GRIPPER], MDP)


def test_a_missing_range_is_named() -> None:
    envelope = dataclasses.replace(Envelope.around([make_camera()], [GRIPPER], MDP), ranges={})
    with pytest.raises(ConfigError, match="no range of 'fx'"):
        envelope.outside_camera(make_camera())
