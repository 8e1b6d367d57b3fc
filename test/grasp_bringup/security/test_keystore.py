from collections.abc import Callable
from pathlib import Path

import pytest

from grasp_bringup.security.keystore import FILES, require_enclaves
from qtopt_policy.errors import ConfigError

NAME = "/qtopt_grasping/guard_node"


def test_a_whole_keystore_passes(keystore: Path, with_credentials: Callable[[str], Path]) -> None:
    with_credentials(NAME)
    with_credentials("/qtopt_grasping/moveit_servo/servo_node")
    require_enclaves(keystore, [NAME, "/qtopt_grasping/moveit_servo/servo_node"])


def test_links_count_as_what_they_lead_to(keystore: Path, with_credentials: Callable[[str], Path]) -> None:
    link = with_credentials(NAME) / "governance.p7s"  # sros2 makes such links
    link.unlink()
    link.symlink_to("../../governance.p7s")
    with pytest.raises(ConfigError, match=r"lacks governance\.p7s"):
        require_enclaves(keystore, [NAME])
    (keystore / "enclaves" / "governance.p7s").touch()
    require_enclaves(keystore, [NAME])


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(file: str, keystore: Path, with_credentials: Callable[[str], Path]) -> None:
    (with_credentials(NAME) / file).unlink()
    with pytest.raises(ConfigError, match=rf"enclave {NAME} lacks {file}\. "):
        require_enclaves(keystore, [NAME])


def test_a_missing_enclave_is_named_beside_those_that_are_there(
    keystore: Path, with_credentials: Callable[[str], Path]
) -> None:
    with_credentials("/other")
    with pytest.raises(ConfigError, match=rf"enclave {NAME} lacks cert.*Enclaves there: /other; docs/secur"):
        require_enclaves(keystore, [NAME])


def test_a_folder_that_is_no_keystore_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"keystore {tmp_path}/none: no folder `enclaves`"):
        require_enclaves(tmp_path / "none", [NAME])
