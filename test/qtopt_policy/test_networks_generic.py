import pytest
import torch

from qtopt_policy.cem import maximise
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import Geometry, ObservationBatch
from qtopt_policy.networks.registry import make_network
from qtopt_policy.search_config import CemConfig
from qtopt_policy.specs import ActionSpec, ContinuousDim, ObservationSpec, VectorField

ACTION = ActionSpec((ContinuousDim("x", "1", -2.0, 4.0), ContinuousDim("y", "1", 0.0, 1.0)), ("go", "stop"))
VECTORS = (VectorField("a", 2, "1"), VectorField("b", 1, "1"))


def batch(count: int, image: tuple[int, int, int] | None, vectors: int) -> ObservationBatch:
    generator = torch.Generator().manual_seed(0)
    height, width, channels = image or (0, 0, 0)
    pixels = torch.randint(0, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)
    geometry = Geometry(*(torch.zeros(count, *shape) for shape in ((3, 4), (4,), (3, 3), (), ())))
    return ObservationBatch(pixels, torch.rand(count, vectors, generator=generator), geometry)


def network(image: tuple[int, int, int] | None, vectors: bool = True, **config: object) -> QNetwork:
    spec = ObservationSpec(image, VECTORS if vectors else ())
    torch.manual_seed(0)
    return make_network("image" if image else "vector", ACTION, spec, {"hidden": 16, "width": 4, **config})


@pytest.mark.parametrize("image", [None, (32, 32, 3), (21, 40, 1), (8, 8, 4), (5, 5, 2)])
def test_one_logit_per_observation_and_candidate(image: tuple[int, int, int] | None) -> None:
    q = network(image)
    logits = q(batch(3, image, 3), torch.rand(3, 7, ACTION.size))
    assert logits.shape == (3, 7)
    assert torch.isfinite(logits).all()


def test_an_image_needs_no_vectors_beside_it() -> None:
    q = network((16, 16, 3), vectors=False)
    assert q(batch(2, (16, 16, 3), 0), torch.zeros(2, 1, ACTION.size)).shape == (2, 1)


@pytest.mark.parametrize("part", ["image", "vectors"])
def test_q_depends_on_every_part_of_the_observation(part: str) -> None:
    q, seen = network((16, 16, 3)), batch(1, (16, 16, 3), 3)
    actions = torch.zeros(1, 1, ACTION.size)
    before = q(seen, actions)
    getattr(seen, part).copy_(255 - seen.image if part == "image" else seen.vectors + 1)
    assert not torch.allclose(before, q(seen, actions))


def test_q_depends_on_the_action_whose_bounds_are_its_scale() -> None:
    q, seen = network(None), batch(1, None, 3)
    low, high = (torch.tensor([*ACTION.encode([x, 0.5], 0)]) for x in (-2.0, 4.0))
    assert not torch.allclose(q(seen, low.view(1, 1, -1)), q(seen, high.view(1, 1, -1)))
    scaled = (low - q.actions._centre) / q.actions._reach  # type: ignore[operator,union-attr]
    assert scaled.tolist() == pytest.approx([-1.0, 0.0, 1.0, 0.0])


@pytest.mark.parametrize("image", [None, (16, 16, 3)])
def test_it_learns_a_function_of_state_and_action(image: tuple[int, int, int] | None) -> None:
    q, seen = network(image), batch(64, image, 3)
    actions = torch.rand(64, 1, ACTION.size)
    wanted = 0.5 * actions[..., 0] + 0.5 * (seen.vectors[:, :1] > 0.5).float()
    optimiser = torch.optim.Adam(q.parameters(), lr=5e-3)
    for _ in range(150):
        loss = (q(seen, actions).sigmoid() - wanted).square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    assert float(loss.detach()) < 0.01


def test_parameters_build_the_same_network() -> None:
    q = network((16, 16, 3))
    twin = make_network("image", q.action_spec, q.observation_spec, q.config())
    twin.load_state_dict(q.state_dict())
    seen, actions = batch(2, (16, 16, 3), 3), torch.rand(2, 4, ACTION.size)
    torch.testing.assert_close(twin(seen, actions), q(seen, actions))


def test_the_search_runs_on_them() -> None:
    found = maximise(network(None).eval(), batch(2, None, 3), [1, 2], config=CemConfig(2, 16, 4))
    assert found.best.shape == (2, ACTION.size)


def test_what_they_cannot_see_is_refused() -> None:
    with pytest.raises(ConfigError, match="vector takes no image"):
        make_network("vector", ACTION, ObservationSpec((16, 16, 3), VECTORS))
    with pytest.raises(ConfigError, match="image needs an image"):
        make_network("image", ACTION, ObservationSpec(None, VECTORS))
    with pytest.raises(ConfigError, match="hidden 0"):
        make_network("vector", ACTION, ObservationSpec(None, VECTORS), {"hidden": 0})


def test_quantiles_are_in_the_unit_interval_and_their_mean_is_q() -> None:
    q, seen = network(None, quantiles=8), batch(2, None, 3)
    actions = torch.rand(2, 5, ACTION.size)
    quantiles = q.raw_quantiles(q.trunk(seen), seen, actions)
    assert quantiles.shape == (2, 5, 8)
    assert ((quantiles > 0.0) & (quantiles < 1.0)).all()
    torch.testing.assert_close(q(seen, actions).sigmoid(), quantiles.mean(dim=-1))


def test_a_measure_of_risk_values_the_same_quantiles_lower() -> None:
    neutral = network(None, quantiles=8)
    averse = network(None, quantiles=8, risk="cvar", risk_parameter=0.25)
    averse.load_state_dict(neutral.state_dict())
    seen, actions = batch(2, None, 3), torch.rand(2, 5, ACTION.size)
    assert (averse(seen, actions) < neutral(seen, actions)).all()
    worst = (
        neutral.raw_quantiles(neutral.trunk(seen), seen, actions).sort(dim=-1).values[..., :2].mean(dim=-1)
    )
    torch.testing.assert_close(averse(seen, actions).sigmoid(), worst, atol=1e-4, rtol=0)


def test_a_network_of_q_has_no_quantiles() -> None:
    q, seen = network(None), batch(1, None, 3)
    with pytest.raises(ConfigError, match="gives Q, not quantiles"):
        q.raw_quantiles(q.trunk(seen), seen, torch.zeros(1, 1, ACTION.size))
