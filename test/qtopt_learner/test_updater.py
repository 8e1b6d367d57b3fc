import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from qtopt_learner.labels import LabelConfig
from qtopt_learner.replay import Replay
from qtopt_learner.targets import TargetConfig, TargetNetworks
from qtopt_learner.train_config import OptimiserConfig, TrainConfig
from qtopt_learner.trainer import Experience, Trainer
from qtopt_learner.updater import (
    COUNTS_FOLDER,
    Follower,
    Updater,
    UpdaterConfig,
    count_labels,
    labels_beside,
    publish_targets,
    run_updater,
)
from qtopt_policy.errors import CheckpointError
from support.tiny_mdp import LAYOUT, concatenate, optimal_q, rows_of, table, walk

CPU = torch.device("cpu")
LABELS = LabelConfig(fresh=False, block=64)


def filled(folder: Path, episodes: int = 100, capacity: int = 5000) -> Replay:
    rng = np.random.default_rng(0)
    replay = Replay(LAYOUT, capacity, folder)
    replay.append(concatenate([walk(rng, 0.9) for _ in range(episodes)]), "walks")
    return replay


def updater(folder: Path, replays: list[Replay], index: int = 0, updaters: int = 1) -> Updater:
    config = UpdaterConfig(index, updaters, LABELS, 0.9)
    return Updater(config, Follower(folder / "targets", table, CPU), replays)


def test_a_learner_that_makes_no_labels_itself_finds_q_with_updaters(tmp_path: Path) -> None:
    """The updaters map the same files by their own, as processes would."""
    config = TrainConfig(
        steps=800,
        batch=128,
        first_labels=64,
        labels=replace(LABELS, ratio=0.0),
        targets=TargetConfig(decay=0.9, lag=20),
        optimiser=OptimiserConfig(learning_rate=0.05, weight_decay=0.0, final_share=0.02),
    )
    offline, online = filled(tmp_path / "offline", 400), Replay(LAYOUT, 100, tmp_path / "online")
    trainer = Trainer(table, config, Experience(offline, online), 0.9)
    mapped = [[Replay(LAYOUT, 5000, tmp_path / "offline"), Replay(LAYOUT, 100, tmp_path / "online")]] * 2
    updaters = [updater(tmp_path, replays, i, 2) for i, replays in enumerate(mapped)]
    trainer.start()
    for step in range(config.steps):
        trainer.advance()
        if step % 4 == 0:
            publish_targets(tmp_path / "targets", trainer.targets)
            for each in updaters:
                each.work()
    assert trainer.labels_made == 64
    q = table()
    q.load_state_dict(trainer.targets.first.state_dict())
    np.testing.assert_allclose(q.table.detach().sigmoid().numpy(), optimal_q(0.9), atol=0.03)


def test_updaters_share_the_rows_and_date_them_by_the_targets(tmp_path: Path) -> None:
    replay = filled(tmp_path / "r")
    targets = TargetNetworks(table(), TargetConfig(decay=0.9, lag=5))
    targets.step = 42
    publish_targets(tmp_path / "targets", targets)
    first, second = (updater(tmp_path, [replay], i, 2) for i in range(2))
    first.work()
    rows = np.arange(replay.end)
    made = rows[replay.get("value_step", rows) == 42]
    assert len(made) == first.made == 64
    assert (made % 2 == 0).all()
    second.work()
    assert replay.labelled() == 128


def test_without_targets_nothing_is_done(tmp_path: Path) -> None:
    each = updater(tmp_path, [filled(tmp_path / "r")])
    assert each.work() == 0
    assert each.made == 0


@pytest.fixture
def signals() -> Iterator[None]:
    """Undo what an updater does to the signals of its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_an_updater_says_how_many_labels_it_makes(tmp_path: Path) -> None:
    publish_targets(tmp_path / "targets", TargetNetworks(table(), TargetConfig(decay=0.9, lag=5)))
    each, told = updater(tmp_path, [filled(tmp_path / "r")]), list[int]()
    run_updater(each, lambda: each.made > 64, told.append)
    assert told == [64, 64]


def test_the_learner_sees_the_labels_of_all_updaters_over_all_their_lives(tmp_path: Path) -> None:
    assert labels_beside(tmp_path) == 0
    for index, made in ((0, 64), (1, 3), (0, 300)):
        count_labels(tmp_path, index, made)
    assert labels_beside(tmp_path) == 367
    (tmp_path / COUNTS_FOLDER / "1.count").write_bytes(b"")  # a power cut
    assert labels_beside(tmp_path) == 364


def test_new_targets_are_followed(tmp_path: Path) -> None:
    network = table()
    targets = TargetNetworks(network, TargetConfig(decay=0.5, lag=1, snapshots=1))
    follower = Follower(tmp_path / "targets", table, CPU)
    for value in (1.0, 2.0):
        with torch.no_grad():
            network.table.fill_(value)
        targets.update(network)
        publish_targets(tmp_path / "targets", targets)
        assert follower.refresh()
        assert follower.step == targets.step
        for mine, theirs in ((follower.first, targets.first), (follower.second, targets.second)):
            assert torch.equal(mine.state_dict()["table"], theirs.state_dict()["table"])
    assert not torch.equal(follower.first.state_dict()["table"], follower.second.state_dict()["table"])


def test_targets_of_another_network_are_refused(tmp_path: Path) -> None:
    targets = TargetNetworks(table(normalise=True), TargetConfig(decay=0.5, lag=1))
    publish_targets(tmp_path / "targets", targets)
    with pytest.raises(CheckpointError, match="cannot be used as target networks"):
        Follower(tmp_path / "targets", table, CPU).refresh()


def test_rows_that_came_meanwhile_are_seen(tmp_path: Path) -> None:
    replay = Replay(LAYOUT, 500, tmp_path / "r")
    replay.commit()
    publish_targets(tmp_path / "targets", TargetNetworks(table(), TargetConfig(decay=0.9, lag=5)))
    each = updater(tmp_path, [Replay(LAYOUT, 500, tmp_path / "r")])
    assert each.work() == 0
    replay.append(rows_of([0, 1, 2], [1, 1, 1], [0.0, 0.0, 1.0], True, 0.9), "a")
    assert each.work() == 3
    assert replay.labelled() == 3


def test_a_label_for_a_row_that_gave_way_meanwhile_is_void(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = filled(tmp_path / "r", episodes=20, capacity=200)
    publish_targets(tmp_path / "targets", TargetNetworks(table(), TargetConfig(decay=0.9, lag=5)))
    each = updater(tmp_path, [Replay(LAYOUT, 200, tmp_path / "r")])
    write = Replay.set_values

    def overtaken(self: Replay, rows: np.ndarray, values: np.ndarray, step: int) -> None:  # type: ignore[type-arg]
        rng = np.random.default_rng(1)
        while replay.end <= 260:
            replay.append(walk(rng, 0.9), "new")
        write(self, rows, values, step)

    monkeypatch.setattr(Replay, "set_values", overtaken)
    each.work()
    rows = np.arange(max(replay.first, 200), replay.end)
    assert len(rows) > 50
    assert (replay.get("value_step", rows) == -1).all()
