"""Quantile learning on chains small enough to know every distribution."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qtopt_learner.labels import LabelConfig
from qtopt_learner.losses import quantile_huber
from qtopt_learner.quantile_labels import QuantileLabeller
from qtopt_learner.replay import Replay
from qtopt_learner.rows import GEOMETRY_SIZE, Rows, observation_batch
from qtopt_learner.targets import TargetConfig
from qtopt_learner.train_config import OptimiserConfig, QuantileConfig, TrainConfig
from qtopt_learner.trainer import Experience, Trainer
from qtopt_policy.cem import maximise
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.base import Features, QNetwork
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.networks.risk import Output, RiskConfig, RiskName
from qtopt_policy.search_config import CemConfig
from support.tiny_mdp import (
    ACTION_SPEC,
    ACTIONS,
    LAYOUT,
    OBSERVATION_SPEC,
    STATES,
    concatenate,
    optimal_q,
    rows_of,
    walk,
)

COUNT = 16
CEM = CemConfig(iterations=1, samples=3, elites=1)


class QuantileTable(QNetwork):
    """Quantiles by state and action, and a measure of risk."""

    def __init__(self, risk: RiskName = "neutral", parameter: float = 0.0) -> None:
        super().__init__(ACTION_SPEC, OBSERVATION_SPEC)
        self.table = nn.Parameter(torch.zeros(STATES, ACTIONS, COUNT))
        self.output = Output(RiskConfig(COUNT, risk, parameter))

    @classmethod
    def build(cls, *_: object) -> "QuantileTable":
        return cls()

    def config(self) -> dict[str, object]:
        return {}

    def trunk(self, batch: ObservationBatch) -> Features:
        summary = torch.einsum("bs,sak->bak", batch.vectors, self.table).flatten(1)
        return Features(summary.new_empty(len(batch), 0), summary)

    def raw(self, features: Features, actions: Tensor) -> Tensor:
        table = features.summary.view(-1, ACTIONS, COUNT)
        return torch.einsum("bna,bak->bnk", actions, table)

    def head(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        return self.output.logits(self.raw(features, actions))

    def raw_quantiles(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        return self.raw(features, actions).sigmoid()


CONFIG = TrainConfig(
    steps=1500,
    batch=64,
    loss="quantile",
    quantile=QuantileConfig(count=COUNT, kappa=0.01),
    labels=LabelConfig(fresh=True, cem=CEM),
    targets=TargetConfig(decay=0.9, lag=10),
    optimiser=OptimiserConfig(learning_rate=0.03, final_share=0.05, weight_decay=0.0),
    threads=1,
)


def trained(
    rows: Rows, network: QuantileTable, discount: float, config: TrainConfig = CONFIG
) -> QuantileTable:
    offline = Replay(LAYOUT, 5000)
    offline.append(rows, "rows")
    trainer = Trainer(lambda: network, config, Experience(offline, Replay(LAYOUT, 1)), discount)
    trainer.start()
    for _ in range(config.steps):
        trainer.advance()
    return trainer.targets.first  # type: ignore[return-value]


def test_the_loss_is_least_at_the_quantiles_of_the_labels() -> None:
    labels = torch.rand(1, 4001, generator=torch.Generator().manual_seed(0)).square()
    tau = (torch.arange(5) + 0.5) / 5
    exact = torch.quantile(labels[0], tau).unsqueeze(0)
    best = quantile_huber(exact, labels, 1e-4)
    for shift in (-0.05, 0.05):
        for i in range(5):
            moved = exact.clone()
            moved[:, i] += shift
            assert quantile_huber(moved, labels, 1e-4) > best


def test_the_loss_has_the_slope_of_quantile_regression() -> None:
    quantiles = torch.full((1, 4), 0.5, requires_grad=True)
    (above,) = torch.autograd.grad(quantile_huber(quantiles, torch.ones(1, 1), 1e-3).sum(), quantiles)
    (below,) = torch.autograd.grad(quantile_huber(quantiles, torch.zeros(1, 1), 1e-3).sum(), quantiles)
    tau = torch.tensor([[0.125, 0.375, 0.625, 0.875]])
    torch.testing.assert_close(above, -tau)
    torch.testing.assert_close(below, 1.0 - tau)


def test_means_converge_to_the_optimal_q_of_the_corridor() -> None:
    rng = np.random.default_rng(0)
    network = trained(concatenate([walk(rng, 0.9) for _ in range(200)]), QuantileTable(), 0.9)
    found = network.table.sigmoid().mean(dim=-1).detach().numpy()
    expected = np.clip(optimal_q(0.9), 0.0, 1.0)
    np.testing.assert_allclose(found, expected, atol=0.04)


def gamble(rng: np.random.Generator, count: int) -> Rows:
    """State 0: `left` pays 0.45 for sure, `right` 1 or 0 with even chance, `stop` nothing; each ends it."""
    episodes = []
    for _ in range(count):
        action = int(rng.integers(ACTIONS))
        reward = (0.45, float(rng.integers(2)), 0.0)[action]
        episodes.append(rows_of([0], [action], [reward], complete=True, discount=0.9))
    return concatenate(episodes)


def test_quantiles_are_those_of_a_gamble() -> None:
    rows = gamble(np.random.default_rng(0), 600)
    network = trained(rows, QuantileTable(), 0.9, replace(CONFIG, steps=800))
    sure, chance, nothing = network.table[0].sigmoid().sort(dim=-1).values.detach()
    torch.testing.assert_close(sure, torch.full((COUNT,), 0.45), atol=0.05, rtol=0)
    assert (chance[:6] < 0.1).all()
    assert (chance[-6:] > 0.9).all()
    assert (nothing < 0.05).all()


@pytest.mark.parametrize(
    ("risk", "parameter", "choice"), [("neutral", 0.0, 1), ("cvar", 0.4, 0), ("wang", -0.75, 0)]
)
def test_the_search_takes_the_risk_that_it_is_told_to(risk: RiskName, parameter: float, choice: int) -> None:
    network = QuantileTable(risk, parameter).eval()
    with torch.no_grad():
        network.table[0, 0] = torch.logit(torch.tensor(0.45))
        network.table[0, 1] = torch.logit(torch.linspace(0.01, 0.99, COUNT).round().clamp(0.01, 0.99))
        network.table[0, 2] = -5.0
    state = torch.eye(STATES)[:1]
    rows = {
        "image": np.zeros((1, 0, 0, 0), np.uint8),
        "vectors": state.numpy(),
        "geometry": np.zeros((1, GEOMETRY_SIZE), np.float32),
    }
    found = maximise(network, observation_batch(rows), [0], config=CEM)
    assert int(found.best[0].argmax()) == choice


class Pair:
    def __init__(self, first: QNetwork, second: QNetwork) -> None:
        self.first, self.second = first, second


def test_labels_are_the_shifted_and_shrunk_distribution_of_the_lower_target() -> None:
    first, second = QuantileTable().eval(), QuantileTable().eval()
    with torch.no_grad():
        first.table[1] = torch.linspace(-1.0, 1.0, COUNT)
        second.table[1] = torch.linspace(-2.0, 0.0, COUNT)
    replay = Replay(LAYOUT, 10)
    replay.append(rows_of([0, 1], [1, 2], [-0.02, 0.7], complete=True, discount=0.9), "a")
    for clipped, used in ((True, second), (False, first)):
        config = LabelConfig(fresh=True, cem=CEM, clipped=clipped)
        labeller = QuantileLabeller(Pair(first, second), config, 0.9, torch.device("cpu"), COUNT)
        labels = labeller.label(replay, np.array([0, 1]), 5, np.random.default_rng(0))
        expected = -0.02 + 0.9 * used.table[1, 0].sigmoid().detach().numpy()
        np.testing.assert_allclose(labels[0], expected, atol=1e-6)
        np.testing.assert_allclose(labels[1], 0.7, atol=1e-6)
        means = used.table[1, 0].sigmoid().mean().item()
        np.testing.assert_allclose(replay.get("value", np.array([0, 1])), [means, 0.0], atol=1e-6)


def test_labels_that_are_not_distributions_are_refused() -> None:
    for labels in (LabelConfig(fresh=False), LabelConfig(kind="outcome")):
        with pytest.raises(ConfigError, match=r"kind to bellman and labels\.fresh"):
            replace(CONFIG, labels=labels)


def test_the_loss_tells_the_network_what_to_give() -> None:
    config = replace(CONFIG, quantile=QuantileConfig(8, "cvar", 0.4), network_config={"hidden": 4})
    expected = {"hidden": 4, "quantiles": 8, "risk": "cvar", "risk_parameter": 0.4}
    assert config.network_parameters == expected
    plain = replace(config, loss="huber", quantile=QuantileConfig(), labels=LabelConfig())
    assert plain.network_parameters == {"hidden": 4}
