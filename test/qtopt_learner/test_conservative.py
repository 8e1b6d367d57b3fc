from dataclasses import replace

import pytest
import torch

from qtopt_learner.conservative import ConservativeConfig, pessimism, with_rivals
from qtopt_learner.labels import LabelConfig
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import TERMINATE, grasp_action_spec

GRASP = grasp_action_spec()
CONFIG = ConservativeConfig(weight=0.5, rivals=8)


def test_rivals_are_moves_within_the_bounds_and_terminate_is_one_of_them() -> None:
    own = torch.zeros(200, GRASP.size)
    moves = with_rivals(own, GRASP, CONFIG, 3)
    assert moves.shape == (200, 9, GRASP.size)
    assert torch.equal(moves[:, 0], own)
    rivals = moves[:, 1:]
    assert torch.equal(rivals[..., 4:].sum(dim=-1), torch.ones(200, 8))
    assert torch.equal(rivals[..., 4 + TERMINATE].sum(dim=1), torch.ones(200))
    moving = rivals[rivals[..., 4 + TERMINATE] == 0.0][:, :4] / torch.from_numpy(GRASP.high)
    assert moving.abs().max() <= 1.0
    assert (moving.amax(dim=0) > 0.9).all()
    assert (moving.amin(dim=0) < -0.9).all()
    assert torch.equal(moves, with_rivals(own, GRASP, CONFIG, 3))
    assert not torch.equal(moves, with_rivals(own, GRASP, CONFIG, 4))


def test_without_weight_there_are_no_rivals() -> None:
    own = torch.zeros(2, GRASP.size)
    assert with_rivals(own, GRASP, ConservativeConfig(), 0).shape == (2, 1, GRASP.size)


def test_pessimism_pulls_rivals_down_and_the_move_that_was_made_up() -> None:
    logits = torch.tensor([[0.0, 2.0, -1.0], [1.0, 1.0, 1.0]], requires_grad=True)
    losses = pessimism(logits, CONFIG)
    expected = 0.5 * ((1.0 + torch.tensor(2.0).exp() + torch.tensor(-1.0).exp()) / 3.0).log()
    torch.testing.assert_close(losses.detach(), torch.stack([expected, torch.tensor(0.0)]))
    (slope,) = torch.autograd.grad(losses.sum(), logits)
    assert (slope[:, 0] < 0.0).all()
    assert (slope[:, 1:] > 0.0).all()
    assert slope[0, 1] > slope[0, 2]
    torch.testing.assert_close(slope.sum(dim=1), torch.zeros(2))


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ConfigError, match="weight -1"):
        ConservativeConfig(weight=-1.0)
    with pytest.raises(ConfigError, match="rivals 0"):
        ConservativeConfig(rivals=0)
    quantile = TrainConfig(loss="quantile", labels=LabelConfig(fresh=True))
    with pytest.raises(ConfigError, match=r"quantile with conservative\.weight 0\.5"):
        replace(quantile, conservative=CONFIG)
