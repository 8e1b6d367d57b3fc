import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from qtopt_learner.cli_train import main
from qtopt_learner.envs.deciders import CemDecider, RandomDecider
from qtopt_learner.envs.env_config import EnvRunConfig, PlayConfig, default_training
from qtopt_learner.envs.observations import Image, Vector
from qtopt_learner.envs.player import Played, Player, played_rows
from qtopt_learner.envs.returns import ReturnRange
from qtopt_learner.envs.score import SCORE_SEEDS, Score, play_score
from qtopt_learner.envs.task import EnvTask, make_env
from qtopt_learner.envs.train_env import EnvLearner, episode_numbers, train_env
from qtopt_learner.envs.weights import load_weights, save_weights
from qtopt_learner.labels import LabelConfig
from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.report.page import page
from qtopt_learner.report.source import SCORES, read_run
from qtopt_learner.rows import Layout
from qtopt_learner.targets import TargetConfig
from qtopt_learner.train_config import OptimiserConfig, QuantileConfig
from qtopt_policy.errors import CheckpointError, ConfigError, QtoptError
from qtopt_policy.search_config import CemConfig

CEM = CemConfig(iterations=1, samples=8, elites=2)
TRAIN = replace(
    default_training(),
    steps=300,
    batch=32,
    network_config={"hidden": 32},
    labels=LabelConfig(fresh=True, cem=CEM),
    targets=TargetConfig(decay=0.8, lag=5),
    optimiser=OptimiserConfig(learning_rate=5e-3),
    replay_gb=0.001,
    log_every=50,
    checkpoint_every=100,
)
CORRIDOR = EnvRunConfig(
    env="support.small_envs:corridor",
    out=Path(),
    returns=ReturnRange(-10.0, 0.0),
    discount=0.9,
    play=PlayConfig(random_steps=200, cem=CEM),
    train=TRAIN,
    score_episodes=30,
)


@pytest.fixture(autouse=True)
def restore_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def quiet() -> Console:
    return Console(file=io.StringIO())


def played(count: int, terminated: bool) -> Played:
    seen: list[tuple[Image, Vector]] = [
        (np.zeros((0, 0, 0), np.uint8), np.full(1, i, np.float32)) for i in range(count + 1)
    ]
    return Played(1, seen, [np.full(1, 0.1, np.float32)] * count, [-1.0] * count, terminated)


def test_the_end_of_an_episode_is_terminal() -> None:
    rows = played_rows(played(3, terminated=True), ReturnRange(-10.0, 0.0), 0.9)
    assert rows["remaining"].tolist() == [2, 1, 0]
    assert rows["complete"].all()
    np.testing.assert_allclose(rows["reward"], [0.0, 0.0, 0.9], atol=1e-6)
    assert rows["vectors"].ravel().tolist() == [0.0, 1.0, 2.0]


def test_an_episode_out_of_time_bootstraps_from_where_it_stood() -> None:
    rows = played_rows(played(3, terminated=False), ReturnRange(-10.0, 0.0), 0.9)
    assert rows["remaining"].tolist() == [3, 2, 1, 0]
    assert not rows["complete"].any()
    assert rows["vectors"].ravel().tolist() == [0.0, 1.0, 2.0, 3.0]
    np.testing.assert_allclose(rows["reward"][:3], 0.0, atol=1e-6)


def test_rows_fit_the_replay_of_the_task(tmp_path: Path) -> None:
    task = EnvTask(replace(CORRIDOR, out=tmp_path))
    layout = Layout.of(task.actions.spec, task.observations.spec)
    assert layout.check(played_rows(played(4, True), ReturnRange(), 0.9)) == 4


def test_a_player_plays_every_seed_once_to_its_end(tmp_path: Path) -> None:
    task, seeds = EnvTask(replace(CORRIDOR, out=tmp_path)), iter(range(7))
    player = Player(task, lambda: make_env(CORRIDOR.env), 3, lambda: next(seeds, None))
    decider, ended, steps = RandomDecider(task.actions, np.random.default_rng(0)), [], 0
    while not player.idle:
        count, finished = player.step(decider)
        ended += finished
        steps += count
    assert sorted(episode.seed for episode in ended) == list(range(7))
    assert steps == sum(len(episode.actions) for episode in ended)
    for episode in ended:
        assert len(episode.seen) == len(episode.actions) + 1
        assert episode.terminated == episode.success == (len(episode.actions) < 10 or episode.success)


