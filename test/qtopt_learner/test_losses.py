import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qtopt_learner.losses import make_loss
from qtopt_policy.errors import UnknownNameError


@settings(deadline=None)
@given(st.floats(-5, 5), st.floats(0.01, 0.99))
def test_cross_entropy_is_least_where_q_is_the_label(logit: float, label: float) -> None:
    loss, target = make_loss("cross_entropy"), torch.tensor(label)
    best = loss(torch.logit(target), target)
    assert best <= loss(torch.tensor(logit), target) + 1e-6


@pytest.mark.parametrize("name", ["cross_entropy", "huber"])
def test_the_gradient_drives_q_towards_the_label(name: str) -> None:
    labels = torch.tensor([0.1, 0.3, 0.7, 0.9])
    logits = torch.zeros(4, requires_grad=True)
    for _ in range(300):
        (grad,) = torch.autograd.grad(make_loss(name)(logits, labels).sum(), logits)
        logits = (logits - 2.0 * grad).detach().requires_grad_()
    torch.testing.assert_close(logits.sigmoid(), labels, atol=0.02, rtol=0)


def test_cross_entropy_has_the_gradient_q_minus_label() -> None:
    logits = torch.tensor([-2.0, 0.5, 3.0], requires_grad=True)
    labels = torch.tensor([0.1, 0.9, 0.4])
    (grad,) = torch.autograd.grad(make_loss("cross_entropy")(logits, labels).sum(), logits)
    torch.testing.assert_close(grad, (logits.sigmoid() - labels).detach())


def test_losses_come_per_entry() -> None:
    assert make_loss("huber")(torch.zeros(3, 2), torch.zeros(3, 2)).shape == (3, 2)


def test_an_unknown_loss_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="cross_entropy"):
        make_loss("mse")
