import io
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from qtopt_collector.bags.convert import write_episode
from qtopt_collector.episode import EpisodeInfo
from qtopt_learner.augment import AugmentConfig
from qtopt_learner.labels import LabelConfig
from qtopt_learner.learner import NEWEST, Learner, success_rates
from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.mixture import MixConfig
from qtopt_learner.run import Run
from qtopt_learner.run_config import OnlineConfig, RunConfig, with_seed
from qtopt_learner.run_state import latest_state, load_state
from qtopt_learner.store import StoreWriter, read_store, shard_paths
from qtopt_learner.train import train
from qtopt_learner.train_config import TrainConfig
from qtopt_learner.trainer import Trainer
from qtopt_policy.checkpoint import load_checkpoint
from qtopt_policy.errors import BagError, CheckpointError, ConfigError
from support.episodes import make_signals
from support.recordings import make_store, recording

TRAIN = TrainConfig(
    steps=6,
    batch=8,
    first_labels=16,
    labels=LabelConfig(fresh=False, block=8),
    replay_gb=0.01,
    log_every=2,
    checkpoint_every=3,
    threads=1,
    deterministic=True,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_store(tmp_path / "data", 4)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_training_leaves_weights_that_load_with_their_description(tmp_path: Path, data: Path) -> None:
    path = train(RunConfig(tmp_path / "run", (data,), TRAIN), quiet())
    found = load_checkpoint(path)
    assert found.info.steps == 6
    assert found.info.trained
    assert found.info.mount == "tool"
    weights = sorted(p.name for p in (tmp_path / "run" / "weights").iterdir())
    assert weights == [NEWEST, *(f"step-{s:09d}.safetensors" for s in (0, 3, 6))]
    assert not load_checkpoint(tmp_path / "run" / "weights" / "step-000000000.safetensors").info.trained


def test_the_weights_are_those_of_target_1(tmp_path: Path, data: Path) -> None:
    config = RunConfig(tmp_path / "run", (data,), TRAIN)
    path = train(config, quiet())
    learner = Learner(config, quiet())
    state = latest_state(tmp_path / "run" / "state")
    assert state is not None

    load_state(state, learner.trainer)
    for name, value in load_checkpoint(path).network.state_dict().items():
        assert torch.equal(value, learner.trainer.targets.first.state_dict()[name])


def test_a_run_started_again_goes_on(tmp_path: Path, data: Path) -> None:
    free = replace(TRAIN, deterministic=False)
    config = RunConfig(tmp_path / "run", (data,), replace(free, steps=4))
    train(config, quiet())
    train(replace(config, train=free), quiet())
    steps = [int(row["step"]) for row in read_metrics(tmp_path / "run" / CSV_FILE) if row["name"] == "loss"]
    assert steps == [2, 4, 6]


def test_another_configuration_in_the_same_folder_is_refused(tmp_path: Path, data: Path) -> None:
    """Nothing of the folder changes, though there is more to read by now."""
    free = replace(TRAIN, deterministic=False)
    config = RunConfig(tmp_path / "run", (data,), free)
    train(config, quiet())
    with StoreWriter(data, "b") as writer:
        writer.append(recording("late", seed=9).episode)
    before = contents(config.out)
    assert {"run.json", "replay/offline/index.json"} <= before.keys()
    with pytest.raises(CheckpointError, match="'seed' was 0, this run has 1"):
        train(replace(config, train=replace(free, seed=1)), quiet())
    assert contents(config.out) == before
    with pytest.raises(BagError, match="mistyped"):
        train(replace(config, data=(tmp_path / "mistyped",)), quiet())
    assert contents(config.out) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_fresh_weights_do_not_replace_those_of_a_run_whose_state_is_missing(
    tmp_path: Path, data: Path
) -> None:
    config = RunConfig(tmp_path / "run", (data,), TRAIN)
    train(config, quiet())
    (config.out / "state").rename(tmp_path / "state")
    before = contents(config.out)
    with pytest.raises(
        CheckpointError, match=r"run/state: .*newest\.safetensors has been trained.*restore.*--start-from"
    ):
        train(config, quiet())
    assert contents(config.out) == before
    for name in (NEWEST, "step-000000006.safetensors"):
        (config.out / "weights" / name).unlink()
    with pytest.raises(CheckpointError, match=r"step-000000003\.safetensors has been trained"):
        train(config, quiet())
    (tmp_path / "state").rename(config.out / "state")
    train(config, quiet())


def test_a_run_killed_before_its_first_state_starts_again(tmp_path: Path, data: Path) -> None:
    """Between the weights of step 0, of which newest may be missing too, and the state."""
    config = RunConfig(tmp_path / "run", (data,), TRAIN)
    for _ in range(2):
        learner = Learner(config, quiet())
        learner.on_checkpoint(learner.trainer)
    (config.out / "weights" / NEWEST).unlink()
    train(config, quiet())


def test_deterministic_training_does_not_see_data_that_came_later(tmp_path: Path, data: Path) -> None:
    config = RunConfig(tmp_path / "run", (data,), TRAIN)
    train(config, quiet())
    rows = len(Learner(config, quiet()).trainer.experience.offline)
    with StoreWriter(data, "b") as writer:
        writer.append(recording("late", seed=9).episode)
    assert len(Learner(config, quiet()).trainer.experience.offline) == rows
    free = replace(config, out=tmp_path / "free", train=replace(TRAIN, deterministic=False))
    assert len(Learner(free, quiet()).trainer.experience.offline) > rows


def test_what_was_asked_for_is_written_beside_it(tmp_path: Path, data: Path) -> None:
    train(RunConfig(tmp_path / "run", (data,), TRAIN), quiet())
    found = json.loads((tmp_path / "run" / "run.json").read_text())
    assert found["train"]["batch"] == 8
    assert found["train"]["labels"]["cem"]["iterations"] == 2


def test_episodes_that_are_not_used_are_named(tmp_path: Path, data: Path) -> None:
    bad = recording("bad", seed=7).episode
    with StoreWriter(data, "b") as writer:
        writer.append(replace(bad, steps=replace(bad.steps, is_terminal=np.zeros(7, dtype=bool))))
    console = quiet()
    train(RunConfig(tmp_path / "run", (data,), TRAIN), console)
    assert isinstance(console.file, io.StringIO)
    assert "not used bad" in console.file.getvalue()


def test_training_without_anything_to_learn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to learn from"):
        RunConfig(tmp_path, online=OnlineConfig(actors=1))
    with pytest.raises(ConfigError, match="takes no actors"):
        RunConfig(tmp_path, (tmp_path,), TRAIN, OnlineConfig(actors=1))


def test_success_is_counted_by_policy() -> None:
    outcomes = [
        EpisodeInfo("a", 1, p, "terminate", s, float(s)) for p, s in (("x", True), ("x", False), ("y", True))
    ]
    assert success_rates(outcomes) == {
        "success/x": 0.5,
        "episodes/x": 2.0,
        "success/y": 1.0,
        "episodes/y": 1.0,
    }


def test_runs_of_other_seeds_have_folders_of_their_own(tmp_path: Path) -> None:
    config = with_seed(RunConfig(tmp_path, (tmp_path,)), 3)
    assert (config.out, config.train.seed) == (tmp_path / "seed3", 3)


@pytest.mark.slow
def test_actors_play_beside_the_learner_and_their_episodes_are_learned_from(
    tmp_path: Path, data: Path
) -> None:
    free = replace(TRAIN, steps=100_000, deterministic=False, mix=MixConfig(least=10, full=20))
    online = OnlineConfig(actors=1, start=2, per_shard=1, publish_every=5, intake_every=5)
    config = RunConfig(tmp_path / "run", (data,), free, online)
    learner = Learner(config, quiet())
    run = Run(config.out, learner.trainer)
    learner.start()
    learner.trainer.start()

    def used() -> bool:
        measures = learner.trainer.advance()
        learner.on_step(learner.trainer, run)
        own = {episode.info.checkpoint for episode in read_store(tmp_path / "run" / "episodes")}
        return float(measures["online_share"]) > 0.0 and len(own) >= 2

    try:
        wait_for(used)
    finally:
        learner.stop()
    assert learner.trainer.experience.online.labelled() >= 10


def test_bags_that_a_collector_closes_meanwhile_are_learned_from(tmp_path: Path, data: Path) -> None:
    bags = tmp_path / "bags"
    settings = replace(TRAIN, steps=30, mix=MixConfig(least=1, full=4), deterministic=False)
    online = OnlineConfig(bags=(bags,), intake_every=2)
    learner = Learner(RunConfig(tmp_path / "run", (data,), settings, online), quiet())
    rows: list[int] = []

    def on_step(trainer: Trainer) -> None:
        if trainer.step == 10:
            for name in ("closed", "open"):
                episode = recording(name, seed=9, success=True, count=6).episode
                bag = write_episode(bags, episode, make_signals(episode))
            (bag / "metadata.yaml").unlink()  # the collector is not done with it
        learner.on_step(trainer, run)
        rows.append(len(trainer.experience.online))

    run = Run(tmp_path / "run", learner.trainer, on_step, learner.on_checkpoint)
    run.go()
    assert rows[8] == 0
    assert rows[10] == rows[-1] == 6


def test_bags_of_several_collectors_are_learned_from(tmp_path: Path, data: Path) -> None:
    folders = (tmp_path / "a", tmp_path / "b")  # of graphs that number their episodes alike
    settings = replace(TRAIN, steps=20, mix=MixConfig(least=1, full=4), deterministic=False)
    online = OnlineConfig(bags=folders, intake_every=2)
    learner = Learner(RunConfig(tmp_path / "run", (data,), settings, online), quiet())
    rows: list[int] = []

    def on_step(trainer: Trainer) -> None:
        if trainer.step in (4, 10):
            bags, count = (folders[0], 6) if trainer.step == 4 else (folders[1], 5)
            episode = recording("episode_000001", seed=count, success=True, count=count).episode
            write_episode(bags, episode, make_signals(episode))
        learner.on_step(trainer, run)
        rows.append(len(trainer.experience.online))

    run = Run(tmp_path / "run", learner.trainer, on_step, learner.on_checkpoint)
    run.go()
    assert (rows[2], rows[8], rows[-1]) == (0, 6, 11)


@pytest.mark.slow
def test_updaters_may_make_all_the_labels_and_be_killed(tmp_path: Path, data: Path) -> None:
    labels = LabelConfig(fresh=False, block=8, ratio=0.0)
    free = replace(TRAIN, steps=400, deterministic=False, labels=labels, first_labels=1, checkpoint_every=100)
    config = RunConfig(tmp_path / "run", (data,), free, OnlineConfig(publish_every=10), updaters=2)
    console = quiet()
    learner = Learner(config, console)
    learner.start()
    try:
        replay = learner.trainer.experience.offline
        pids = learner.crew.pids
        wait_for(lambda: replay.labelled() == replay.transitions())
        os.kill(pids[0], signal.SIGKILL)
        wait_for(lambda: len(learner.crew.pids) == 1)
        assert learner.crew.watch() == ["updater 0 died with -9: started again"]
        replay.void(np.arange(replay.end))
        wait_for(lambda: replay.labelled() == replay.transitions())
    finally:
        learner.stop()
    assert learner.trainer.labels_made == 0


def wait_for(condition: Callable[[], bool], timeout: float = 90.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_a_deterministic_run_stopped_while_it_read_reads_the_rest(tmp_path: Path, data: Path) -> None:
    """Frozen is what a run has begun to learn from, not what the first start got to."""
    config = RunConfig(tmp_path / "run", (shard_paths(data)[0],), TRAIN)
    Learner(config, quiet())
    assert len(shard_paths(data)) > 1
    whole = Learner(replace(config, data=(data,)), quiet()).trainer.experience.offline
    assert len(whole.sources) == len(shard_paths(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera": "shoulder"}, "camera was wrist, this run has shoulder"),
        ({"robot": Path("config/robots/fr3.yaml")}, r"robot was config/robots/sim\.yaml, this run has .*fr3"),
    ],
)
def test_a_run_goes_on_with_its_camera_and_robot_alone(
    tmp_path: Path, data: Path, change: dict[str, Any], message: str
) -> None:
    config = RunConfig(tmp_path / "run", (data,), TRAIN)
    train(config, quiet())
    with pytest.raises(CheckpointError, match=message):
        train(replace(config, **change), quiet())
    train(config, quiet())  # what was refused has changed nothing


def test_another_mdp_is_refused_and_changes_nothing(tmp_path: Path, data: Path) -> None:
    config = RunConfig(tmp_path / "run", (data,), TRAIN)
    train(config, quiet())
    text = Path("config/mdp.yaml").read_text()
    (tmp_path / "mdp.yaml").write_text(text.replace("discount: 0.98", "discount: 0.5"))
    with pytest.raises(ConfigError, match=r"'discount': 0\.98.*'discount': 0\.5"):
        train(replace(config, mdp=tmp_path / "mdp.yaml"), quiet())
    assert json.loads((config.out / "run.json").read_text())["mdp"] == "config/mdp.yaml"


def test_rows_that_gave_way_for_lack_of_room_are_told(tmp_path: Path, data: Path) -> None:
    config, console = RunConfig(tmp_path / "run", (data,), TRAIN), quiet()
    row_bytes = Learner(config, console).trainer.experience.offline.layout.row_bytes
    assert isinstance(console.file, io.StringIO)
    assert "gave way" not in console.file.getvalue()
    small = replace(TRAIN, replay_gb=15.5 * row_bytes / 1e9)
    Learner(replace(config, out=tmp_path / "small", train=small), console)
    told = "the offline replay holds 15 of 24 rows, the oldest gave way: raise --train.replay-gb"
    assert told in console.file.getvalue()


def test_options_that_nothing_would_use_are_refused(tmp_path: Path) -> None:
    fresh = replace(TRAIN, deterministic=False, labels=LabelConfig(fresh=True))
    with pytest.raises(ConfigError, match=r"2 updaters.*fresh True: nobody would use theirs"):
        RunConfig(tmp_path, (tmp_path,), fresh, updaters=2)
    turned = replace(TRAIN, network="image", augment=AugmentConfig(half_turn=True))
    with pytest.raises(ConfigError, match="network image: only compact"):
        RunConfig(tmp_path, (tmp_path,), turned)
    free = replace(TRAIN, deterministic=False)
    arm = RunConfig(tmp_path / "run", (tmp_path,), free, OnlineConfig(actors=1))
    with pytest.raises(ConfigError, match=r"fr3\.yaml: simulation plays the benchmark's robot"):
        train(replace(arm, robot=Path("config/robots/fr3.yaml")), quiet())
