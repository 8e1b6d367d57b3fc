import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtopt_policy.camera import Mount
from qtopt_policy.errors import ShapeError
from qtopt_policy.grasp_action import ActionFrame, GraspAction
from qtopt_policy.networks.batch import ObservationBatch, from_observations
from qtopt_policy.networks.hand import ACROSS, ALONG, PER_LAYER, POINTS, hand_points
from support.policy_samples import make_observation

MOUNTS: tuple[Mount, ...] = ("tool", "base")
FRAMES: tuple[ActionFrame, ...] = ("tool", "base")
OPENING = 0.08


def expected_pixels(seed: int, mount: Mount, frame: ActionFrame, action: GraspAction) -> NDArray[np.float64]:
    """Place the hand's points by Pose and GraspAction.target, project them by CameraModel."""
    observation = make_observation(seed, mount=mount, tilt=0.03)
    target = action.target(observation.tool_pose, frame)
    in_hand = [[0.0, 0.5 * OPENING * y, 0.0] for y in np.linspace(-1.0, 1.0, ACROSS)]
    in_hand += [[x, 0.0, 0.0] for x in (-ALONG, ALONG)]
    at_tips = target.transform(in_hand)
    on_floor = at_tips.copy()
    on_floor[:, 2] = observation.tool_pose.position[2] - observation.height_to_bottom
    pixels, _ = observation.camera.project(np.concatenate([at_tips, on_floor]), observation.tool_pose)
    return pixels


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("frame", FRAMES)
@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    translation=st.tuples(*[st.floats(-0.04, 0.04)] * 3),
    yaw=st.floats(-0.5, 0.5),
)
def test_hand_points_are_where_the_action_leads(
    mount: Mount, frame: ActionFrame, seed: int, translation: tuple[float, ...], yaw: float
) -> None:
    batch = from_observations([make_observation(seed, mount=mount, tilt=0.03)], frame, OPENING)
    geometry = batch.geometry
    moved = torch.tensor(translation).view(1, 1, 3) @ geometry.hand_from_action.transpose(1, 2)
    points = hand_points(geometry, moved, torch.tensor([[yaw]]))
    pixels, depth = geometry.project(points)
    expected = expected_pixels(seed, mount, frame, GraspAction(np.array(translation), yaw, 0))
    assert (depth > 0.0).all()
    np.testing.assert_allclose(pixels[0, 0].numpy(), expected, atol=2e-2)


def test_every_hand_has_two_layers_of_points() -> None:
    batch = from_observations([make_observation(0), make_observation(1)], "tool", OPENING)
    points = hand_points(batch.geometry, torch.zeros(2, 3, 3), torch.zeros(2, 3))
    assert points.shape == (2, 3, POINTS, 3)
    np.testing.assert_allclose(points[0, 0, :PER_LAYER, 2], np.zeros(PER_LAYER))
    np.testing.assert_allclose(
        points[1, 0, PER_LAYER:, 2], np.full(PER_LAYER, batch.geometry.height[1]), rtol=1e-6
    )


def test_batch_holds_what_the_observations_hold() -> None:
    observations = [make_observation(seed) for seed in range(3)]
    batch = from_observations(observations, "tool", OPENING)
    assert len(batch) == 3
    assert batch.image.shape == (3, 3, 64, 64)
    np.testing.assert_array_equal(batch.image[1].permute(1, 2, 0), observations[1].image)
    np.testing.assert_array_equal(batch.vectors[2], observations[2].scalars())


def test_rows_and_joining_round_trip() -> None:
    batch = from_observations([make_observation(seed) for seed in range(4)], "base", OPENING)
    joined = ObservationBatch.concatenate([batch[:1], batch[torch.tensor([1, 2, 3])]])
    assert torch.equal(joined.image, batch.image)
    assert torch.equal(joined.vectors, batch.vectors)
    assert torch.equal(joined.geometry.camera_from_hand, batch.geometry.camera_from_hand)
    assert torch.equal(joined.geometry.opening, batch.geometry.opening)


def test_points_behind_the_camera_stay_finite() -> None:
    batch = from_observations([make_observation(0)], "tool", OPENING)
    points = torch.tensor([[[0.1, 0.1, -5.0], [0.1, 0.1, -0.12]]], requires_grad=True)
    pixels, depth = batch.geometry.project(points)
    (gradient,) = torch.autograd.grad(pixels.sum(), points)
    assert (depth <= 0.0).all()
    assert torch.isfinite(pixels).all()
    assert torch.isfinite(gradient).all()


def test_images_of_two_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match="one size"):
        from_observations([make_observation(0), make_observation(1, size=(32, 32))], "tool", OPENING)


def test_no_observation_is_refused() -> None:
    with pytest.raises(ShapeError, match="no observation"):
        from_observations([], "tool", OPENING)
