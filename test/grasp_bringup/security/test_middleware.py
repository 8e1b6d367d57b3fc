"""Which middleware counts as secure; the last tests look at the one that is installed."""

import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from grasp_bringup import doctor
from grasp_bringup.security import middleware as module
from grasp_bringup.security.middleware import examine, require_credentials_read, try_enclave
from qtopt_policy.errors import ConfigError, MissingDependencyError
from support.graph import isolate

Environment = Callable[..., dict[str, str]]


def test_a_middleware_that_refuses_what_holds_no_credentials_passes(middleware: Environment) -> None:
    answer, lack = examine(middleware("secure"))
    assert (answer.started, lack) == (False, "")
    assert answer.reason == "__create_participant failed to create participant"
    require_credentials_read(middleware("secure"))


def test_a_middleware_that_starts_without_credentials_is_refused(middleware: Environment) -> None:
    told = (
        r"rmw_fastrtps_cpp .*holds no credentials.*unsecured\. Install: apt install ros-\$ROS_DISTRO-rmw-fast"
    )
    with pytest.raises(MissingDependencyError, match=told):
        require_credentials_read(middleware("ignores"))


def test_a_middleware_built_without_security_is_refused(middleware: Environment) -> None:
    with pytest.raises(MissingDependencyError, match=r"built without security: .*docs/security\.md"):
        require_credentials_read(middleware("without"))


def test_a_middleware_that_crashes_is_no_secure_one(middleware: Environment) -> None:
    with pytest.raises(MissingDependencyError, match=r"could not be tried, status 139: Segmentation fault"):
        require_credentials_read(middleware("crashes"))


def test_a_middleware_that_does_not_answer_is_no_secure_one(
    middleware: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.001)
    with pytest.raises(MissingDependencyError, match=r"gave no answer in 0\.001 s"):
        require_credentials_read(middleware("secure"))


@pytest.mark.parametrize("asked", [{"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, {"RMW_DOUBLE": "rmw_zenoh_cpp"}])
def test_an_unknown_middleware_is_refused_by_name(asked: dict[str, str], middleware: Environment) -> None:
    with pytest.raises(ConfigError, match=r"rmw_zenoh_cpp: not known to take .*rmw_cyclonedds_cpp"):
        require_credentials_read(middleware("secure", **asked))


def test_an_enclave_of_the_users_own_environment_does_not_mislead(middleware: Environment) -> None:
    environment = middleware(
        "secure", ROS_SECURITY_ENCLAVE_OVERRIDE="/real", ROS_SECURITY_STRATEGY="Permissive"
    )
    require_credentials_read(environment)  # the double refuses to run with either


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return an environment with the wheels' middleware alone in its domain."""
    try:
        version("ros-rclpy")
    except PackageNotFoundError:
        pytest.skip("looks at the wheels from PyPI, which are not installed")
    for name in (
        "ROS_DOMAIN_ID",
        "ROS_LOG_DIR",
        "ROS_AUTOMATIC_DISCOVERY_RANGE",
        "FASTDDS_DEFAULT_PROFILES_FILE",
    ):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that they are put back
    return {**os.environ, **isolate(tmp_path)}


@pytest.mark.graph
def test_the_wheels_are_found_to_lack_security(wheels: dict[str, str]) -> None:
    told = r"^rmw_fastrtps_cpp \(/.*/libfastdds\.so.*librmw_fastrtps_shared_cpp\.so\): built without security"
    with pytest.raises(MissingDependencyError, match=told):
        require_credentials_read(wheels)


@pytest.mark.graph
def test_the_wheels_refuse_even_an_enclave_that_is_not_there(wheels: dict[str, str], keystore: Path) -> None:
    answer = try_enclave("/nobody", keystore, wheels)
    assert not answer.started
    assert "/enclaves/nobody' does not exist" in answer.reason


@pytest.mark.graph
def test_the_doctor_tells_it(wheels: dict[str, str]) -> None:
    finding = doctor.security(wheels)
    assert (finding.subject, finding.level) == ("security", "absent")
    assert "built without security" in finding.text
    assert "full ROS installation" in finding.mend


def test_the_doctor_tells_of_a_secure_middleware(middleware: Environment) -> None:
    assert doctor.security(middleware("secure")).level == "ok"
    assert "rmw_zenoh_cpp" in doctor.security(middleware("secure", RMW_DOUBLE="rmw_zenoh_cpp")).text
