import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from qtopt_learner.learner import Learner
from qtopt_learner.run_config import RunConfig
from qtopt_learner.train import train
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.checkpoint import Checkpoint, load_checkpoint
from qtopt_policy.errors import CheckpointError
from support.recordings import make_store

SMALL = TrainConfig(
    steps=2, batch=8, network_config={"width": 32, "channels": 24}, first_labels=8, replay_gb=0.01, threads=1
)
SHIPPED = Path("models/compact_wrist/policy.safetensors")


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    data = make_store(tmp_path / "data", 2)
    return RunConfig(tmp_path / "run", (data,), SMALL, start_from=SHIPPED)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def weights(config: RunConfig, step: int) -> Checkpoint:
    return load_checkpoint(config.out / "weights" / f"step-{step:09d}.safetensors")


def same(a: Checkpoint, b: Checkpoint) -> bool:
    pairs = zip(a.network.state_dict().values(), b.network.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_a_run_starts_from_the_weights_of_a_checkpoint_and_counts_their_steps(config: RunConfig) -> None:
    before = load_checkpoint(SHIPPED)
    train(config, quiet())
    first, last = weights(config, 0), weights(config, 2)
    assert same(first, before)
    assert not same(last, before)
    assert (first.info.trained, first.info.steps) == (True, before.info.steps)
    assert last.info.steps == before.info.steps + 2


def test_both_targets_start_there(config: RunConfig) -> None:
    before = load_checkpoint(SHIPPED).network.state_dict()
    targets = Learner(config, quiet()).trainer.targets
    for target in (targets.first, targets.second):
        assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_a_run_that_goes_on_goes_on_from_its_own_state(config: RunConfig) -> None:
    train(config, quiet())
    reached = weights(config, 2)
    train(replace(config, train=replace(SMALL, steps=3)), quiet())
    assert same(weights(config, 2), reached)
    assert weights(config, 3).info.steps == load_checkpoint(SHIPPED).info.steps + 3


def test_a_run_killed_before_its_first_state_starts_from_them_again(config: RunConfig) -> None:
    """The steps that its weights count are those of the checkpoint, not its own."""
    learner = Learner(config, quiet())
    learner.on_checkpoint(learner.trainer)
    train(config, quiet())
    shutil.rmtree(config.out / "state")
    for path in (config.out / "weights").glob("step-*[1-9].safetensors"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"newest\.safetensors has been trained"):
        train(config, quiet())


def test_weights_of_another_network_are_refused(config: RunConfig) -> None:
    other = replace(config, train=replace(SMALL, network_config={"width": 16, "channels": 24}))
    with pytest.raises(CheckpointError, match=r"'width': 32.*'width': 16.*network_config"):
        train(other, quiet())
    assert not config.out.exists()


def test_weights_of_another_task_are_refused(config: RunConfig, tmp_path: Path) -> None:
    text = Path("config/mdp.yaml").read_text()
    assert "action_frame: tool" in text
    (tmp_path / "mdp.yaml").write_text(text.replace("action_frame: tool", "action_frame: base"))
    with pytest.raises(CheckpointError, match="action_frame tool, but this robot uses base"):
        train(replace(config, mdp=tmp_path / "mdp.yaml"), quiet())


def test_another_hand_starts_from_them_only_if_told_to_and_counts_as_untrained(config: RunConfig) -> None:
    other = replace(config, robot=Path("config/robots/fr3.yaml"))
    with pytest.raises(CheckpointError, match=r"finger_length.*allow_outside_envelope accepts"):
        train(other, quiet())
    train(replace(other, allow_outside_envelope=True), quiet())
    first, last = weights(config, 0), weights(config, 2)
    assert same(first, load_checkpoint(SHIPPED))
    assert (first.info.trained, first.info.steps) == (False, 0)
    assert (last.info.trained, last.info.robot, last.info.steps) == (True, "fr3", 2)
