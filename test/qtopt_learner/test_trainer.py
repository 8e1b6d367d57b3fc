from dataclasses import replace

import numpy as np
import pytest
import torch

from qtopt_learner.labels import Floats, LabelConfig
from qtopt_learner.mixture import MixConfig
from qtopt_learner.replay import Replay
from qtopt_learner.targets import TargetConfig
from qtopt_learner.train_config import OptimiserConfig, TrainConfig
from qtopt_learner.trainer import Experience, Trainer
from support.tiny_mdp import (
    ACTION_SPEC,
    ACTIONS,
    LAYOUT,
    OBSERVATION_SPEC,
    STATES,
    TableNetwork,
    concatenate,
    optimal_q,
    table,
    walk,
)

GAMMA = 0.9
CONFIG = TrainConfig(
    steps=800,
    batch=128,
    first_labels=512,
    labels=LabelConfig(fresh=False, ratio=1.0, block=128),
    targets=TargetConfig(decay=0.9, lag=20),
    optimiser=OptimiserConfig(learning_rate=0.05, weight_decay=0.0, final_share=0.02),
)


def experience(offline: int = 400, online: int = 0, seed: int = 0) -> Experience:
    rng = np.random.default_rng(seed)
    replays = Experience(Replay(LAYOUT, 100_000), Replay(LAYOUT, 100_000))
    for replay, count in ((replays.offline, offline), (replays.online, online)):
        if count:
            replay.append(concatenate([walk(rng, GAMMA) for _ in range(count)]), "walks")
    return replays


def trained(config: TrainConfig, data: Experience | None = None) -> Trainer:
    trainer = Trainer(table, config, data or experience(), GAMMA)
    trainer.start()
    for _ in range(config.steps):
        trainer.advance()
    return trainer


def q_of(network: torch.nn.Module) -> Floats:
    assert isinstance(network, TableNetwork)
    values: Floats = network.table.detach().sigmoid().numpy()
    return values


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"loss": "huber", "steps": 1600},
        {"optimiser": OptimiserConfig("sgd", 2.0, final_share=0.02, weight_decay=0.0)},
        {"labels": LabelConfig(fresh=False, ratio=1.0, block=128, age_limit=60)},
        {"labels": LabelConfig(fresh=False, ratio=0.25, block=128)},
        {"labels": LabelConfig(fresh=True)},
    ],
    ids=["default", "huber", "sgd", "age limit", "few labels", "fresh labels"],
)
def test_the_learner_finds_the_optimal_q(change: dict[str, object]) -> None:
    """Random walks in, Q* out, against value iteration; for both targets."""
    trainer = trained(replace(CONFIG, **change))  # type: ignore[arg-type]
    best = optimal_q(GAMMA)
    for network in (trainer.network, trainer.targets.first, trainer.targets.second):
        np.testing.assert_allclose(q_of(network), best, atol=0.03)
    assert (q_of(trainer.network).argmax(1) == best.argmax(1)).all()


def test_it_learns_from_its_own_experience_alone() -> None:
    trainer = trained(CONFIG, experience(offline=0, online=400))
    np.testing.assert_allclose(q_of(trainer.targets.first), optimal_q(GAMMA), atol=0.03)


def test_a_learner_that_never_bootstraps_knows_only_the_last_step() -> None:
    """The test above can fail: with all labels but the terminal ones at zero, walking is worth nothing."""
    data = experience()
    trainer = Trainer(table, CONFIG, data, GAMMA)
    trainer.start()
    data.offline.set_values(np.arange(len(data.offline)), np.zeros(len(data.offline), dtype=np.float32), 0)
    trainer.sweeps["offline"].next = lambda count: np.empty(0, dtype=np.int64)  # type: ignore[method-assign]
    for _ in range(500):
        trainer.advance()
    assert q_of(trainer.network)[1, 1] < 0.1 < optimal_q(GAMMA)[1, 1]


