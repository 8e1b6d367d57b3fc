"""Collections and demos around a graph that writes its bags at once."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from grasp_bringup.run import NodeDiedError
from grasp_bringup.sim.scene import load_scene_config
from grasp_bringup.system import SystemOptions, next_seed
from qtopt_learner import cli, collect, demo, graph_run
from qtopt_learner.cli_config import CollectConfig, DemoConfig
from qtopt_learner.shipped import shipped_policy
from qtopt_policy.checkpoint import load_checkpoint
from support.episodes import write_sample

Progress = Callable[[], None]


class FakeGraph:
    """Stands for run_system: writes one bag per episode, looks after each, then ends or dies."""

    def __init__(self, dies_after: int | None = None, interrupted_after: int | None = None) -> None:
        self.dies_after, self.interrupted_after = dies_after, interrupted_after
        self.options: SystemOptions | None = None

    def __call__(self, options: SystemOptions, logs: Path, progress: Progress) -> float:
        self.options = options
        for number in range(options.episodes):
            if number == self.dies_after:
                raise NodeDiedError("servo_node ended with status 1; servo.log ends with:\nboom")
            if number == self.interrupted_after:
                raise KeyboardInterrupt
            write_sample(options.bags, f"episode_{number + 1:06d}", seed=number)
            progress()
        return 1.0


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> FakeGraph:
    fake = FakeGraph()
    monkeypatch.setattr(graph_run, "run_system", fake)
    return fake


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def asked(graph: FakeGraph) -> SystemOptions:
    assert graph.options is not None
    return graph.options


def test_collect_tells_every_episode(graph: FakeGraph, capsys: pytest.CaptureFixture[str]) -> None:
    assert collect.run(CollectConfig(episodes=3)) == 0
    text = capsys.readouterr().out
    assert all(f"episode_00000{number}" in text for number in (1, 2, 3))
    assert "3 episodes" in text


def test_collect_passes_on_what_was_asked_for(graph: FakeGraph, tmp_path: Path) -> None:
    config = CollectConfig(episodes=2, policy="random", seed=77, bags=tmp_path / "b")
    collect.run(replace(config, epsilon=0.5, noise=0.1, explore=0.7))
    options = asked(graph)
    assert (options.policy, options.seed, options.episodes) == ("random", 77, 2)
    assert (options.epsilon, options.noise, options.explore) == (0.5, 0.1, 0.7)


def test_a_graph_under_a_namespace_has_logs_of_its_own(
    graph: FakeGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(collect, "now", lambda: "20260101-120000")
    folders: list[str] = []
    for namespace in ("", "/a", "left/arm1"):
        collect.run(CollectConfig(episodes=1, bags=tmp_path / f"b{len(folders)}", namespace=namespace))
        assert asked(graph).namespace == namespace
        folders += re.findall(r"^logs +(\S+)$", capsys.readouterr().out, flags=re.MULTILINE)
    names = ("collect-20260101-120000", "collect-20260101-120000-a", "collect-20260101-120000-left-arm1")
    assert folders == [f"out/{name}/logs" for name in names]


def test_seeds_begin_after_those_kept_for_evaluation(graph: FakeGraph) -> None:
    collect.run(CollectConfig(episodes=1))
    assert asked(graph).seed == load_scene_config().evaluation_seeds


def test_seeds_go_on_where_the_folder_ends(tmp_path: Path) -> None:
    for number in (1, 2):
        write_sample(tmp_path, f"episode_{number:06d}")
    assert next_seed(tmp_path) == load_scene_config().evaluation_seeds + 2


def test_ctrl_c_prints_what_was_collected(graph: FakeGraph, capsys: pytest.CaptureFixture[str]) -> None:
    graph.interrupted_after = 2
    assert collect.run(CollectConfig(episodes=5)) == 130
    assert "2 episodes" in capsys.readouterr().out


def test_a_dead_node_is_an_error_with_its_last_words(
    graph: FakeGraph, capsys: pytest.CaptureFixture[str]
) -> None:
    graph.dies_after = 1
    assert cli.main(("collect", "--episodes", "3")) == 2
    found = capsys.readouterr()
    assert "1 episodes" in found.out
    assert "boom" in found.err


def test_demo_leaves_bags_report_and_numbers(
    graph: FakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(DemoConfig(episodes=3, out=tmp_path / "out")) == 0
    text = capsys.readouterr().out.replace("\n", "")
    assert (tmp_path / "out" / "report.html").read_text().count('class="episode"') == 3
    assert all(str(tmp_path / "out" / name) in text for name in ("report.html", "bags", "logs"))
    assert "joint_states" in text
    assert "3 bags" in text
    assert "times real time" in text


def test_demo_says_that_the_network_is_untrained(
    graph: FakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.run(DemoConfig(episodes=1, camera="shoulder", out=tmp_path / "out"))
    assert "nobody has trained" in " ".join(capsys.readouterr().out.split())
    assert "nobody has trained" in (tmp_path / "out" / "report.html").read_text()
    options = asked(graph)
    assert options.checkpoint is not None
    assert options.allow_untrained
    assert not load_checkpoint(options.checkpoint).info.trained


def test_demo_lets_the_shipped_and_the_scripted_policy_take_turns_on_unseen_objects(
    graph: FakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.run(DemoConfig(episodes=2, out=tmp_path / "out"))
    assert "take turns, on objects of the test families" in " ".join(capsys.readouterr().out.split())
    options = asked(graph)
    assert (options.policy, options.split, options.allow_untrained) == ("turns", "test", False)
    assert options.checkpoint == shipped_policy("wrist")


def test_demo_takes_other_weights(graph: FakeGraph, tmp_path: Path) -> None:
    Path("mine.safetensors").touch()
    demo.run(DemoConfig(episodes=1, checkpoint=Path("mine.safetensors"), out=tmp_path / "out"))
    assert asked(graph).checkpoint == Path("mine.safetensors")


def test_a_collection_takes_the_shipped_weights_where_it_needs_some(graph: FakeGraph) -> None:
    collect.run(CollectConfig(episodes=1, policy="cem"))
    assert asked(graph).checkpoint == shipped_policy("wrist")
    collect.run(CollectConfig(episodes=1, policy="random", bags=Path("others")))
    assert asked(graph).checkpoint is None


def test_demo_with_a_dead_node_fails_and_shows_what_came_before(
    graph: FakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph.dies_after = 2
    assert demo.run(DemoConfig(episodes=3, out=tmp_path / "out")) == 1
    assert "boom" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").read_text().count('class="episode"') == 2


def test_demo_stops_at_its_deadline(
    graph: FakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(DemoConfig(episodes=3, out=tmp_path / "out", deadline=1e-6)) == 0
    assert "with 1 of 3 episodes" in capsys.readouterr().out


def test_a_demo_without_any_episode_fails(graph: FakeGraph, tmp_path: Path) -> None:
    graph.dies_after = 0
    assert demo.run(DemoConfig(episodes=3, out=tmp_path / "out")) == 1
    assert not (tmp_path / "out" / "report.html").exists()
