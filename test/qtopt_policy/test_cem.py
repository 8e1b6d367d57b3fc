from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qtopt_policy.cem import CemResult, maximise, search
from qtopt_policy.errors import ConfigError, ShapeError
from qtopt_policy.grasp_action import CLOSE, TERMINATE, grasp_action_spec
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.batch import from_observations
from qtopt_policy.networks.registry import make_network
from qtopt_policy.sampling import draw_noise
from qtopt_policy.search_config import CemConfig
from qtopt_policy.specs import ActionSpec, ContinuousDim
from support.policy_samples import make_observation

GRASP = grasp_action_spec()
MOVES = ActionSpec(GRASP.continuous)
CHOICES = ActionSpec((), ("left", "right", "stop"))
SPECS = [GRASP, MOVES, CHOICES]
LONG = CemConfig(iterations=15, samples=256, elites=32, min_std=0.01)
seeds = st.integers(0, 2**31)


def bowl(centre: Tensor, spec: ActionSpec = GRASP, choice: int | None = None) -> Callable[[Tensor], Tensor]:
    """Concave in half ranges, with a bonus of 1 on one choice."""
    half = torch.from_numpy(0.5 * (spec.high - spec.low))
    dims = len(spec.continuous)

    def value(actions: Tensor) -> Tensor:
        distance = ((actions[..., :dims] - centre) / half).square().sum(dim=-1)
        return -distance + (0.0 if choice is None else actions[..., dims + choice])

    return value


def rough(seed: int, spec: ActionSpec) -> Callable[[Tensor], Tensor]:
    """A rugged function: sines of random projections."""
    weights = torch.from_numpy(np.random.default_rng(seed).normal(size=(spec.size, 8)).astype(np.float32))
    return lambda actions: (40.0 * actions @ weights).sin().sum(dim=-1)


@settings(deadline=None)
@given(st.tuples(*[st.floats(-0.9, 0.9)] * 4), st.sampled_from([0, 1, 2]), seeds)
def test_finds_the_optimum_of_a_concave_function(fraction: tuple[float, ...], choice: int, seed: int) -> None:
    centre = torch.tensor(fraction) * torch.from_numpy(GRASP.high)
    result = search(bowl(centre, choice=choice), GRASP, [seed], LONG)
    assert int(result.best[0, 4:].argmax()) == choice
    assert float(result.value[0]) > 1.0 - 0.01


@settings(deadline=None)
@given(st.tuples(*[st.sampled_from([-3.0, 3.0])] * 4), seeds)
def test_finds_an_optimum_on_the_bounds(fraction: tuple[float, ...], seed: int) -> None:
    centre = torch.tensor(fraction) * torch.from_numpy(GRASP.high)
    result = search(bowl(centre, MOVES), MOVES, [seed], LONG)
    np.testing.assert_allclose(result.best[0].numpy() / GRASP.high, np.sign(fraction), atol=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_finds_the_higher_of_two_peaks_of_different_choices(seed: int) -> None:
    """A broad low peak with `move`, a narrow high one with `close`."""
    high = torch.from_numpy(GRASP.high)

    def value(actions: Tensor) -> Tensor:
        x = actions[..., :4] / high
        broad = 0.5 * torch.exp(-0.5 * (x - 0.5).square().sum(dim=-1))
        narrow = torch.exp(-0.5 * ((x + 0.4) / 0.7).square().sum(dim=-1))
        return broad * actions[..., 4] + narrow * actions[..., 4 + CLOSE]

    result = search(value, GRASP, [seed], LONG)
    assert int(result.best[0, 4:].argmax()) == CLOSE
    np.testing.assert_allclose(result.best[0, :4].numpy() / GRASP.high, -0.4, atol=0.1)


def test_two_rounds_come_close_to_a_smooth_optimum() -> None:
    """The paper's 2 x 64 samples: far better than 128 random ones."""
    count = 200
    rng = np.random.default_rng(0)
    centre = torch.from_numpy(rng.uniform(GRASP.low, GRASP.high, (count, 1, 4)).astype(np.float32))
    value = bowl(centre, choice=0)
    found = search(value, GRASP, range(count)).value.mean()
    uniform = CemConfig(iterations=1, samples=128, elites=6)
    assert found > search(value, GRASP, range(count), uniform).value.mean() + 0.1


@pytest.mark.parametrize("spec", SPECS)
@settings(deadline=None)
@given(seed=seeds)
def test_the_result_is_the_best_sample(spec: ActionSpec, seed: int) -> None:
    result = search(rough(seed % 1000, spec), spec, [seed])
    assert float(result.value[0]) == float(result.values.max())
    index = int(result.values[0].argmax())
    assert torch.equal(result.best[0], result.actions[0, index])


@settings(deadline=None)
@given(seed=seeds)
def test_a_good_first_round_is_never_lost(seed: int) -> None:
    """Later rounds see values of -1: the result must stem from the first."""
    calls = 0

    def value(actions: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return rough(1, GRASP)(actions) if calls == 1 else torch.full(actions.shape[:2], -100.0)

    result = search(value, GRASP, [seed])
    assert float(result.value[0]) == float(result.values[0, :64].max())


@pytest.mark.parametrize("spec", SPECS)
@settings(deadline=None)
@given(seed=seeds)
def test_every_sample_is_a_valid_action(spec: ActionSpec, seed: int) -> None:
    """Within the bounds, exactly one choice, and still where the choice stands still."""
    actions = search(rough(seed % 1000, spec), spec, [seed]).actions[0].numpy()
    for vector in actions:
        np.testing.assert_array_equal(spec.encode(*spec.decode(vector)), vector)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("config", [CemConfig(), CemConfig(3, 10, 4), CemConfig(1, 5, 5)])
def test_evaluations_are_exactly_as_stated(spec: ActionSpec, config: CemConfig) -> None:
    shapes: list[tuple[int, ...]] = []

    def value(actions: Tensor) -> Tensor:
        shapes.append(tuple(actions.shape))
        return actions.sum(dim=-1)

    result = search(value, spec, [1, 2], config)
    assert shapes == [(2, config.samples, spec.size)] * config.iterations
    assert result.actions.shape == (2, config.iterations * config.samples, spec.size)
    assert result.elite.sum(dim=1).tolist() == [config.elites] * 2


@pytest.mark.parametrize("spec", SPECS)
def test_a_batch_gives_what_its_members_give_alone(spec: ActionSpec) -> None:
    value = rough(5, spec)
    whole = search(value, spec, [11, 12, 13])
    for row, seed in enumerate([11, 12, 13]):
        alone = search(value, spec, [seed])
        assert torch.equal(alone.actions[0], whole.actions[row])
        assert torch.equal(alone.best[0], whole.best[row])


def test_equal_seeds_draw_equal_samples_and_others_do_not() -> None:
    value = rough(5, GRASP)
    first, again, other = (search(value, GRASP, [seed]).actions for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_choice_is_looked_at() -> None:
    first = search(rough(0, GRASP), GRASP, [0]).actions[0, :64, 4:].sum(dim=0)
    assert first.tolist() == [21.0, 21.0, 21.0, 1.0]


def test_terminate_is_found_when_it_is_best() -> None:
    result = search(lambda actions: actions[..., 4 + TERMINATE], GRASP, [0])
    np.testing.assert_array_equal(result.best[0], GRASP.encode(np.zeros(4), TERMINATE))


def test_the_second_round_spends_nothing_on_standing_still() -> None:
    result = search(lambda actions: actions[..., 4 + TERMINATE], GRASP, [0])
    assert not result.actions[0, 64:, 4 + TERMINATE].any()


def test_an_enumerated_action_is_solved_exactly() -> None:
    values = torch.tensor([0.1, 0.9, 0.3])
    result = search(lambda actions: actions @ values, CHOICES, [0])
    np.testing.assert_array_equal(result.best[0], [0.0, 1.0, 0.0])


def test_elites_are_the_best_of_the_last_round() -> None:
    result: CemResult = search(rough(2, GRASP), GRASP, [7])
    assert not result.elite[0, :64].any()
    worst = result.values[0][result.elite[0]].min()
    assert (result.values[0, 64:][~result.elite[0, 64:]] <= worst).all()


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ShapeError, match="128 of 128 Q values are not finite"):
        search(lambda actions: actions.sum(dim=-1) * float("nan"), GRASP, [0])


def test_values_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"shape \(1, 64, 8\), expected \(1, 64\)"):
        search(lambda actions: actions, GRASP, [0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"iterations": 0}, "iterations 0"),
        ({"elites": 0}, "elites 0"),
        ({"elites": 65}, "1 to samples"),
        ({"min_std": 0.0}, "above 0"),
    ],
)
def test_impossible_parameters_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CemConfig(**values)