@pytest.mark.parametrize("env", ["support.small_envs:corridor", "support.small_envs:seen_corridor"])
def test_the_way_out_is_learned(tmp_path: Path, env: str) -> None:
    config = replace(CORRIDOR, env=env, out=tmp_path)
    random, learned = train_env(config, quiet())
    # From 0.8 at most and 0.2 a step, at most 5 steps are needed.
    assert min(learned.returns) >= -6.0
    assert learned.successes == 30
    assert learned.mean > random.mean + 2.0
    assert learned.seeds == random.seeds == (SCORE_SEEDS, SCORE_SEEDS + 29)


def test_quantiles_learn_it_too(tmp_path: Path) -> None:
    quantile = QuantileConfig(8, "cvar", 0.5, kappa=0.01)
    config = replace(CORRIDOR, out=tmp_path, train=replace(TRAIN, loss="quantile", quantile=quantile))
    assert train_env(config, quiet())[1].successes == 30


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> EnvRunConfig:
    config = replace(CORRIDOR, out=tmp_path_factory.mktemp("run"), train=replace(TRAIN, steps=150))
    train_env(config, quiet())
    return config


def test_a_run_leaves_scores_numbers_weights_and_a_report(finished: EnvRunConfig) -> None:
    scores = json.loads((finished.out / SCORES).read_text())["scores"]
    assert [row["policy"] for row in scores] == ["random", "learned"]
    names = {row["name"] for row in read_metrics(finished.out / CSV_FILE)}
    assert {"loss", "q", "v", "td_error", "labels_clipped", "return/exploring", "success/exploring"} <= names
    _, info = load_weights(finished.out / "weights" / "newest.safetensors")
    assert (info["steps"], info["network"]) == (150, "vector")
    html = page(read_run(finished.out, films=2))
    assert "support.small_envs:corridor" in html
    assert "own return" in html
    assert all(word in html for word in ("<h2>Scores</h2>", "<td>random</td>", "<td>learned</td>"))


def test_weights_play_as_the_run_did(finished: EnvRunConfig) -> None:
    network, _ = load_weights(finished.out / "weights" / "newest.safetensors")
    task = EnvTask(finished)
    # The random policy is scored first and leaves its mark in the generator that both share.
    rng, make = np.random.default_rng(SCORE_SEEDS), lambda: make_env(finished.env)
    play_score("random", RandomDecider(task.actions, rng), task, make, 30, 16)
    decider = CemDecider(network, CemConfig(), torch.device("cpu"), rng)
    score = play_score("learned", decider, task, make, 30, 16)
    told = json.loads((finished.out / SCORES).read_text())["scores"][1]
    assert list(score.returns) == pytest.approx(told["returns"], abs=1e-6)


def test_a_run_goes_on_where_it_was_with_what_it_had_played(finished: EnvRunConfig, tmp_path: Path) -> None:
    config = replace(finished, out=tmp_path)
    train_env(config, quiet())
    rows = len(EnvLearner(config).task.replay())
    longer = replace(config, train=replace(config.train, steps=200))
    train_env(longer, quiet())
    steps = [int(row["step"]) for row in read_metrics(tmp_path / CSV_FILE) if row["name"] == "loss"]
    assert steps == [50, 100, 150, 200]
    assert len(EnvLearner(config).task.replay()) >= rows
    with pytest.raises(CheckpointError, match="'batch' was 32, this run has 16"):
        train_env(replace(config, train=replace(config.train, batch=16)), quiet())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": 0.5}, r"run\.json: 'discount' was 0\.9, this run has 0\.5.*another --out"),
        ({"returns": ReturnRange(-20.0, 0.0)}, "'returns' was .*-10.*, this run has .*-20"),
        ({"env": "support.small_envs:seen_corridor"}, "'env' was .*:corridor, this run has .*seen_corridor"),
        ({"train": replace(TRAIN, batch=16)}, "'batch' was 32, this run has 16"),
        ({"play": PlayConfig(random_steps=10**9)}, "random_steps 1000000000: the replay holds"),
    ],
)
def test_a_run_that_does_not_fit_is_refused_and_changes_nothing(
    finished: EnvRunConfig, change: dict[str, Any], message: str
) -> None:
    before = contents(finished.out)
    with pytest.raises(QtoptError, match=message):
        train_env(replace(finished, **change), quiet())
    assert contents(finished.out) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_rows_played_before_the_first_state_have_their_rewards_too(tmp_path: Path) -> None:
    config = replace(CORRIDOR, out=tmp_path)
    learner = EnvLearner(config)
    learner.prepare()
    learner.close()
    with pytest.raises(CheckpointError, match="'discount' was"):
        EnvLearner(replace(config, discount=0.5))


