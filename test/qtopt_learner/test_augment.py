from dataclasses import replace
from typing import Literal

import pytest
import torch

from qtopt_learner.augment import AugmentConfig, augment, chroma_matrix, half_turn, mirror
from qtopt_learner.transitions import observations
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.batch import ObservationBatch, from_observations
from qtopt_policy.networks.compact import visible_pixels
from support.recordings import recording


@pytest.fixture
def batch() -> ObservationBatch:
    return from_observations(observations(recording(count=6).episode), "tool", 0.08)


def changed(batch: ObservationBatch, config: AugmentConfig, seed: int = 0) -> ObservationBatch:
    actions = torch.zeros(len(batch), 8)
    return augment(batch, actions, config, torch.Generator().manual_seed(seed))[0]


def test_everything_is_off_by_default(batch: ObservationBatch) -> None:
    assert changed(batch, AugmentConfig()) is batch


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue", "noise"])
def test_each_change_differs_per_image_and_keeps_the_type(batch: ObservationBatch, name: str) -> None:
    found = changed(batch, AugmentConfig(**{name: 0.2})).image  # type: ignore[arg-type]
    assert found.dtype == torch.uint8
    assert found.shape == batch.image.shape
    same = batch.image[:1].expand(6, -1, -1, -1)
    twins = changed(replace(batch, image=same), AugmentConfig(**{name: 0.2})).image  # type: ignore[arg-type]
    assert not torch.equal(twins[0], twins[1])


def test_brightness_moves_all_pixels_alike(batch: ObservationBatch) -> None:
    grey = torch.full_like(batch.image, 128)
    found = changed(replace(batch, image=grey), AugmentConfig(brightness=0.1)).image
    for image in found:
        assert len(image.unique()) == 1
        assert abs(int(image[0, 0, 0]) - 128) <= 26


def test_hue_and_saturation_leave_greys_alone() -> None:
    matrix = chroma_matrix(torch.tensor([0.5, 1.5]), torch.tensor([0.3, -1.0]))
    greys = torch.full((2, 3, 1), 0.4)
    torch.testing.assert_close(matrix @ greys, greys, atol=1e-3, rtol=0)


def test_a_full_turn_of_the_hue_is_no_turn() -> None:
    matrix = chroma_matrix(torch.ones(1), torch.full((1,), 2 * torch.pi))
    torch.testing.assert_close(matrix[0], torch.eye(3), atol=1e-5, rtol=0)


def test_the_camera_follows_a_shift(batch: ObservationBatch) -> None:
    """What is projected to a pixel of the old image is projected to the same content in the new one."""
    found = changed(batch, AugmentConfig(shift=5), seed=4)
    points = torch.tensor([0.0, 0.0, 0.02]).expand(len(batch), 1, 3)
    before, _ = batch.geometry.project(points)
    after, _ = found.geometry.project(points)
    moved = 0
    for i in range(len(batch)):
        u, v = before[i, 0].round().int().tolist()
        u2, v2 = (before[i, 0].round() + after[i, 0] - before[i, 0]).round().int().tolist()
        assert torch.equal(batch.image[i, :, v, u], found.image[i, :, v2, u2])
        moved += (u, v) != (u2, v2)
    assert moved


def test_shifts_are_whole_pixels_and_repeat_the_edge(batch: ObservationBatch) -> None:
    found = changed(batch, AugmentConfig(shift=3), seed=1)
    for i in range(len(batch)):
        du, dv = (found.geometry.intrinsics - batch.geometry.intrinsics)[i, 2:].int().tolist()
        assert max(abs(du), abs(dv)) <= 3
        rows = (torch.arange(64) - dv).clamp(0, 63)
        columns = (torch.arange(64) - du).clamp(0, 63)
        assert torch.equal(found.image[i], batch.image[i][:, rows][:, :, columns])
    assert torch.equal(found.geometry.intrinsics[:, :2], batch.geometry.intrinsics[:, :2])


def test_the_same_seed_gives_the_same_images(batch: ObservationBatch) -> None:
    config = AugmentConfig(brightness=0.1, contrast=0.2, saturation=0.3, hue=0.1, noise=0.02, shift=2)
    assert torch.equal(changed(batch, config, 5).image, changed(batch, config, 5).image)
    assert not torch.equal(changed(batch, config, 5).image, changed(batch, config, 6).image)


