import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.replay import Replay
from qtopt_learner.rows import Layout
from qtopt_learner.run import STATE_FOLDER, Run
from qtopt_learner.run_state import find_begun, latest_state, load_state, save_state, state_path
from qtopt_learner.train_config import TrainConfig
from qtopt_learner.trainer import Experience, Trainer
from qtopt_learner.transitions import episode_rows
from qtopt_learner.updater import count_labels
from qtopt_policy.errors import CheckpointError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.registry import make_network
from support.recordings import recording
from support.tiny_mdp import table
from support.train_child import CONFIG, experience, main, make_trainer


@pytest.fixture(autouse=True)
def restore_numerics() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def assert_same_run(a: Trainer, b: Trainer) -> None:
    assert a.step == b.step
    for left, right in (
        (a.network, b.network),
        (a.targets.first, b.targets.first),
        (a.targets.second, b.targets.second),
    ):
        for name, value in left.state_dict().items():
            assert torch.equal(value, right.state_dict()[name]), name
    for name in ("offline", "online"):
        left_labels = a.experience.replays()[name].label_state()
        for key, labels in b.experience.replays()[name].label_state().items():
            np.testing.assert_array_equal(left_labels[key], labels)


class StoppedError(Exception):
    pass


def run_until(folder: Path, step: int) -> None:
    def stop(trainer: Trainer) -> None:
        if trainer.step == step:
            raise StoppedError

    with pytest.raises(StoppedError):
        Run(folder, make_trainer(), on_step=stop).go()


def finished(folder: Path) -> Trainer:
    trainer = make_trainer()
    Run(folder, trainer).go()
    return trainer


def test_an_interrupted_run_ends_as_the_uninterrupted_one_to_the_bit(tmp_path: Path) -> None:
    for step in (1, 36, 199, 300):
        run_until(tmp_path / "broken", step)
    assert_same_run(finished(tmp_path / "straight"), finished(tmp_path / "broken"))


def test_the_numbers_of_a_resumed_run_are_those_of_the_uninterrupted_one(tmp_path: Path) -> None:
    run_until(tmp_path / "broken", 123)
    for name in ("broken", "straight"):
        finished(tmp_path / name)
    logs = []
    for name in ("broken", "straight"):
        rows = read_metrics(tmp_path / name / CSV_FILE)
        logs.append([(r["step"], r["value"]) for r in rows if r["name"] == "q" and int(r["step"]) > 130])
    assert logs[0] == logs[1]
    assert len(logs[0]) == 27


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    first = finished(tmp_path)
    assert_same_run(first, finished(tmp_path))


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_the_one_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # the fork server does not take over sys.path
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.train_child", "torch._dynamo"])  # which optimisers import
    rng = np.random.default_rng(1)
    kills = 0
    for _ in range(200):
        child = context.Process(target=main, args=(str(tmp_path / "killed"),))
        child.start()
        assert child.pid is not None
        before = latest_state(tmp_path / "killed" / STATE_FOLDER)
        # Killed at a random moment after it has made some headway.
        while child.is_alive() and latest_state(tmp_path / "killed" / STATE_FOLDER) == before:
            time.sleep(0.001)
        child.join(timeout=float(rng.uniform(0.0, 0.03)))
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        kills += 1
    assert kills >= 20
    trainer = make_trainer(tmp_path / "killed")
    Run(tmp_path / "killed", trainer).go()
    assert_same_run(finished(tmp_path / "straight"), trainer)


def grasp_trainer() -> Trainer:
    mdp = MdpConfig(max_steps=6)
    layout = Layout.of(mdp.action_spec(), mdp.observation_spec())
    replays = Experience(Replay(layout, 500), Replay(layout, 500))
    for seed in range(4):
        rows = episode_rows(recording(f"e{seed}", seed=seed, success=seed % 2 == 0).episode, mdp, 0.08)
        replays.offline.append(rows, str(seed))
    config = TrainConfig(steps=8, batch=8, first_labels=16, threads=1, deterministic=True, checkpoint_every=3)
    specs = (mdp.action_spec(), mdp.observation_spec())
    return Trainer(lambda: make_network("compact", *specs), config, replays, mdp.discount)


def test_the_compact_network_resumes_to_the_bit_too(tmp_path: Path) -> None:
    straight, broken = grasp_trainer(), grasp_trainer()
    Run(tmp_path / "straight", straight).go()

    def stop(trainer: Trainer) -> None:
        if trainer.step == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        Run(tmp_path / "broken", grasp_trainer(), on_step=stop).go()
    Run(tmp_path / "broken", broken).go()
    assert_same_run(straight, broken)


def numbers(folder: Path, name: str) -> list[float]:
    return [float(row["value"]) for row in read_metrics(folder / CSV_FILE) if row["name"] == name]


def test_each_batch_that_is_labelled_for_itself_has_a_relabelling_ratio_of_1(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=20, labels=replace(CONFIG.labels, fresh=True, age_limit=None))
    Run(tmp_path, Trainer(lambda: table(normalise=True), config, experience(), 0.9)).go()
    assert numbers(tmp_path, "relabel_ratio") == [1.0, 1.0]


