import pytest
import torch

from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.risk import Output, RiskConfig, RiskName, distort, irwin_hall, weights

MEASURES: list[tuple[RiskName, float]] = [
    ("neutral", 0.0),
    ("cvar", 0.25),
    ("wang", -0.75),
    ("wang", 0.75),
    ("cpw", 0.71),
    ("pow", -2.0),
    ("pow", 2.0),
    ("norm", 3.0),
]


@pytest.mark.parametrize(("risk", "parameter"), MEASURES)
def test_weights_are_a_distribution(risk: RiskName, parameter: float) -> None:
    found = weights(RiskConfig(20, risk, parameter))
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-4)
    assert (found >= 0.0).all()


@pytest.mark.parametrize(("risk", "parameter"), MEASURES[:-1])
def test_weights_are_the_distorted_expectation(risk: RiskName, parameter: float) -> None:
    config = RiskConfig(50, risk, parameter)
    quantiles = (torch.arange(50) + 0.5) / 50  # of a uniform return: Z_tau = tau
    tau = torch.rand(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = float(distort(tau, config).mean())
    assert float(weights(config) @ quantiles) == pytest.approx(expected, abs=0.003)


def test_norm_weighs_by_the_mean_of_uniform_draws() -> None:
    draws = torch.rand(100_000, 3, generator=torch.Generator().manual_seed(0)).mean(dim=1)
    counted = torch.histc(draws, 10, 0.0, 1.0) / len(draws)
    torch.testing.assert_close(weights(RiskConfig(10, "norm", 3.0)), counted, atol=0.005, rtol=0)
    assert irwin_hall(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), 3).tolist() == pytest.approx(
        [0, 0.5, 1]
    )


def test_cvar_is_the_mean_of_the_worst_share() -> None:
    torch.testing.assert_close(
        weights(RiskConfig(8, "cvar", 0.25)), torch.tensor([0.5, 0.5, 0, 0, 0, 0, 0, 0]), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(("risk", "parameter"), [("wang", -0.75), ("pow", -2.0), ("cvar", 0.4)])
def test_averse_measures_prefer_the_sure_return(risk: RiskName, parameter: float) -> None:
    sure, chance = torch.full((20,), 0.45), torch.cat([torch.zeros(10), torch.ones(10)])
    found = weights(RiskConfig(20, risk, parameter))
    assert float(found @ sure) > float(found @ chance)
    seeking = weights(RiskConfig(20, "wang", 0.75))
    assert float(seeking @ sure) < float(seeking @ chance)


def test_crossed_quantiles_are_sorted_before_they_are_weighed() -> None:
    output = Output(RiskConfig(4, "cvar", 0.5))
    raw = torch.tensor([2.0, -1.0, 0.5, -3.0])
    expected = raw.sigmoid().sort().values[:2].mean()
    torch.testing.assert_close(output.logits(raw).sigmoid(), expected, atol=1e-4, rtol=0)


def test_without_quantiles_the_last_layer_is_the_logit() -> None:
    assert torch.equal(Output(RiskConfig()).logits(torch.tensor([[0.3], [-2.0]])), torch.tensor([0.3, -2.0]))


def test_nothing_of_it_is_in_the_weights_of_a_network() -> None:
    assert Output(RiskConfig(8)).state_dict() == {}


@pytest.mark.parametrize(
    ("quantiles", "risk", "parameter", "message"),
    [
        (-1, "neutral", 0.0, "quantiles -1"),
        (0, "cvar", 0.5, "needs a network with quantiles"),
        (8, "cvar", 0.0, "must be in"),
        (8, "cpw", 0.1, "where beta rises"),
        (8, "norm", 2.5, "number of draws, 1 to 12"),
        (8, "norm", 25.0, "number of draws, 1 to 12"),
    ],
)
def test_measures_that_make_no_sense_are_refused(
    quantiles: int, risk: RiskName, parameter: float, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        RiskConfig(quantiles, risk, parameter)