def moves(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    continuous = (torch.rand(count, 4, generator=generator) - 0.5) * torch.tensor([0.08, 0.08, 0.08, 1.0])
    return torch.cat([continuous, torch.eye(4)[torch.arange(count) % 4]], dim=1)


@pytest.mark.parametrize("frame", ["tool", "base"])
def test_the_mirrored_hand_is_seen_at_the_mirrored_pixels(frame: Literal["tool", "base"]) -> None:
    batch = from_observations(observations(recording(count=6).episode), frame, 0.08)
    actions = moves(6)
    mirrored, turned = mirror(batch, actions, torch.ones(6, dtype=torch.bool))
    pixels = []
    for b, a in ((batch, actions), (mirrored, turned)):
        translation = (a[:, None, :3] @ b.geometry.hand_from_action.transpose(1, 2)).contiguous()
        found, _ = visible_pixels(b.geometry, translation, a[:, None, 3], 64, 64)
        pixels.append(found[:, 0])
    expected = torch.stack([63 - pixels[0][..., 0], pixels[0][..., 1]], dim=-1)
    # The fingers change sides, so the points come in another order.
    for want, got in zip(expected, pixels[1], strict=True):
        distance = torch.cdist(want, got)
        assert distance.min(dim=1).values.max() < 1e-3
        assert distance.min(dim=0).values.max() < 1e-3
    assert torch.equal(mirrored.image, batch.image.flip(-1))


def test_a_mirrored_camera_stays_a_camera(batch: ObservationBatch) -> None:
    mirrored, _ = mirror(batch, moves(6), torch.ones(6, dtype=torch.bool))
    for name in ("camera_from_hand", "hand_from_action"):
        rotation = getattr(mirrored.geometry, name)[:, :, :3]
        torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(6))


def test_mirroring_twice_changes_nothing(batch: ObservationBatch) -> None:
    which = torch.tensor([True, False, True, True, False, True])
    actions = moves(6)
    back, same = mirror(*mirror(batch, actions, which), which)
    assert torch.equal(back.image, batch.image)
    torch.testing.assert_close(same, actions)
    torch.testing.assert_close(back.geometry.camera_from_hand, batch.geometry.camera_from_hand)
    torch.testing.assert_close(back.geometry.intrinsics, batch.geometry.intrinsics)


def test_half_of_a_batch_is_mirrored_and_the_rest_left_alone(batch: ObservationBatch) -> None:
    many = batch[torch.arange(600) % 6]
    actions = moves(600)
    found, turned = augment(many, actions, AugmentConfig(mirror=True), torch.Generator().manual_seed(0))
    flipped = (turned[:, 3] != actions[:, 3]).numpy()
    assert 230 < flipped.sum() < 370
    assert torch.equal(found.image[~flipped], many.image[~flipped])
    assert torch.equal(found.image[flipped], many.image.flip(-1)[flipped])
    assert torch.equal(turned[:, 4:], actions[:, 4:])


def test_negative_ranges_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"hue -0\.1"):
        AugmentConfig(hue=-0.1)


@pytest.mark.parametrize("frame", ["tool", "base"])
def test_a_hand_turned_by_half_a_turn_is_seen_at_the_same_pixels(frame: Literal["tool", "base"]) -> None:
    batch = from_observations(observations(recording(count=6).episode), frame, 0.08)
    turned = half_turn(batch, torch.tensor([True, False] * 3))
    actions = moves(6)
    pixels = []
    for b in (batch, turned):
        translation = (actions[:, None, :3] @ b.geometry.hand_from_action.transpose(1, 2)).contiguous()
        pixels.append(visible_pixels(b.geometry, translation, actions[:, None, 3], 64, 64)[0][:, 0])
    for want, got in zip(*pixels, strict=True):
        distance = torch.cdist(want, got)
        assert distance.min(dim=1).values.max() < 1e-2
        assert distance.min(dim=0).values.max() < 1e-2
    assert not torch.allclose(pixels[0][0], pixels[1][0], atol=1.0)  # the fingers change places
    assert torch.equal(pixels[0][1], pixels[1][1])
    assert torch.equal(turned.image, batch.image)


def test_half_of_a_batch_is_turned(batch: ObservationBatch) -> None:
    many = batch[torch.arange(600) % 6]
    found = changed(many, AugmentConfig(half_turn=True))
    turned = (found.geometry.hand_from_action != many.geometry.hand_from_action).any(dim=(1, 2))
    assert 230 < turned.sum() < 370