def test_labels_of_the_updaters_count_in_the_rate_and_the_relabelling_ratio(tmp_path: Path) -> None:
    """As many beside the learner as it makes itself: 0.7 per transition, in blocks of 20."""
    config = replace(CONFIG, steps=20)
    count_labels(tmp_path, 0, 1000)  # of an earlier start

    def on_step(trainer: Trainer) -> None:
        if trainer.step in (5, 15):
            count_labels(tmp_path, trainer.step % 2, 224)

    def seen(step: int, values: dict[str, float]) -> None:
        rates.append(values["labels_per_second"] / values["steps_per_second"])

    rates: list[float] = []
    trainer = Trainer(lambda: table(normalise=True), config, experience(), 0.9)
    Run(tmp_path, trainer, on_step, on_log=seen).go()
    assert numbers(tmp_path, "relabel_ratio") == pytest.approx([(220 + 224) / 320, (220 + 224) / 320])
    assert rates == pytest.approx([44.4, 44.4])


def test_weights_are_published_before_the_state_that_goes_on_after_them(tmp_path: Path) -> None:
    seen: list[tuple[int, bool]] = []

    def publish(trainer: Trainer) -> None:
        seen.append((trainer.step, state_path(tmp_path / STATE_FOLDER, trainer.step).exists()))

    trainer = make_trainer()
    Run(tmp_path, trainer, on_checkpoint=publish).go()
    assert seen[:3] == [(0, False), (7, False), (14, False)]
    assert seen[-1] == (400, False)


def test_a_torn_state_is_refused_and_nothing_starts_anew(tmp_path: Path) -> None:
    run_until(tmp_path, 20)
    state = latest_state(tmp_path / STATE_FOLDER)
    assert state is not None
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Run(tmp_path, make_trainer())
    with pytest.raises(CheckpointError, match="cannot be read"):
        find_begun(tmp_path / STATE_FOLDER, CONFIG)


def test_another_configuration_is_refused_by_the_name_of_what_differs(tmp_path: Path) -> None:
    path = save_state(tmp_path, make_trainer())
    other = Trainer(table, replace(CONFIG, batch=33), experience(), 0.9)
    with pytest.raises(CheckpointError, match="'batch' was 32, this run has 33"):
        load_state(path, other)


def change_saved_config(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        scalars = json.loads(file.metadata()["state"])
    change(scalars["config"])
    save_file(tensors, path, metadata={"state": json.dumps(scalars)})


def test_a_state_from_before_a_parameter_existed_counts_as_its_default(tmp_path: Path) -> None:
    path = save_state(tmp_path, make_trainer())
    change_saved_config(path, lambda config: config["labels"].pop("n_step"))
    load_state(path, make_trainer())
    labels = replace(CONFIG.labels, n_step=3)
    other = Trainer(lambda: table(normalise=True), replace(CONFIG, labels=labels), experience(), 0.9)
    with pytest.raises(CheckpointError, match="'labels' was"):
        load_state(path, other)


def test_a_state_with_a_parameter_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = save_state(tmp_path, make_trainer())
    change_saved_config(path, lambda config: config.update(magic=1))
    with pytest.raises(CheckpointError, match="magic"):
        load_state(path, make_trainer())


def test_a_longer_run_may_go_on(tmp_path: Path) -> None:
    config = replace(CONFIG, deterministic=False)
    save_state(tmp_path, Trainer(lambda: table(normalise=True), config, experience(), 0.9))
    assert find_begun(tmp_path, replace(config, steps=500, threads=3, device="meta"))


@pytest.mark.parametrize("change", [{"steps": 500}, {"threads": 3}, {"device": "meta"}])
def test_a_deterministic_run_goes_on_with_what_shapes_its_bits(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    save_state(tmp_path, make_trainer())
    assert find_begun(tmp_path, replace(CONFIG, log_every=3, checkpoint_every=11))
    with pytest.raises(
        CheckpointError, match=rf"'{next(iter(change))}' was .*change: log_every, checkpoint_every$"
    ):
        find_begun(tmp_path, replace(CONFIG, **change))


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = save_state(tmp_path, make_trainer())
    with pytest.raises(CheckpointError, match="does not fit the network"):
        load_state(path, Trainer(table, CONFIG, experience(), 0.9))


def test_a_deterministic_run_refuses_a_replay_of_other_data(tmp_path: Path) -> None:
    path = save_state(tmp_path, make_trainer())
    other = make_trainer().experience
    other.online.sources[0] = "other"
    with pytest.raises(CheckpointError, match="the online replay had"):
        load_state(path, Trainer(lambda: table(normalise=True), CONFIG, other, 0.9))


def test_labels_of_a_replay_filled_in_another_order_are_made_again(tmp_path: Path) -> None:
    config = replace(CONFIG, deterministic=False)

    def trainer() -> Trainer:
        return Trainer(lambda: table(normalise=True), config, experience(), 0.9)

    before = trainer()
    before.start()
    path = save_state(tmp_path, before)
    after = trainer()
    after.experience.online.sources[0] = "other"
    load_state(path, after)
    assert after.experience.online.labelled() == 0
    assert after.experience.offline.labelled() == before.experience.offline.labelled() > 0
    after.start()
    assert after.experience.online.labelled() > 0
    after.advance()


def test_two_states_are_kept(tmp_path: Path) -> None:
    trainer = make_trainer()
    trainer.start()
    for _ in range(4):
        trainer.advance()
        save_state(tmp_path, trainer)
    assert sorted(tmp_path.iterdir()) == [state_path(tmp_path, 3), state_path(tmp_path, 4)]