def test_one_step_of_training_is_one_gradient_step_and_the_labels_due() -> None:
    trainer = Trainer(
        table, replace(CONFIG, labels=LabelConfig(fresh=False, ratio=0.5, block=32)), experience(), GAMMA
    )
    trainer.start()
    made = trainer.labels_made
    for _ in range(10):
        trainer.advance()
    assert trainer.step == trainer.targets.step == 10
    assert trainer.labels_made - made == 10 * 128 // 2


def test_supervised_labels_give_the_share_of_outcomes_in_the_data_and_leave_aborted_episodes_out() -> None:
    data, rng = experience(offline=2000), np.random.default_rng(1)
    data.offline.append(concatenate([walk(rng, GAMMA, length=2) for _ in range(500)]), "cut short")
    config = replace(CONFIG, labels=LabelConfig(kind="outcome"))
    trainer = trained(config, data)
    replay = data.offline
    rows = np.arange(replay.first, replay.end)
    rows = rows[replay.get("complete", rows)]
    assert 0 < len(rows) < len(replay)
    ends = replay.get("reward", rows + replay.get("remaining", rows))
    states, actions = replay.get("vectors", rows).argmax(1), replay.get("action", rows).argmax(1)
    for state in range(STATES):
        for action in range(ACTIONS):
            mean = ends[(states == state) & (actions == action)].mean()
            assert q_of(trainer.targets.first)[state, action] == pytest.approx(mean, abs=0.05)
    assert trainer.labels_made == config.steps * config.batch


def test_fresh_labels_are_made_for_each_batch_with_the_targets_of_the_moment() -> None:
    config = replace(CONFIG, labels=LabelConfig(fresh=True), mix=MixConfig(share=0.5, least=1, full=1))
    trainer = Trainer(table, config, experience(offline=100, online=100), GAMMA)
    trainer.start()
    assert trainer.labels_made == 0
    for step in range(1, 11):
        measures = trainer.advance()
        assert float(measures["label_age"]) == 0.0
        assert float(measures["online_share"]) == 0.5
        assert trainer.labels_made == 128 * step


def test_new_experience_is_labelled_and_used_once_there_is_enough() -> None:
    data = experience(offline=100)
    trainer = Trainer(table, CONFIG, data, GAMMA)
    trainer.start()
    assert float(trainer.advance()["online_share"]) == 0.0
    rng = np.random.default_rng(1)
    data.online.append(concatenate([walk(rng, GAMMA) for _ in range(2000)]), "own")
    shares = [float(trainer.advance()["online_share"]) for _ in range(60)]
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert shares[-1] == 0.5
    assert trainer.sweeps["online"].backlog() == 0


def test_a_run_depends_on_its_seed_alone() -> None:
    config = replace(CONFIG, steps=30)
    first, again, other = trained(config), trained(config), trained(replace(config, seed=1))
    assert np.array_equal(q_of(first.network), q_of(again.network))
    assert not np.array_equal(q_of(first.network), q_of(other.network))


def test_fresh_weights_follow_the_seed_and_leave_torch_alone() -> None:
    def make() -> TableNetwork:
        network = TableNetwork(ACTION_SPEC, OBSERVATION_SPEC)
        torch.nn.init.normal_(network.table)
        return network

    state = torch.random.get_rng_state()
    tables = [q_of(Trainer(make, replace(CONFIG, seed=s), experience(), GAMMA).network) for s in (0, 0, 1)]
    assert np.array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_learning_rate_falls_to_its_final_share() -> None:
    trainer = trained(replace(CONFIG, steps=50))
    assert trainer.optimiser.param_groups[0]["lr"] == pytest.approx(0.05 * (0.02 + 0.98 / 50))


def test_measures_are_reported() -> None:
    trainer = Trainer(table, CONFIG, experience(), GAMMA)
    trainer.start()
    measures = {name: float(value) for name, value in trainer.advance().items()}
    assert all(np.isfinite(list(measures.values())))
    assert {"loss", "q", "label", "td_error", "label_age", "online_share", "labels_clipped"} <= set(measures)
