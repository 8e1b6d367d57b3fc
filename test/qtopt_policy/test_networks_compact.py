import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qtopt_policy.camera import Mount
from qtopt_policy.errors import ConfigError, UnknownKeyError
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import ActionFrame
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.batch import ObservationBatch, from_observations
from qtopt_policy.networks.compact import Compact, CompactConfig, visible_pixels
from qtopt_policy.networks.hand import POINTS
from support.policy_samples import make_observation, random_actions

MDP = MdpConfig()
MOUNTS: tuple[Mount, ...] = ("tool", "base")
OPENING = 0.08


def make(seed: int = 0, mdp: MdpConfig = MDP) -> Compact:
    torch.manual_seed(seed)
    return Compact(mdp.action_spec(), mdp.observation_spec(), CompactConfig()).eval()


def batch_of(count: int, mount: Mount = "tool", frame: ActionFrame = "tool") -> ObservationBatch:
    return from_observations([make_observation(i, mount=mount) for i in range(count)], frame, OPENING)


def actions_for(count: int, candidates: int) -> Tensor:
    return torch.from_numpy(random_actions(MDP, (count, candidates)))


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("size", [(64, 64), (96, 96), (48, 64)])
def test_one_logit_per_candidate(mount: Mount, size: tuple[int, int]) -> None:
    mdp = MdpConfig(image_size=size)
    observations = [make_observation(i, size=size, mount=mount) for i in range(2)]
    batch = from_observations(observations, "tool", OPENING)
    logits = make(mdp=mdp)(batch, actions_for(2, 5))
    assert logits.shape == (2, 5)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("mount", MOUNTS)
def test_gradients_flow_to_the_feature_map_and_through_it(mount: Mount) -> None:
    network, batch = make(), batch_of(2, mount)
    features = network.trunk(batch)
    logits = network.head(features, batch, actions_for(2, 3))
    first = network.maps.fine[0][0].weight  # type: ignore[index]
    gradients = torch.autograd.grad(logits.sum(), [features.map, first])
    for gradient in gradients:
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0.0


def test_every_parameter_learns() -> None:
    network, batch = make(), batch_of(4)
    logits = network(batch, actions_for(4, 8))
    gradients = torch.autograd.grad(logits.square().sum(), list(network.parameters()))
    assert all(gradient.abs().sum() > 0.0 for gradient in gradients)


