import re
from pathlib import Path

import pytest

from qtopt_policy import share


def test_a_checkout_is_its_own_share_folder() -> None:
    assert share.share_directory() == Path(__file__).resolve().parents[2]


def test_relative_paths_are_found_in_the_share_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert share.resolve(Path("config/robots/sim.yaml")).is_file()


def test_an_existing_relative_path_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").touch()
    assert share.resolve(Path("own.yaml")) == Path("own.yaml")


def test_version_is_that_of_package_xml() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", share.package_version())
