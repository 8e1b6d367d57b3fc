import pytest
import torch

from qtopt_learner.targets import TargetConfig, TargetNetworks
from qtopt_policy.errors import CheckpointError, ConfigError
from support.tiny_mdp import TableNetwork, table


def set_table(network: TableNetwork, value: float) -> None:
    with torch.no_grad():
        network.table.fill_(value)


def value_of(network: torch.nn.Module) -> float:
    assert isinstance(network, TableNetwork)
    return float(network.table.detach()[0, 0])


def test_a_decay_near_one_is_slow() -> None:
    """The inverted Polyak fault: with decay 0.99 one step moves the target by 1 %, not by 99 %."""
    network = table()
    targets = TargetNetworks(network, TargetConfig(decay=0.99, lag=10))
    set_table(network, 1.0)
    targets.update(network)
    assert value_of(targets.first) == pytest.approx(0.01, rel=1e-5)
    targets.update(network)
    assert value_of(targets.first) == pytest.approx(0.01 + 0.99 * 0.01, rel=1e-5)


def test_target_2_is_target_1_of_the_past() -> None:
    """Not a copy of the network in training, and not an average of its own."""
    network = table()
    targets = TargetNetworks(network, TargetConfig(decay=0.9, lag=20, snapshots=5))
    history = [value_of(targets.first)]
    for step in range(1, 201):
        set_table(network, float(step % 17))
        targets.update(network)
        history.append(value_of(targets.first))
        assert value_of(targets.second) == history[step - targets.lag]


def test_the_lag_stays_within_one_snapshot_of_what_was_asked() -> None:
    network = table()
    targets = TargetNetworks(network, TargetConfig(decay=0.9, lag=20, snapshots=5))
    for step in range(1, 100):
        targets.update(network)
        assert targets.lag == step if step < 20 else 20 <= targets.lag < 24


def test_normalisation_statistics_follow_too() -> None:
    network = table(normalise=True)
    targets = TargetNetworks(network, TargetConfig(decay=0.75, lag=1, snapshots=1))
    assert network.norm is not None
    for norm_value in (4.0, 8.0):
        network.norm.running_mean = torch.full((5,), norm_value)
        network.norm.num_batches_tracked = torch.tensor(int(norm_value))
        targets.update(network)
    first, second = targets.first.state_dict(), targets.second.state_dict()
    assert first["norm.running_mean"][0].item() == pytest.approx(0.75 * 1.0 + 0.25 * 8.0)
    assert second["norm.running_mean"][0].item() == pytest.approx(1.0)
    assert first["norm.num_batches_tracked"].item() == 8
    assert second["norm.num_batches_tracked"].item() == 4


def test_targets_normalise_by_their_own_statistics_not_by_the_batch() -> None:
    network = table(normalise=True).train()
    targets = TargetNetworks(network, TargetConfig(decay=0.9, lag=5))
    assert not targets.first.training
    assert not targets.second.training


def test_targets_start_as_copies_and_take_no_gradient() -> None:
    network = table()
    set_table(network, 0.3)
    targets = TargetNetworks(network, TargetConfig(decay=0.9, lag=5))
    assert value_of(targets.first) == value_of(targets.second) == pytest.approx(0.3)
    assert not any(p.requires_grad for n in (targets.first, targets.second) for p in n.parameters())


@pytest.mark.parametrize("stop", [0, 3, 17, 50])
def test_resumed_targets_go_on_as_if_never_stopped(stop: int) -> None:
    config = TargetConfig(decay=0.8, lag=10, snapshots=3)
    network = table()
    straight, broken = TargetNetworks(network, config), TargetNetworks(network, config)
    for step in range(60):
        if step == stop:
            state = broken.state_dict()
            broken = TargetNetworks(table(), config)
            broken.load_state_dict(state)
        set_table(network, float(step))
        straight.update(network)
        broken.update(network)
        assert value_of(straight.first) == value_of(broken.first)
        assert value_of(straight.second) == value_of(broken.second)
        assert straight.lag == broken.lag


def test_a_checkpoint_keeps_the_two_targets_apart() -> None:
    """The fault of saving several networks under one name."""
    network = table()
    targets = TargetNetworks(network, TargetConfig(decay=0.5, lag=4, snapshots=2))
    for step in range(20):
        set_table(network, float(step))
        targets.update(network)
    restored = TargetNetworks(table(), TargetConfig(decay=0.5, lag=4, snapshots=2))
    restored.load_state_dict(targets.state_dict())
    values = [value_of(network), value_of(restored.first), value_of(restored.second)]
    assert len(set(values)) == 3


def test_a_checkpoint_without_target_2_is_refused() -> None:
    targets = TargetNetworks(table(), TargetConfig(decay=0.5, lag=4))
    state = {k: v for k, v in targets.state_dict().items() if not k.startswith("past.")}
    with pytest.raises(CheckpointError, match="target 2"):
        targets.load_state_dict(state)


def test_decay_and_lag_scale_with_the_length_of_the_run() -> None:
    for steps, decay, lag in ((15_000_000, 0.9999, 6000), (20_000, 0.995, 120)):
        config = TargetConfig().resolve(steps)
        assert config.decay == pytest.approx(decay)
        assert config.lag == lag
    assert TargetConfig(decay=0.9, lag=7).resolve(100) == TargetConfig(0.9, 7)


def test_senseless_speeds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"decay 1\.0"):
        TargetConfig(decay=1.0)
    with pytest.raises(ConfigError, match="lag 0"):
        TargetConfig(lag=0)
    with pytest.raises(ConfigError, match="not resolved"):
        TargetNetworks(table(), TargetConfig())
