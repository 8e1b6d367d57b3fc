import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qtopt_policy.errors import ConfigError, UnknownKeyError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.batch import from_observations
from qtopt_policy.networks.grasping44 import Grasping44
from qtopt_policy.specs import ActionSpec, ContinuousDim, ObservationSpec
from support.policy_samples import make_observation, random_actions

MDP = MdpConfig(image_size=(472, 472))


@pytest.fixture(scope="module")
def network() -> Grasping44:
    torch.manual_seed(0)
    return Grasping44(MDP.action_spec(), MDP.observation_spec()).eval()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_the_whole(network: Grasping44) -> None:
    assert count(network) == 1_242_817


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("stem", 6_976 + 64),
        ("convs1", 614_400 + 768),
        ("blocks", 2_560 + 1_792),
        ("embedding", 256 + 16_384 + 128),
        ("convs2", 221_184 + 768),
        ("convs3", 110_592 + 384),
        ("hidden", 262_144 + 128 + 4_096 + 128),
        ("output", 65),
    ],
)
def test_parameters_of_each_part(network: Grasping44, part: str, expected: int) -> None:
    assert count(network.get_submodule(part)) == expected


def test_output_shape_of_every_layer(network: Grasping44) -> None:
    """The table of the paper's network, for 2 candidates."""
    expected = {
        "stem.0": (1, 64, 236, 236),
        "pool1": (1, 64, 79, 79),
        **{f"convs1.{i}": (1, 64, 79, 79) for i in range(6)},
        "pool2": (1, 64, 27, 27),
        **{f"blocks.{name}": (2, 256) for name in network.blocks},
        "embedding.1": (2, 64),
        **{f"convs2.{i}": (2, 64, 27, 27) for i in range(6)},
        "pool3": (2, 64, 14, 14),
        **{f"convs3.{i}": (2, 64, side, side) for i, side in enumerate((12, 10, 8))},
        "hidden.0": (2, 64),
        "hidden.1": (2, 64),
        "output": (2, 1),
    }
    found: dict[str, tuple[int, ...]] = {}

    def record(name: str) -> object:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            found[name] = tuple(output.shape)

        return network.get_submodule(name).register_forward_hook(hook)

    handles = [record(name) for name in expected]
    batch = from_observations([make_observation(size=(472, 472))], "base", 0.08)
    with torch.inference_mode():
        logits = network(batch, torch.from_numpy(random_actions(MDP, (1, 2))))
    for handle in handles:
        handle.remove()  # type: ignore[attr-defined]
    assert logits.shape == (1, 2)
    assert found == expected


def tensorflow_same_pool(image: NDArray[np.float32], kernel: int) -> NDArray[np.float32]:
    """Max pooling with stride = kernel and TensorFlow's SAME: pad what is needed, the extra row last."""
    size = len(image)
    out = -(-size // kernel)
    total = max((out - 1) * kernel + kernel - size, 0)
    padded = np.full((size + total,) * 2, -np.inf, np.float32)
    before = total // 2
    padded[before : before + size, before : before + size] = image
    pooled: NDArray[np.float32] = padded.reshape(out, kernel, out, kernel).max(axis=(1, 3))
    return pooled


@pytest.mark.parametrize(("name", "size", "kernel"), [("pool1", 236, 3), ("pool2", 79, 3), ("pool3", 27, 2)])
def test_pooling_pads_like_tensorflow(network: Grasping44, name: str, size: int, kernel: int) -> None:
    image = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    pooled = network.get_submodule(name)(torch.from_numpy(image)[None, None])[0, 0]
    np.testing.assert_array_equal(pooled, tensorflow_same_pool(image, kernel))


def test_batch_norms_have_slims_decay_and_epsilon(network: Grasping44) -> None:
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 1 + 6 + 2 + 6 + 3 + 2
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 3e-4)}


def test_stand_alone_batch_norms_have_no_scale(network: Grasping44) -> None:
    without = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and not module.affine
    ]
    assert without == ["stem.1.norm", "embedding.0.norm"]


def test_weights_start_as_a_truncated_normal(network: Grasping44) -> None:
    weights = torch.cat([p.detach().flatten() for p in network.parameters() if p.dim() > 1])
    assert weights.abs().max() <= 0.02
    # The standard deviation of a normal of 0.01 cut off at two of them.
    assert abs(float(weights.std()) - 0.0088) < 1e-4


def test_inputs_are_the_papers_ten_numbers(network: Grasping44) -> None:
    observation = make_observation(size=(472, 472))
    batch = from_observations([observation], "base", 0.08)
    action = MDP.action_spec().encode([0.01, 0.02, 0.03, 0.4], 2)
    inputs = network.inputs(batch, torch.from_numpy(action)[None, None])[0, 0]
    state = [float(observation.gripper_closed), observation.height_to_bottom]
    expected = [0.01, 0.02, 0.03, np.sin(0.4), np.cos(0.4), 0.0, 1.0, 0.0, *state]
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)


def test_shared_trunk_equals_one_pass_per_candidate(network: Grasping44) -> None:
    batch = from_observations([make_observation(size=(472, 472))], "base", 0.08)
    actions = torch.from_numpy(random_actions(MDP, (1, 3)))
    with torch.inference_mode():
        shared = network(batch, actions)[0]
        alone = torch.cat([network(batch, actions[:, i : i + 1])[0] for i in range(3)])
    torch.testing.assert_close(shared, alone, rtol=1e-4, atol=1e-7)


def test_another_image_size_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"472 x 472 pixels, found \(64, 64\)"):
        Grasping44(MDP.action_spec(), MdpConfig().observation_spec())


def test_another_action_is_refused() -> None:
    spec = ActionSpec((ContinuousDim("x", "m", 0.0, 1.0),))
    with pytest.raises(ConfigError, match="takes the action"):
        Grasping44(spec, MDP.observation_spec())


def test_an_observation_without_its_scalars_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs the observation 'gripper_closed'; this one has: none"):
        Grasping44(MDP.action_spec(), ObservationSpec((472, 472, 3)))


def test_it_takes_no_parameters() -> None:
    with pytest.raises(UnknownKeyError, match="width"):
        Grasping44.build(MDP.action_spec(), MDP.observation_spec(), {"width": 32})
