"""The benchmark: frozen, and its scenes kept from training."""

import dataclasses
from pathlib import Path

import pytest

from grasp_bringup.sim.benchmark import FREE_MDP_KEYS, load_benchmark
from qtopt_policy.errors import ConfigError

# Changing this line means a new benchmark version and all rows of results run again.
DIGEST_V1 = "e767e56f63f5b6de"


def test_digest_of_version_1_is_frozen() -> None:
    benchmark = load_benchmark()
    assert benchmark.version == 1
    assert benchmark.digest == DIGEST_V1


def test_digest_changes_with_the_task() -> None:
    benchmark = load_benchmark()
    scene = dataclasses.replace(benchmark.scene, friction=(0.4, 1.0))
    mdp = dataclasses.replace(benchmark.mdp, success_height=0.09)
    digests = {
        benchmark.digest,
        dataclasses.replace(benchmark, scene=scene).digest,
        dataclasses.replace(benchmark, mdp=mdp).digest,
        dataclasses.replace(benchmark, seeds=range(1, 501)).digest,
    }
    assert len(digests) == 4


def test_digest_ignores_what_a_learner_may_choose() -> None:
    benchmark = load_benchmark()
    mdp = dataclasses.replace(benchmark.mdp, discount=0.8, image_size=(96, 96), action_frame="base")
    assert dataclasses.replace(benchmark, mdp=mdp).digest == benchmark.digest
    assert set(FREE_MDP_KEYS) <= {field.name for field in dataclasses.fields(mdp)}


def test_digest_covers_the_generators_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_benchmark().digest
    monkeypatch.setattr("grasp_bringup.sim.placement.SPACING", 0.011)
    assert load_benchmark().digest != before


def test_evaluation_seeds_must_be_kept_from_training(tmp_path: Path) -> None:
    text = Path("config/benchmark_v1.yaml").read_text()
    source = tmp_path / "benchmark.yaml"
    source.write_text(text.replace("first_seed: 0", "first_seed: 9800"))
    with pytest.raises(ConfigError, match=r"9800 to 10513.*0 to 9999"):
        load_benchmark(source)