def test_fresh_weights_do_not_replace_those_of_a_run_whose_state_is_missing(tmp_path: Path) -> None:
    config = replace(CORRIDOR, out=tmp_path, score_episodes=1, train=replace(TRAIN, steps=2))
    killed = EnvLearner(config)
    killed.on_checkpoint(killed.trainer)  # of step 0, and then no state
    killed.close()
    train_env(config, quiet())
    shutil.rmtree(tmp_path / "state")
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match=r"/state: .*newest\.safetensors has been trained.*restore"):
        train_env(config, quiet())
    assert contents(tmp_path) == before


def test_a_torn_file_of_weights_is_refused_by_name(finished: EnvRunConfig, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    network, _ = load_weights(finished.out / "weights" / "newest.safetensors")
    save_weights(path, network, "x", 1)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"w\.safetensors: cannot be read"):
        load_weights(path)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--env", "support.small_envs:corridor", "--out", str(tmp_path), "--train.steps", "2"]
    options += ["--train.batch", "4", "--play.random-steps", "20", "--score-episodes", "2"]
    options += ["--returns.low", "-10", "--returns.high", "0"]
    assert main(["train", *options]) == 0
    printed = capsys.readouterr().out
    assert "random: return -" in printed
    assert "learned: return -" in printed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Nothing-v0", "environment 'Nothing-v0'"),
        ("support.small_envs:missing", "has no attribute 'missing'"),
        ("missing_module:make", "No module named 'missing_module'"),
        ("support.small_envs:nothing", "returned int, no Env"),
    ],
)
def test_environments_that_do_not_exist_are_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_env(name)


def test_parameters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="deterministic"):
        replace(CORRIDOR, train=replace(TRAIN, deterministic=True))
    with pytest.raises(ConfigError, match="through chosen: for grasps alone"):
        replace(CORRIDOR, train=replace(TRAIN, labels=LabelConfig(n_step=2, through="chosen")))
    with pytest.raises(ConfigError, match=r"discount 1\.5"):
        replace(CORRIDOR, discount=1.5)
    with pytest.raises(ConfigError, match="envs 0"):
        PlayConfig(envs=0)
    with pytest.raises(ConfigError, match="epsilon 2"):
        PlayConfig(epsilon=2.0)


def test_numbers_of_episodes_are_means() -> None:
    episodes = [replace(played(3, True), success=True), replace(played(5, True), success=False)]
    expected = {"return/exploring": -4.0, "episode_steps": 4.0, "success/exploring": 0.5}
    assert episode_numbers(episodes) == expected
    assert "success/exploring" not in episode_numbers([played(3, True)])


def test_a_score_says_how_sure_it_is() -> None:
    score = Score("learned", (5, 8), (1.0, 3.0, 1.0, 3.0), 40, 2)
    assert score.margin == pytest.approx(1.96 * 1.1547 / 2, abs=1e-3)
    assert str(score).startswith("learned: return 2.00 +- 1.13 over 4 episodes (seeds 5 to 8), 10.0 steps")
    assert "success 50.0 % [15.0, 85.0]" in str(score)
    assert score.to_mapping()["mean"] == 2.0
