from dataclasses import replace

import numpy as np
import pytest
import torch

from qtopt_learner.conservative import ConservativeConfig, pessimism, with_rivals
from qtopt_learner.losses import cross_entropy
from qtopt_learner.objective import make_objective
from qtopt_learner.replay import Replay
from qtopt_learner.rows import Layout, observation_batch
from qtopt_learner.train_config import QuantileConfig, TrainConfig
from qtopt_learner.trainer import Experience, Trainer
from qtopt_learner.transitions import episode_rows
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.networks.registry import make_network
from support.recordings import recording

MDP = MdpConfig()
CONFIG = TrainConfig(threads=1, batch=8, first_labels=8, steps=10)


def network(config: TrainConfig = CONFIG) -> QNetwork:
    torch.manual_seed(0)
    specs = MDP.action_spec(), MDP.observation_spec()
    return make_network("compact", *specs, {"width": 8, "channels": 8, **config.network_parameters})


def sample() -> tuple[ObservationBatch, torch.Tensor, torch.Tensor]:
    rows = episode_rows(recording(count=12).episode, MDP, 0.08)
    labels = torch.linspace(0.05, 0.95, 12)
    return observation_batch(rows), torch.from_numpy(rows["action"]), labels


def gradients(config: TrainConfig) -> tuple[float, torch.Tensor]:
    q = network(config)
    losses, values = make_objective(q, config)(*sample(), 0)
    assert (losses.shape, values.shape, losses.dtype) == ((12,), (12,), torch.float32)
    found = torch.autograd.grad(losses.mean(), list(q.parameters()))
    assert {gradient.dtype for gradient in found} == {torch.float32}
    return float(losses.detach().mean()), torch.cat([gradient.flatten() for gradient in found])


def test_the_loss_of_a_batch_is_that_of_its_logits() -> None:
    q = network()
    batch, actions, labels = sample()
    losses, values = make_objective(q, CONFIG)(batch, actions, labels, 0)
    logits = q(batch, actions.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(losses, cross_entropy(logits, labels))
    torch.testing.assert_close(values, logits.sigmoid())


def test_pessimism_is_added_to_the_loss_of_the_same_q() -> None:
    q = network()
    batch, actions, labels = sample()
    config = replace(CONFIG, conservative=ConservativeConfig(weight=0.5, rivals=4))
    plain, values = make_objective(q, CONFIG)(batch, actions, labels, 0)
    losses, same = make_objective(q, config)(batch, actions, labels, 7)
    torch.testing.assert_close(same, values)
    logits = q(batch, with_rivals(actions, MDP.action_spec(), config.conservative, 7))
    torch.testing.assert_close(losses - plain, pessimism(logits, config.conservative))


def test_mixed_precision_is_near_and_weights_stay_float32() -> None:
    full, full_gradient = gradients(CONFIG)
    mixed, mixed_gradient = gradients(replace(CONFIG, amp=True))
    assert mixed != full
    assert mixed == pytest.approx(full, rel=0.02)
    assert torch.nn.functional.cosine_similarity(full_gradient, mixed_gradient, dim=0) > 0.98


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_compiled_step_computes_the_same() -> None:
    plain, plain_gradient = gradients(CONFIG)
    compiled, compiled_gradient = gradients(replace(CONFIG, compile=True))
    assert compiled == pytest.approx(plain, rel=1e-4)
    torch.testing.assert_close(compiled_gradient, plain_gradient, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("loss", ["cross_entropy", "quantile"])
def test_a_trainer_learns_in_mixed_precision(loss: str) -> None:
    labels = replace(CONFIG.labels, fresh=True)
    quantile = QuantileConfig(count=8 if loss == "quantile" else QuantileConfig.count)
    config = replace(CONFIG, amp=True, loss=loss, labels=labels, quantile=quantile)  # type: ignore[arg-type]
    replay = Replay(Layout.of(MDP.action_spec(), MDP.observation_spec()), 100)
    for seed in range(3):
        replay.append(episode_rows(recording(seed=seed, count=6).episode, MDP, 0.08), str(seed))
    empty = Replay(replay.layout, 1)
    trainer = Trainer(lambda: network(config), config, Experience(replay, empty), MDP.discount)
    losses = [float(trainer.advance()["loss"]) for _ in range(config.steps)]
    assert np.isfinite(losses).all()
