"""Recipes become the flags that they stand for."""

from pathlib import Path

import pytest
import tyro

from qtopt_learner.cli_train import main
from qtopt_learner.cycle_config import CycleConfig
from qtopt_learner.recipe import FOLDER, Recipe, expand, find_recipe, recipe_flags
from qtopt_learner.run_config import RunConfig
from qtopt_policy.config import load_config, to_mapping
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.share import share_directory

RECIPES = sorted(path.stem for path in (share_directory() / FOLDER).glob("*.yaml"))
NEEDED = ["--out", "run", "--data", "a", "b"]


def test_some_ship() -> None:
    assert {"bags", "scratch"} <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_the_flags_say_what_the_file_says(name: str) -> None:
    wanted = load_config(find_recipe(name), Recipe)
    words = expand(["train", *NEEDED, "--recipe", name])
    config = tyro.cli(RunConfig, args=words[1:])
    assert words[0] == "train"
    assert to_mapping(Recipe(config.train, config.online)) == to_mapping(wanted)
    assert config.data == (Path("a"), Path("b"))


def test_every_kind_of_value_becomes_a_flag(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "train:\n  network_config: {width: 8, channels: 4}\n  amp: true\n"
        "  labels: {clipped: false, age_limit: null}\n"
        "online: {bags: [x, y], epsilon: 0.25}\n"
    )
    config = tyro.cli(RunConfig, args=[*recipe_flags(file), *NEEDED])
    assert config.train.network_config == {"width": 8, "channels": 4}
    assert (config.train.amp, config.train.labels.clipped, config.train.labels.age_limit) == (
        True,
        False,
        None,
    )
    assert (config.online.bags, config.online.epsilon) == ((Path("x"), Path("y")), 0.25)


def test_a_cycle_takes_one_without_actors_and_has_that_for_logged_data_by_default(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("train: {steps: 7, conservative: {weight: 0.3}}\n")
    words = expand(["cycle", "--out", "cycle", "--recipe", str(file)])
    train = tyro.cli(CycleConfig, args=words[1:]).train
    assert (train.steps, train.conservative.weight) == (7, 0.3)
    assert to_mapping(CycleConfig(Path("cycle")).train) == to_mapping(
        load_config(find_recipe("bags"), Recipe).train
    )
    with pytest.raises(ConfigError, match=r"scratch\.yaml: 'online'.*a cycle collects between"):
        expand(["cycle", "--out", "cycle", "--recipe", "scratch"])


def test_a_flag_wins_wherever_it_stands() -> None:
    for words in (["--train.steps", "7", "--recipe=bags"], ["--recipe", "bags", "--train.steps", "7"]):
        assert tyro.cli(RunConfig, args=expand(["train", *words, *NEEDED])[1:]).train.steps == 7


def test_without_a_recipe_nothing_changes() -> None:
    assert expand(["train", *NEEDED]) == ["train", *NEEDED]


def test_an_unknown_name_lists_those_that_ship() -> None:
    with pytest.raises(UnknownNameError, match=r"'secret'.*a YAML file, bags, scratch"):
        expand(["train", "--recipe", "secret"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [("train: {stops: 3}", "stops"), ("data: [x]", "data"), ("3", "mapping")],
)
def test_what_is_no_setting_is_refused_by_file_and_key(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"odd\.yaml.*{reason}"):
        expand(["train", "--recipe", str(file)])


def test_a_wrong_recipe_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--recipe", "secret", *NEEDED]) == 2
    assert "--recipe 'secret'" in capsys.readouterr().err
