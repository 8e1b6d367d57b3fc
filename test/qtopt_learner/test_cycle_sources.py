"""Where a cycle's episodes come from: bags of the ROS graph (a fake one) and of an arm."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from grasp_bringup.sim.scene import load_scene_config
from grasp_bringup.system import SystemOptions
from qtopt_learner import graph_run
from qtopt_learner.cycle_config import CycleConfig, Through
from qtopt_learner.cycle_sources import (
    ROUND_SEEDS,
    EnvSource,
    GraphSource,
    RobotSource,
    WaitingError,
    Wanted,
    make_source,
)
from qtopt_learner.learner import ONLINE_SEEDS
from qtopt_policy.errors import ConfigError
from support.episodes import write_sample


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[SystemOptions]:
    """Stand for the graph: it writes two bags at most before Ctrl-C comes."""
    found: list[SystemOptions] = []

    def run_system(options: SystemOptions, logs: Path, progress: object) -> float:
        found.append(options)
        have = len(list(options.bags.iterdir()))
        for number in range(min(2, options.episodes)):
            write_sample(options.bags, f"episode_{have + number + 1:06d}", seed=number)
        if options.episodes > 2:
            raise KeyboardInterrupt
        return 1.0

    monkeypatch.setattr(graph_run, "run_system", run_system)
    monkeypatch.chdir(tmp_path)
    return found


def wanted(folder: Path, episodes: int, before: int = 0, weights: Path | None = None) -> Wanted:
    policy = "scripted" if weights is None else "cem"
    return Wanted(policy, weights, folder, 1, episodes, before)  # type: ignore[arg-type]


def config_in(folder: Path) -> CycleConfig:
    return CycleConfig(
        folder,
        through="graph",
        epsilon=0.3,
        noise=0.2,
        explore=0.5,
        scripted=3,
        scenes=2,
        scripted_epsilon=0.1,
        scripted_noise=0.15,
        scripted_explore=0.25,
    )


def test_each_way_has_its_source(tmp_path: Path) -> None:
    kinds = {"env": EnvSource, "graph": GraphSource, "robot": RobotSource}
    for name, kind in kinds.items():
        config = CycleConfig(tmp_path, through=name)  # type: ignore[arg-type]
        assert type(make_source(config, Console())) is kind


def test_bags_that_are_there_count(tmp_path: Path, asked: list[SystemOptions]) -> None:
    source, folder = GraphSource(config_in(tmp_path), Console()), tmp_path / "scripted"
    with pytest.raises(KeyboardInterrupt):
        source.collect(wanted(folder, 3))
    assert len(source.collect(wanted(folder, 3))) == 3
    first = load_scene_config().evaluation_seeds + ROUND_SEEDS
    assert [(o.episodes, o.seed) for o in asked] == [(3, first), (1, first + 2)]
    assert {(o.epsilon, o.noise, o.explore) for o in asked} == {(0.1, 0.15, 0.25)}
    assert len(source.collect(wanted(folder, 2, before=3))) == 2
    assert len(source.collect(wanted(folder, 2, before=3))) == 2
    assert len(asked) == 3


def test_the_learned_policy_explores_on_scenes_of_its_own(tmp_path: Path, asked: list[SystemOptions]) -> None:
    source = GraphSource(config_in(tmp_path), Console())
    weights = tmp_path / "w.safetensors"
    weights.touch()
    source.collect(wanted(tmp_path / "own", 1, weights=weights))
    assert (asked[0].policy, asked[0].epsilon, asked[0].noise, asked[0].explore) == ("cem", 0.3, 0.2, 0.5)
    assert asked[0].checkpoint == weights
    assert asked[0].seed == load_scene_config().evaluation_seeds + ROUND_SEEDS + ONLINE_SEEDS


def test_an_arms_episodes_are_waited_for(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    source = RobotSource(config)
    with pytest.raises(WaitingError, match=r"3 more episodes .* policy:=scripted .*episodes:=3"):
        source.collect(wanted(config.offline, 3))
    for number in range(3):
        write_sample(config.offline, f"episode_{number + 1:06d}", seed=number, policy="scripted")
    assert len(source.collect(wanted(config.offline, 3))) == 3
    assert len(source.measure("scripted", None, tmp_path / "x.json")) == 3


def test_an_arms_exploring_episodes_do_not_measure_the_scripted_policy(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    for number, policy in enumerate(("scripted", "epsilon(noisy(scripted, 0.15), 0.1)", "scripted")):
        write_sample(config.offline, f"episode_{number + 1:06d}", seed=number, policy=policy)
    assert len(RobotSource(config).measure("scripted", None, tmp_path / "x.json")) == 2
    with pytest.raises(ConfigError, match=r"scripted_explore 1\.0: .* take less"):
        CycleConfig(tmp_path, through="robot", scripted_explore=1.0)


def test_an_arms_grasps_measure_the_learned_policy(tmp_path: Path) -> None:
    source, weights = RobotSource(config_in(tmp_path)), tmp_path / "w.safetensors"
    out = tmp_path / "evaluation-r0.json"
    with pytest.raises(
        WaitingError, match=rf"checkpoint:={weights} epsilon:=0.0 noise:=0.0 explore:=1.0 bags:={tmp_path}"
    ):
        source.measure("cem", weights, out)
    for number in range(2):
        write_sample(tmp_path / "evaluation-r0", f"episode_{number + 1:06d}", seed=number, policy="cem")
    results = source.measure("cem", weights, out)
    assert [(row.policy, row.success) for row in results] == [("cem", True)] * 2


def test_simulation_plays_the_benchmarks_robot_alone(tmp_path: Path) -> None:
    config = CycleConfig(out=tmp_path, robot=Path("config/robots/fr3.yaml"))
    for through in get_args(Through):
        if through == "robot":
            make_source(replace(config, through=through), Console())
            continue
        with pytest.raises(ConfigError, match=r"fr3\.yaml: simulation plays the benchmark's robot"):
            make_source(replace(config, through=through), Console())
