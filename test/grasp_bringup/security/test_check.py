"""Nothing starts unsecured."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from grasp_bringup import run
from grasp_bringup.run import RunningSystem
from grasp_bringup.security.check import require_security
from grasp_bringup.security.keystore import FILES, enclave_folder
from grasp_bringup.system import NodeSpec, SystemOptions, driver_nodes, system_nodes
from qtopt_policy.errors import ConfigError, MissingDependencyError

Environment = Callable[..., dict[str, str]]
Add = Callable[[str], Path]


def nodes_with_credentials(keystore: Path, add: Add) -> tuple[NodeSpec, ...]:
    nodes = system_nodes(SystemOptions(security=True, keystore=keystore))
    for spec in nodes:
        assert spec.enclave is not None
        add(spec.enclave.name)
    return nodes


def test_a_secure_middleware_with_a_whole_keystore_passes(
    keystore: Path, with_credentials: Add, middleware: Environment
) -> None:
    require_security(nodes_with_credentials(keystore, with_credentials), middleware("secure"))


def test_without_enclaves_nothing_is_asked(middleware: Environment) -> None:
    require_security(system_nodes(SystemOptions()), middleware("crashes"))


@pytest.mark.parametrize("kind", ["ignores", "without", "crashes"])
def test_no_keystore_helps_a_middleware_without_security(
    kind: str, keystore: Path, with_credentials: Add, middleware: Environment
) -> None:
    nodes = nodes_with_credentials(keystore, with_credentials)
    with pytest.raises(MissingDependencyError, match="full ROS installation"):
        require_security(nodes, middleware(kind))


def test_a_middleware_that_refuses_everything_is_not_taken_for_secure(
    keystore: Path, with_credentials: Add, middleware: Environment
) -> None:
    nodes = nodes_with_credentials(keystore, with_credentials)
    told = (
        rf"does not start with enclave /qtopt_grasping/sim_node of keystore {keystore}: __create_participant"
    )
    with pytest.raises(MissingDependencyError, match=told):
        require_security(nodes, middleware("refuses"))


def test_credentials_that_are_none_are_refused(
    keystore: Path, with_credentials: Add, middleware: Environment
) -> None:
    nodes = nodes_with_credentials(keystore, with_credentials)
    for file in FILES:
        (enclave_folder(keystore, "/qtopt_grasping/sim_node") / file).write_text("")
    with pytest.raises(MissingDependencyError, match="does not start with enclave /qtopt_grasping/sim_node"):
        require_security(nodes, middleware("secure"))


def test_each_nodes_enclave_must_be_there_and_those_of_other_processes(
    keystore: Path, with_credentials: Add, middleware: Environment
) -> None:
    nodes = nodes_with_credentials(keystore, with_credentials)
    with pytest.raises(ConfigError, match=r"enclave /qtopt_grasping/gazebo_server lacks cert\.pem"):
        require_security(nodes, middleware("secure"), ["/qtopt_grasping/gazebo_server"])
    (enclave_folder(keystore, "/qtopt_grasping/policy_node") / "key.pem").unlink()
    with pytest.raises(ConfigError, match=r"enclave /qtopt_grasping/policy_node lacks key\.pem"):
        require_security(nodes, middleware("secure"))


def test_one_enclave_for_all_is_refused(keystore: Path, middleware: Environment) -> None:
    nodes = driver_nodes(SystemOptions(security=True, keystore=keystore))
    with pytest.raises(ConfigError, match="ROS_SECURITY_ENCLAVE_OVERRIDE /mine: would give this one enclave"):
        require_security(nodes, middleware("secure", ROS_SECURITY_ENCLAVE_OVERRIDE="/mine"))


def test_a_node_without_enclave_among_others_is_refused(keystore: Path, middleware: Environment) -> None:
    first, *others = system_nodes(SystemOptions(security=True, keystore=keystore))
    with pytest.raises(ConfigError, match="sim_node: no enclave"):
        require_security([replace(first, enclave=None), *others], middleware("secure"))


def test_run_starts_nothing_when_the_check_fails(
    keystore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def check(nodes: object, environ: object) -> None:
        asked.append(nodes)
        raise ConfigError("not secure")

    monkeypatch.setattr(run, "require_security", check)
    nodes = system_nodes(SystemOptions(security=True, keystore=keystore))
    running = RunningSystem(nodes, tmp_path / "logs")
    with pytest.raises(ConfigError, match="not secure"):
        running.__enter__()
    assert asked == [nodes]
    assert running.children == []


def test_run_starts_nodes_with_their_enclave_under_enforcement(
    keystore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "lib" / "fake" / "shows"
    script.parent.mkdir(parents=True)
    script.write_text(
        "#!/bin/sh\necho $ROS_SECURITY_ENABLE $ROS_SECURITY_STRATEGY $ROS_SECURITY_KEYSTORE $*\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setattr(run, "require_security", lambda nodes, environ: None)
    (first, *_) = system_nodes(SystemOptions(security=True, keystore=keystore))
    spec = replace(first, package="fake", executable="shows", name="collector_node")
    with RunningSystem([spec], tmp_path / "logs") as running:
        running.wait()
    shown = (tmp_path / "logs" / "collector_node.log").read_text()
    assert shown.startswith(f"true Enforce {keystore} --ros-args")
    assert shown.endswith("--enclave /qtopt_grasping/sim_node\n")
