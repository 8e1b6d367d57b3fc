"""What a learner reads at its start: the right cameras, many files by several processes with a bar."""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from qtopt_learner import intake as intake_module
from qtopt_learner import intake_progress
from qtopt_learner.intake import Intake
from qtopt_learner.intake_progress import take_many
from qtopt_learner.learner import Learner
from qtopt_learner.reading import Reading, read_all
from qtopt_learner.replay import Replay
from qtopt_learner.rows import Layout
from qtopt_learner.run_config import RunConfig
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.errors import UnknownNameError
from qtopt_policy.mdp import MdpConfig
from support.recordings import make_store

TRAIN = TrainConfig(steps=6, batch=8, replay_gb=0.01, threads=1, deterministic=True)


def console() -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=True)


def text(told: Console) -> str:
    assert isinstance(told.file, io.StringIO)
    return told.file.getvalue()


def test_a_camera_that_the_robot_does_not_have_is_refused_by_name(tmp_path: Path) -> None:
    config = RunConfig(tmp_path / "run", (make_store(tmp_path / "data", 2),), TRAIN, camera="ceiling")
    with pytest.raises(UnknownNameError, match=r"unknown camera 'ceiling'. Valid choices: shoulder, wrist"):
        Learner(config, console())
    assert not (tmp_path / "run").exists()


def test_episodes_of_another_mount_are_named_at_the_start(tmp_path: Path) -> None:
    config = RunConfig(tmp_path / "run", (make_store(tmp_path / "data", 2),), TRAIN)
    told = Console(file=io.StringIO(), width=200)
    learner = Learner(replace(config, camera="shoulder"), told)
    assert len(learner.trainer.experience.offline) == 0
    assert "not used e0: camera mount tool, this run has base: --camera\n" in text(told)
    assert len(Learner(replace(config, out=tmp_path / "own"), told).trainer.experience.offline) == 12


@pytest.mark.parametrize("few", [2, 3])
def test_many_files_are_read_by_several_processes_with_a_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    asked: list[int] = []

    def reading(read: Callable[[Path], Reading], sources: list[Path], workers: int) -> Iterator[Reading]:
        asked.append(workers)
        return read_all(read, sources, 1)  # processes are tested elsewhere

    monkeypatch.setattr(intake_module, "read_all", reading)
    monkeypatch.setattr(intake_progress, "FEW", few)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    mdp, told = MdpConfig(), console()
    replay = Replay(Layout.of(mdp.action_spec(), mdp.observation_spec()), 100)
    data = make_store(tmp_path / "data", 6)  # three shards
    assert take_many(Intake(replay, mdp, 0.08, "tool"), [data], told, "reading") == 36
    assert asked == ([8] if few == 2 else [1])
    assert ("3/3" in text(told)) == (few == 2)
