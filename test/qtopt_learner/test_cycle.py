"""The cycle: with stages that take no time, and once for real, interrupted and resumed."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from qtopt_collector.episode import EpisodeInfo
from qtopt_collector.report.score import EpisodeResult, Rate
from qtopt_learner import cli_train, cycle
from qtopt_learner.cycle import JOURNAL, Cycle, leads
from qtopt_learner.cycle_config import CycleConfig
from qtopt_learner.cycle_journal import Journal
from qtopt_learner.cycle_sources import PolicyName, Wanted
from qtopt_learner.learner import ONLINE_SEEDS
from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.run_config import RunConfig
from qtopt_learner.store import read_infos, shard_paths
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.checkpoint import describe, read_info, save_checkpoint
from qtopt_policy.errors import ConfigError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.registry import make_network
from support.pictures import sim_robot
from support.policy_samples import make_camera

MDP = MdpConfig()
NETWORK = make_network("compact", MDP.action_spec(), MDP.observation_spec(), {})
STAGES = ("collect", "train", "measure scripted", "measure", "decide")


class FakeSource:
    """Collects and measures in no time.

    Args:
        learned: successes of the learned policy in 100 scenes, one for each round.
        interrupted: call, counted from 0, in which Ctrl-C comes.
    """

    def __init__(self, learned: Sequence[int], interrupted: int | None = None) -> None:
        self.learned = learned
        self.interrupted = interrupted
        self.calls = 0
        self.wanted: list[Wanted] = []

    def tick(self) -> None:
        self.calls += 1
        if self.calls - 1 == self.interrupted:
            raise KeyboardInterrupt

    def collect(self, wanted: Wanted) -> list[EpisodeInfo]:
        self.tick()
        self.wanted.append(wanted)
        return [
            EpisodeInfo(str(i), i, wanted.policy, "terminate", i % 4 == 0, float(i % 4 == 0))
            for i in range(wanted.episodes)
        ]

    def measure(self, policy: PolicyName, weights: Path | None, out: Path) -> Sequence[EpisodeResult]:
        self.tick()
        number = 0 if weights is None else (int(weights.stem.removeprefix("step-")) - 10) // 5
        won = 20 if policy == "scripted" else self.learned[number]
        return [EpisodeResult(policy, i, i < won, i < won, 5, "terminate") for i in range(100)]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """Stand for training: write weights at once."""
    runs: list[RunConfig] = []

    def train(config: RunConfig, console: Console) -> Path:
        runs.append(config)
        steps = config.train.steps
        path = config.out / "weights" / f"step-{steps:09d}.safetensors"
        save_checkpoint(path, NETWORK, describe(NETWORK, MDP, sim_robot(), [make_camera()], steps))
        return path

    monkeypatch.setattr(cycle, "train", train)
    return runs


def config_in(folder: Path, **changes: Any) -> CycleConfig:
    train = TrainConfig(steps=10)
    return replace(
        CycleConfig(folder, rounds=2, scripted=8, more=4, train=train, more_steps=5, scenes=100), **changes
    )


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def entries(folder: Path, stage: str) -> list[dict[str, Any]]:
    return [entry for entry in Journal(folder / JOURNAL).entries if entry["stage"] == stage]


def test_the_learned_policy_collects_once_it_leads(tmp_path: Path, trained: list[RunConfig]) -> None:
    source, config = FakeSource([15, 60, 70]), config_in(tmp_path)
    Cycle(config, quiet(), source).run()
    assert [(w.policy, w.episodes) for w in source.wanted] == [("scripted", 8), ("scripted", 4), ("cem", 4)]
    assert source.wanted[2].weights == config.weights(1)
    assert [w.folder for w in source.wanted] == [tmp_path / "scripted"] * 2 + [tmp_path / "run" / "episodes"]
    assert [w.before for w in source.wanted] == [0, 8, 0]
    assert len({w.first_seed for w in source.wanted}) == 3
    assert source.wanted[2].first_seed > ONLINE_SEEDS
    assert [run.train.steps for run in trained] == [10, 15, 20]
    assert {run.out for run in trained} == {tmp_path / "run"}


def test_every_decision_is_noted_with_its_numbers(tmp_path: Path, trained: list[RunConfig]) -> None:
    Cycle(config_in(tmp_path), quiet(), FakeSource([15, 60, 70])).run()
    first, second, _ = entries(tmp_path, "decide")
    assert (first["next"], second["next"]) == ("scripted", "cem")
    assert second["learned"] == {
        "successes": 60,
        "trials": 100,
        "rate": 0.6,
        "interval_95": list(Rate(60, 100).interval),
    }
    assert "0.502, is above the scripted policy's rate, 0.200" in second["reason"]
    (collected, *_) = entries(tmp_path, "collect")
    assert (collected["episodes"], collected["successes"], collected["policy"]) == (8, 2, "scripted")


def test_a_lead_must_be_sure() -> None:
    assert not leads(Rate(24, 100), Rate(20, 100))
    assert leads(Rate(35, 100), Rate(20, 100))
    assert not leads(Rate(0, 0), Rate(0, 0))


def test_the_best_weights_are_kept_with_their_evaluation(tmp_path: Path, trained: list[RunConfig]) -> None:
    config = config_in(tmp_path)
    best = Cycle(config, quiet(), FakeSource([30, 60, 50])).run()
    info = read_info(best)
    assert info.steps == 15
    assert info.evaluation is not None
    assert (info.evaluation.successes, info.evaluation.episodes, info.evaluation.split) == (60, 100, "train")
    assert [entry["best"] for entry in entries(tmp_path, "decide")] == [True, True, False]


@pytest.mark.parametrize("call", range(5))
def test_an_interrupted_cycle_goes_on_with_the_stage_that_was_cut_short(
    call: int, tmp_path: Path, trained: list[RunConfig]
) -> None:
    config = config_in(tmp_path, rounds=1)
    with pytest.raises(KeyboardInterrupt):
        Cycle(config, quiet(), FakeSource([15, 60], interrupted=call)).run()
    before = (tmp_path / JOURNAL).read_bytes() if call else b""
    Cycle(config, quiet(), FakeSource([15, 60])).run()
    text = (tmp_path / JOURNAL).read_bytes()
    assert text.startswith(before)
    found = [(entry["round"], entry["stage"]) for entry in map(json.loads, text.splitlines())]
    assert found == [(r, s) for r in range(2) for s in STAGES if s != "measure scripted" or r == 0]
    assert [run.train.steps for run in trained] == [10, 15]


def test_a_finished_cycle_may_get_more_rounds(tmp_path: Path, trained: list[RunConfig]) -> None:
    Cycle(config_in(tmp_path, rounds=0), quiet(), FakeSource([60])).run()
    again = FakeSource([60, 70])
    Cycle(config_in(tmp_path, rounds=1), quiet(), again).run()
    assert [w.policy for w in again.wanted] == ["cem"]


def test_a_cycle_that_was_told_something_else_is_refused(tmp_path: Path, trained: list[RunConfig]) -> None:
    Cycle(config_in(tmp_path, rounds=0), quiet(), FakeSource([60])).run()
    with pytest.raises(ConfigError, match="'scenes' was 100, now it is 50"):
        Cycle(config_in(tmp_path, scenes=50), quiet(), FakeSource([60]))


def test_a_line_that_was_being_written_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    Journal(path).add("collect", 0, {"episodes": 3})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"stage": "train", "rou')
    journal = Journal(path)
    assert journal.find("train", 0) is None
    journal.add("train", 0, {})
    assert path.read_bytes().startswith(whole)
    assert [entry["stage"] for entry in Journal(path).entries] == ["collect", "train"]


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text("[1]\n")
    with pytest.raises(ConfigError, match=r"cycle\.jsonl: cannot be read"):
        Journal(tmp_path / JOURNAL)


@pytest.mark.parametrize("changes", [{"scripted": 0}, {"rounds": -1}, {"train": None}])
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    if "train" in changes:
        changes = {"train": TrainConfig(deterministic=True)}
    with pytest.raises(ConfigError, match="cycle: "):
        config_in(tmp_path, **changes)


TINY = {
    "rounds": 1, "scripted": 2, "more": 2, "more-steps": 3, "scenes": 2, "per-shard": 1, "workers": 1,
    "train.steps": 4, "train.batch": 4, "train.first-labels": 4, "train.replay-gb": 0.01,
    "train.labels.block": 4, "train.threads": 1, "train.checkpoint-every": 2,
    "train.mix.least": 1, "train.mix.full": 2,
}  # fmt: skip


@pytest.mark.slow
def test_a_real_cycle_is_interrupted_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["cycle", "--out", str(tmp_path), *(w for k, v in TINY.items() for w in (f"--{k}", str(v)))]
    journal = tmp_path / JOURNAL
    before = interrupted(words, journal)
    assert before.count("\n") < 2 * len(STAGES) - 1
    # However little a network of seven steps can do: let it lead, so that it collects.
    monkeypatch.setattr(cycle, "leads", lambda learned, scripted: True)
    assert cli_train.main(words) == 0
    assert journal.read_text().startswith(before)
    collected = entries(tmp_path, "collect")
    assert [entry["policy"] for entry in collected] == ["scripted", "cem"]
    own = [info for path in shard_paths(tmp_path / "run" / "episodes") for info in read_infos(path)]
    assert len(own) == 2
    assert all(info.checkpoint for info in own)
    assert read_info(tmp_path / "run" / "weights" / "newest.safetensors").steps == 7
    assert read_info(tmp_path / "best.safetensors").evaluation is not None
    rates = [row["step"] for row in read_metrics(tmp_path / "run" / CSV_FILE) if "success_" in row["name"]]
    assert rates == ["4", "7"]


def interrupted(words: list[str], journal: Path) -> str:
    """Run the command until a stage has ended, press Ctrl-C, and return what the journal says then."""
    environment = {**os.environ, "PYTHONPATH": str(Path(cycle.__file__).resolve().parents[1])}
    process = subprocess.Popen([sys.executable, "-m", "qtopt_learner.cli", *words], env=environment)
    try:
        end = time.monotonic() + 60.0
        while not journal.exists():
            assert time.monotonic() < end, "waited too long"
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 130
    finally:
        process.kill()
        process.wait()
    return journal.read_text()
