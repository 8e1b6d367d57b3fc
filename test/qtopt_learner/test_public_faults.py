"""Faults found in public re-implementations of QT-Opt, one test each where no other test holds it already.

Elsewhere: inverted Polyak average, target 2 copied from the live network, statistics of normalisation that
never update, several networks saved under one name (test_targets.py); the minimum over the wrong networks,
no Bellman updater at all (test_labels.py); one gradient step per episode (test_trainer.py).
"""

import inspect

import numpy as np
import torch

from qtopt_learner.labels import LabelConfig, state_values
from qtopt_learner.losses import cross_entropy, make_loss
from qtopt_learner.rows import GEOMETRY_SIZE, observation_batch
from qtopt_learner.targets import TargetConfig, TargetNetworks
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.cem import search
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.search_config import CemConfig
from qtopt_policy.specs import ActionSpec, ContinuousDim
from support.tiny_mdp import OBSERVATION_SPEC, STATES, TableNetwork

PLANE = ActionSpec((ContinuousDim("x", "m", -1.0, 2.0), ContinuousDim("y", "m", 0.0, 1.0)))


def batch_of(states: list[int]) -> ObservationBatch:
    count = len(states)
    return observation_batch(
        {
            "image": np.zeros((count, 0, 0, 0), dtype=np.uint8),
            "vectors": np.eye(STATES, dtype=np.float32)[states],
            "geometry": np.zeros((count, GEOMETRY_SIZE), dtype=np.float32),
        }
    )


def test_the_defaults_are_the_papers_loss_and_discount() -> None:
    """TF-Agents: Huber, discount 1; quantumiracle and roerld: mean squared error."""
    assert make_loss(TrainConfig().loss) is cross_entropy
    assert MdpConfig().discount == 0.9
    assert TrainConfig().labels.clipped


def test_the_search_for_labels_stays_within_the_bounds_while_sampling() -> None:
    """roerld does not clip while it samples."""
    seen: list[torch.Tensor] = []

    def outward(actions: torch.Tensor) -> torch.Tensor:
        seen.append(actions)
        return actions.sum(dim=-1)

    search(outward, PLANE, [1, 2], CemConfig(iterations=3, samples=16, elites=4))
    for actions in seen:
        assert (actions >= torch.tensor(PLANE.low)).all()
        assert (actions <= torch.tensor(PLANE.high)).all()


def test_the_first_samples_fill_the_box_not_its_diagonal() -> None:
    """machina draws its first samples on a line through the action box."""
    seen: list[torch.Tensor] = []

    def flat(actions: torch.Tensor) -> torch.Tensor:
        seen.append(actions)
        return actions.sum(dim=-1) * 0.0

    search(flat, PLANE, [1], CemConfig(iterations=1, samples=64, elites=6))
    assert abs(np.corrcoef(seen[0][0].numpy().T)[0, 1]) < 0.5


def test_the_best_sample_of_all_rounds_counts_not_the_last_rounds() -> None:
    """TF-Agents returns the best of the last iteration."""
    calls = 0

    def worse_each_round(actions: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return actions[..., 0] - 100.0 * calls

    result = search(worse_each_round, PLANE, [1], CemConfig(iterations=3, samples=16, elites=4))
    assert result.value[0] == result.values[0, :16].max()


def test_labels_come_in_blocks_not_sample_by_sample() -> None:
    """quantumiracle loops over samples in Python: here the head sees all candidates of a block at once."""

    class Counting(TableNetwork):
        calls = 0

        def head(self, features, batch, actions):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            Counting.calls += 1
            return super().head(features, batch, actions)

    spec = ActionSpec((), ("left", "right", "stop"))
    targets = TargetNetworks(Counting(spec, OBSERVATION_SPEC), TargetConfig(decay=0.9, lag=5))
    config = LabelConfig()
    state_values(targets, batch_of([0, 1, 2, 3]), [1, 2, 3, 4], config)
    assert Counting.calls == config.cem.iterations + 1


def test_a_label_is_the_same_whatever_else_is_in_its_block() -> None:
    network = TableNetwork(ActionSpec((), ("left", "right", "stop")), OBSERVATION_SPEC)
    torch.nn.init.normal_(network.table)
    targets = TargetNetworks(network, TargetConfig(decay=0.9, lag=5))
    together = state_values(targets, batch_of([0, 1, 2]), [7, 8, 9], LabelConfig())
    alone = [float(state_values(targets, batch_of([s]), [7 + s], LabelConfig())) for s in range(3)]
    np.testing.assert_allclose(together.numpy(), alone, rtol=1e-6)


def test_the_decay_has_one_meaning_and_no_default_that_must_be_inverted() -> None:
    """machina's default tau of 0.9999 moved the target almost all the way at each step."""
    resolved = TargetConfig().resolve(100_000)
    assert resolved.decay is not None
    assert 0.99 < resolved.decay < 1.0
    assert "tau" not in inspect.signature(TargetConfig).parameters
