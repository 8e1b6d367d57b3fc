import re
from pathlib import Path

import pytest

from qtopt_policy import share
from qtopt_policy.errors import MissingDependencyError


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


def test_a_package_url_lies_in_the_share_folder_of_that_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (tmp_path / "share" / "my_arm_description").mkdir()
    (index / "my_arm_description").touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    found = share.resolve(Path("package://my_arm_description/urdf/arm.urdf"))
    assert found == tmp_path / "share" / "my_arm_description" / "urdf" / "arm.urdf"


def test_a_package_that_is_not_installed_is_named_with_its_apt_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"apt install ros-\$ROS_DISTRO-no-such-arm"):
        share.resolve(Path("package://no_such_arm/urdf/arm.urdf"))