def test_more_choices_than_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match="fewer than the 3 choices"):
        search(rough(0, CHOICES), CHOICES, [0], CemConfig(samples=2, elites=1))


def test_maximise_runs_the_trunk_once() -> None:
    mdp = MdpConfig()
    torch.manual_seed(0)
    network = make_network("compact", mdp.action_spec(), mdp.observation_spec()).eval()
    trunk, calls = network.trunk, 0

    def counted(*args: object) -> object:
        nonlocal calls
        calls += 1
        return trunk(*args)  # type: ignore[arg-type]

    network.trunk = counted  # type: ignore[method-assign, assignment]
    batch = from_observations([make_observation(i) for i in range(3)], "tool", 0.08)
    result = maximise(network, batch, [1, 2, 3])
    assert calls == 1
    assert not result.value.requires_grad
    logits = network(batch, result.best.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(logits, result.value, rtol=1e-4, atol=1e-5)


def test_maximise_searches_within_tighter_bounds() -> None:
    mdp = MdpConfig()
    network = make_network("compact", mdp.action_spec(), mdp.observation_spec()).eval()
    batch = from_observations([make_observation(0)], "tool", 0.08)
    result = maximise(network, batch, [1], grasp_action_spec(0.01, 0.1))
    assert result.actions[..., :3].abs().max() <= 0.01


def test_every_observation_needs_its_seed() -> None:
    mdp = MdpConfig()
    network = make_network("compact", mdp.action_spec(), mdp.observation_spec()).eval()
    batch = from_observations([make_observation(0)], "tool", 0.08)
    with pytest.raises(ShapeError, match="2 seeds for 1 observations"):
        maximise(network, batch, [1, 2])


def test_bounds_need_not_be_symmetric() -> None:
    spec = ActionSpec((ContinuousDim("x", "m", 1.0, 3.0),))
    result = search(lambda actions: -(actions[..., 0] - 2.5).square(), spec, [0], LONG)
    assert abs(float(result.best[0, 0]) - 2.5) < 0.01


def test_noise_drawn_for_all_at_once_searches_like_seeds_do() -> None:
    cpu, centre = torch.device("cpu"), torch.from_numpy(GRASP.high) * 0.5
    noise = draw_noise(3, LONG.noise_shape(GRASP), 5, cpu)
    assert torch.equal(noise, draw_noise(3, LONG.noise_shape(GRASP), 5, cpu))
    assert not torch.equal(noise, draw_noise(3, LONG.noise_shape(GRASP), 6, cpu))
    found = search(bowl(centre, choice=CLOSE), GRASP, noise, LONG)
    assert found.best[:, 4:].argmax(dim=1).tolist() == [CLOSE] * 3
    assert (found.value > 1.0 - 0.01).all()