@pytest.mark.parametrize("mount", MOUNTS)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 100))
def test_a_sample_depends_on_the_image_around_its_pixel(mount: Mount, seed: int) -> None:
    """The strongest gradient of a point's samples lies within the receptive field's middle."""
    network = make()
    batch = batch_of(seed + 1, mount)[-1:]
    actions = torch.from_numpy(random_actions(MDP, (1, 1), seed))
    pixels, visible = visible_pixels(batch.geometry, actions[..., :3], actions[..., 3], 64, 64)
    image = batch.image.float().div(255.0).sub(0.5).requires_grad_()
    features, _ = network.maps(image)
    samples = network.sample(features, batch, actions[..., :3], actions[..., 3])
    channels = features.shape[1]
    for point in (2, POINTS // 2 + 2):  # the middle of both layers
        block = samples[0, 0, point * channels : (point + 1) * channels]
        if not visible[0, 0, point]:
            assert (block == 0.0).all()
            continue
        (gradient,) = torch.autograd.grad(block.sum(), image, retain_graph=True)
        if gradient.abs().sum() == 0.0:
            continue  # all channels of this point are cut off by ReLU
        weights = gradient[0].square().sum(dim=0)
        rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
        centre = torch.stack([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
        assert (centre - pixels[0, 0, point]).norm() < 6.0


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 100))
def test_both_action_frames_value_the_same_move_alike(seed: int) -> None:
    observation = make_observation(seed)
    in_tool = from_observations([observation], "tool", OPENING)
    in_base = from_observations([observation], "base", OPENING)
    actions = torch.from_numpy(random_actions(MDP, (1, 4), seed))
    hand = torch.from_numpy(observation.tool_pose.rotation().astype(np.float32))
    turned = torch.cat([actions[..., :3] @ hand.T, actions[..., 3:]], dim=-1)
    network = make()
    torch.testing.assert_close(network(in_base, turned), network(in_tool, actions), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mount", MOUNTS)
def test_candidates_and_observations_do_not_touch_each_other(mount: Mount) -> None:
    network, batch, actions = make(), batch_of(3, mount), actions_for(3, 4)
    whole = network(batch, actions)
    for row in range(3):
        for column in range(4):
            alone = network(batch[row : row + 1], actions[row : row + 1, column : column + 1])
            torch.testing.assert_close(alone[0, 0], whole[row, column], rtol=1e-4, atol=1e-5)


def look_away(batch: ObservationBatch) -> ObservationBatch:
    """Turn the camera by half a turn about its x axis: the hand is behind it."""
    flip = torch.tensor([1.0, -1.0, -1.0])[:, None]
    turned = batch.geometry.camera_from_hand * flip
    return dataclasses.replace(batch, geometry=dataclasses.replace(batch.geometry, camera_from_hand=turned))


def test_points_behind_the_camera_give_zeros_and_a_mask_of_zeros() -> None:
    network, batch = make(), look_away(batch_of(2))
    features, _ = network.maps(batch.image.float())
    assert (network.sample(features, batch, torch.zeros(2, 1, 3), torch.zeros(2, 1)) == 0.0).all()


def test_the_network_is_told_what_is_out_of_view() -> None:
    """With equal (zero) samples the logit still differs, because the mask does."""
    network, batch = make(), batch_of(1)
    dark = torch.zeros(1, 24, 32, 32)
    still = torch.zeros(1, 1, 3), torch.zeros(1, 1)
    seen = network.sample(dark, batch, *still)
    unseen = network.sample(dark, look_away(batch), *still)
    assert not torch.equal(
        network.candidate.weight[:, : seen.shape[-1]] @ seen[0, 0],
        network.candidate.weight[:, : seen.shape[-1]] @ unseen[0, 0],
    )
    assert seen[0, 0, -POINTS:].sum() > 0.0
    assert unseen[0, 0, -POINTS:].sum() == 0.0


def test_a_camera_that_sees_nothing_of_the_hand_is_handled_with_gradients() -> None:
    network, batch = make(), look_away(batch_of(2))
    logits = network(batch, actions_for(2, 3))
    gradients = torch.autograd.grad(logits.sum(), list(network.parameters()), allow_unused=True)
    assert torch.isfinite(logits).all()
    assert all(gradient is None or torch.isfinite(gradient).all() for gradient in gradients)


def test_the_mask_follows_the_edges_of_the_image() -> None:
    observation = make_observation(0)
    far = dataclasses.replace(
        observation.camera, pose=Pose(np.array([2.0, 0.0, -0.12]), Pose.identity().quaternion)
    )
    batch = from_observations([dataclasses.replace(observation, camera=far)], "tool", OPENING)
    _, visible = visible_pixels(batch.geometry, torch.zeros(1, 1, 3), torch.zeros(1, 1), 64, 64)
    assert not visible.any()


def test_it_learns_where_a_bright_spot_is() -> None:
    """Supervised: Q = 1 where the candidate's tool point on the floor covers the spot, else 0."""
    torch.manual_seed(0)
    count, config = 32, CompactConfig(width=16, channels=8, hidden=64, hidden2=32)
    network = Compact(MDP.action_spec(), MDP.observation_spec(), config)
    batch, actions = batch_of(count), torch.from_numpy(random_actions(MDP, (count, 8), seed=3))
    pixels, _ = visible_pixels(batch.geometry, actions[..., :3], actions[..., 3], 64, 64)
    under = pixels[:, :, POINTS // 2 + 2].round().long().clamp(2, 61)  # the middle point on the floor
    image = torch.full((count, 3, 64, 64), 60, dtype=torch.uint8)
    for i, (column, row) in enumerate(under[torch.arange(count), torch.arange(count) % 8].tolist()):
        image[i, :, row - 2 : row + 3, column - 2 : column + 3] = 255
    bright = dataclasses.replace(batch, image=image)
    label = (image[torch.arange(count)[:, None], 0, under[..., 1], under[..., 0]] == 255).float()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    loss = torch.tensor(0.0)
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(bright, actions), label)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    chance = torch.nn.functional.binary_cross_entropy(label.mean().expand_as(label), label)
    assert loss < 0.5 * chance


def test_a_candidate_is_cheap() -> None:
    """Multiply-adds of the head per candidate: its matrices, and four taps per sample."""
    network = make()
    layers = [m for m in network.value if isinstance(m, torch.nn.Linear)] + [network.candidate]
    matrices = sum(layer.weight.numel() for layer in layers)
    assert matrices + 4 * POINTS * CompactConfig().channels < 0.1e6


def test_without_scalars_its_numbers_are_hidden_from_it() -> None:
    batch, actions = batch_of(2), actions_for(2, 3)
    other = dataclasses.replace(batch, vectors=1.0 - batch.vectors)
    seeing = make()
    blind = Compact.build(MDP.action_spec(), MDP.observation_spec(), {"scalars": 0}).eval()
    blind.load_state_dict(seeing.state_dict())
    assert not torch.equal(seeing(batch, actions), seeing(other, actions))
    assert torch.equal(blind(batch, actions), blind(other, actions))
    assert blind.config()["scalars"] == 0
    assert "scalars" not in seeing.config()
    with pytest.raises(ConfigError, match="scalars 2: must be 0 or 1"):
        CompactConfig(scalars=2)


def test_sides_must_be_multiples_of_eight() -> None:
    with pytest.raises(ConfigError, match=r"multiples of 8, found \(60, 60\)"):
        make(mdp=MdpConfig(image_size=(60, 60)))


def test_config_builds_the_same_network() -> None:
    network = Compact.build(MDP.action_spec(), MDP.observation_spec(), {"width": 16, "hidden": 64})
    again = Compact.build(MDP.action_spec(), MDP.observation_spec(), network.config())
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes == {name: tuple(value.shape) for name, value in again.state_dict().items()}


def test_an_unknown_parameter_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownKeyError, match=r"unknown key 'depth'\. Valid keys: channels, hidden"):
        Compact.build(MDP.action_spec(), MDP.observation_spec(), {"depth": 3})


def test_quantiles_take_the_place_of_q_and_their_measure_that_of_the_logit() -> None:
    config: dict[str, object] = {"quantiles": 8, "risk": "cvar", "risk_parameter": 0.5}
    network = Compact.build(MDP.action_spec(), MDP.observation_spec(), config)
    batch, actions = batch_of(3), actions_for(3, 2)
    quantiles = network.raw_quantiles(network.trunk(batch), batch, actions)
    assert quantiles.shape == (3, 2, 8)
    worst = quantiles.sort(dim=-1).values[..., :4].mean(dim=-1)
    torch.testing.assert_close(network(batch, actions).sigmoid(), worst, atol=1e-3, rtol=0)
    assert network.config().items() >= config.items()


def test_a_network_of_q_is_described_as_before_there_were_quantiles() -> None:
    assert set(make().config()) == {"width", "channels", "hidden", "hidden2"}
    with pytest.raises(ConfigError, match="gives Q, not quantiles"):
        make().raw_quantiles(make().trunk(batch_of(1)), batch_of(1), actions_for(1, 1))
