"""Evaluation through GraspEnv, short."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from grasp_bringup.sim.benchmark import load_benchmark
from qtopt_collector.report.score import EpisodeResult
from qtopt_learner import evaluate
from qtopt_learner.cli_config import EvaluateConfig
from qtopt_learner.evaluate_env import scene_seeds, task_mdp
from qtopt_learner.evaluate_graph import graph_options
from qtopt_learner.evaluate_jobs import Job, WorkerDiedError
from qtopt_policy.config import to_mapping
from qtopt_policy.errors import CheckpointError, ConfigError, UnknownNameError
from qtopt_policy.search_config import CemConfig
from support.players import make_interrupted, play

CONFIG = EvaluateConfig(policies=("random", "scripted"), episodes=2, workers=1)


def quiet() -> Console:
    return Console(file=StringIO())


@pytest.fixture(scope="module")
def alone() -> tuple[EpisodeResult, ...]:
    return evaluate.evaluate(CONFIG, quiet(), Path()).results


def test_every_policy_plays_every_scene(alone: tuple[EpisodeResult, ...]) -> None:
    assert [(row.policy, row.seed) for row in alone] == [(p, s) for p in CONFIG.policies for s in (0, 1)]


def test_ground_truth_and_judgement_are_known(alone: tuple[EpisodeResult, ...]) -> None:
    assert {type(row.truth) for row in alone} == {bool}
    assert {type(row.success) for row in alone} == {bool}
    assert all(1 <= row.steps <= 20 for row in alone)


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_workers(alone: tuple[EpisodeResult, ...]) -> None:
    assert evaluate.evaluate(replace(CONFIG, workers=2), quiet(), Path()).results == alone


def test_the_oracle_grasps() -> None:
    found = evaluate.evaluate(EvaluateConfig(policies=("oracle",), episodes=1, workers=1), quiet(), Path())
    assert found.results[0].truth


def test_digest_is_the_benchmarks() -> None:
    config = EvaluateConfig(policies=("random",), episodes=1, workers=1)
    assert evaluate.evaluate(config, quiet(), Path()).digest == load_benchmark().digest


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*arguments: Any) -> None:
        player, take = make_interrupted(), arguments[-1]
        for seed in range(5):
            take(player(Job("random", seed)))

    monkeypatch.setattr(evaluate, "_play", interrupted)
    config = EvaluateConfig(policies=("random",), episodes=5, out=tmp_path / "r.json")
    assert evaluate.run(config) == 130
    found = json.loads((tmp_path / "r.json").read_text())
    assert not found["complete"]
    assert [row["seed"] for row in found["episodes"]] == [0, 1]


def test_an_error_in_between_keeps_what_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*arguments: Any) -> None:
        arguments[-1](play(Job("random", 0)))
        raise WorkerDiedError("one of 2 worker processes died")

    monkeypatch.setattr(evaluate, "_play", failing)
    config = EvaluateConfig(policies=("random",), episodes=5, out=tmp_path / "r.json")
    assert evaluate.run(config) == 2
    assert "worker processes died" in capsys.readouterr().out
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["trouble"]
    assert len(found["episodes"]) == 1


def test_progress_passes_every_result_on() -> None:
    results = [play(Job(policy, seed)) for policy in ("a", "b") for seed in range(3)]
    taken: list[EpisodeResult] = []
    with evaluate.Bars(("a", "b"), 3, quiet()) as bars:
        for result in results:
            bars.showing(taken.append)(result)
    assert taken == results


def test_unknown_policy_is_refused_before_anything_runs() -> None:
    with pytest.raises(UnknownNameError, match="oracle"):
        evaluate.evaluate(EvaluateConfig(policies=("nope",), episodes=1), quiet(), Path())


def test_cem_without_checkpoint_is_refused() -> None:
    # No weights ship for this camera.
    config = EvaluateConfig(policies=("cem",), camera="shoulder", episodes=1, workers=1)
    with pytest.raises(CheckpointError, match="checkpoint"):
        evaluate.evaluate(config, quiet(), Path())


def test_the_graph_runs_the_benchmarks_task() -> None:
    benchmark = load_benchmark()
    config = EvaluateConfig(policies=("scripted",), split="test", through="graph")
    options = graph_options(config, benchmark, "scripted", range(20, 25), Path("b"))
    assert (options.seed, options.episodes, options.split) == (20, 5, "test")
    assert options.benchmark == benchmark.digest
    assert options.bags == Path("b")


def test_over_the_graph_only_the_learned_policy_gets_the_weights(tmp_path: Path) -> None:
    weights = tmp_path / "mine"
    weights.touch()
    config = EvaluateConfig(policies=("scripted", "cem"), checkpoint=weights, through="graph")
    given = {
        name: graph_options(config, load_benchmark(), name, range(2), Path("b")).checkpoint
        for name in config.policies
    }
    assert given == {"scripted": None, "cem": weights}


def test_the_oracle_cannot_run_over_the_graph() -> None:
    with pytest.raises(ConfigError, match="through env only"):
        graph_options(EvaluateConfig(), load_benchmark(), "oracle", range(2), Path())


def test_over_the_graph_the_search_is_the_node_s() -> None:
    config = EvaluateConfig(policies=("cem",), through="graph", search=CemConfig())
    with pytest.raises(ConfigError, match="through graph it is policy_node's own"):
        graph_options(config, load_benchmark(), "cem", range(2), Path())


def test_all_scenes_of_the_benchmark_by_default() -> None:
    benchmark = load_benchmark()
    assert scene_seeds(benchmark, 0, None) == benchmark.seeds
    assert scene_seeds(benchmark, 490, None) == benchmark.seeds[490:]


def test_more_scenes_than_the_benchmark_has_are_refused() -> None:
    benchmark = load_benchmark()
    count = len(benchmark.seeds)
    for first, episodes in ((0, count + 1), (count - 1, 2), (count, None)):
        with pytest.raises(ConfigError, match=f"{count} scenes"):
            scene_seeds(benchmark, first, episodes)


def write_mdp(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "mdp.yaml"
    path.write_text(yaml.safe_dump(to_mapping(load_benchmark().mdp) | changes))
    return path


def test_another_frame_is_the_same_task(tmp_path: Path) -> None:
    assert task_mdp(load_benchmark(), write_mdp(tmp_path, action_frame="base")).action_frame == "base"


def test_longer_episodes_are_another_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_steps 40, the benchmark's is 20"):
        task_mdp(load_benchmark(), write_mdp(tmp_path, max_steps=40))
