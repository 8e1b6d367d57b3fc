"""Whether the middleware really has security, found out by what it does.

Why not by looking at its files: a library's strings, symbols or version do not say whether the process will
load that very library. rmw_fastrtps decides at its compile time, by the HAVE_SECURITY of the Fast DDS that it
saw then. Loaded beside a Fast DDS that was built without, it hands over credentials that nobody reads, and
the graph runs unsecured without a word; so it does with the strategy Permissive. Nor is a refusal enough:
a middleware without security refuses every enclave.

So two enclaves are tried, under Enforce, each in a process of its own that loads what the nodes load:

1. one whose six files hold no credentials must be refused, and not for lack of security. What starts with it
   does not read credentials;
2. one of the real keystore must start (check.py). What refuses it too, refuses everything.

A middleware that does both tells good credentials from bad ones: it has read them.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grasp_bringup.security.enclaves import OVERRIDE, security_environment
from grasp_bringup.security.keystore import FILES, enclave_folder
from qtopt_policy.errors import ConfigError, MissingDependencyError

RMW = "RMW_IMPLEMENTATION"
TIMEOUT = 60.0  # [s] for one try: mostly the import of rclpy
# Each rmw that takes SROS2's enclaves, and how to get it with security.
_FAST = "apt install ros-$ROS_DISTRO-rmw-fastrtps-cpp, or build Fast DDS with -DSECURITY=ON"
_CYCLONE = "apt install ros-$ROS_DISTRO-rmw-cyclonedds-cpp, or build Cyclone DDS with -DENABLE_SECURITY=ON"
SECURABLE = {
    "rmw_fastrtps_cpp": _FAST,
    "rmw_fastrtps_dynamic_cpp": _FAST,
    "rmw_cyclonedds_cpp": _CYCLONE,
    "rmw_connextdds": "RTI's Security Plugins",
}
# What rmw_fastrtps (87cf5d95) and rmw_cyclonedds (854b89d5) say when they were built without security.
BUILT_WITHOUT = ("doesn't have the security libraries", "does not have security support enabled")
HINT = "Security needs a full ROS installation, the wheels have none: docs/security.md"
_PACKAGES = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Answer:
    """What the middleware did with an enclave.

    Attributes:
        rmw: identifier of the middleware that was loaded.
        libraries: its files.
        started: whether a node came to life.
        reason: why not.
    """

    rmw: str
    libraries: tuple[str, ...]
    started: bool
    reason: str

    @property
    def middleware(self) -> str:
        """Its name and files, for messages."""
        return f"{self.rmw} ({', '.join(self.libraries)})"


def try_enclave(
    enclave: str,
    keystore: Path,
    environ: Mapping[str, str],
    node: str = "security_probe",
    namespace: str = "",
) -> Answer:
    """Make a node with an enclave, under Enforce and in a process of its own.

    Args:
        enclave: its name, from `/`.
        keystore: that it is in.
        environ: variables of the process; those of security are set on top.
        node: its name: a policy may allow this one alone.
        namespace: of the node.

    Raises:
        MissingDependencyError: the process came to no answer: no rclpy, no such rmw, a crash.
    """
    with tempfile.TemporaryDirectory(prefix="security_probe_") as folder:
        settings = {**environ, **security_environment(keystore), "ROS_LOG_DIR": folder}
        settings.pop(OVERRIDE, None)
        settings["PYTHONPATH"] = os.pathsep.join(filter(None, [_PACKAGES, environ.get("PYTHONPATH")]))
        line = [sys.executable, "-m", "grasp_bringup.security.probe_node", node, namespace, enclave]
        try:
            done = subprocess.run(
                line, env=settings, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise MissingDependencyError(
                f"enclave {enclave}: the middleware gave no answer in {TIMEOUT:g} s"
            ) from error
    if done.returncode != 0 or not done.stdout.strip():
        raise MissingDependencyError(
            f"enclave {enclave}: the middleware could not be tried, status {done.returncode}: "
            f"{' '.join(done.stderr.split()[-40:])}. {HINT}"
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return Answer(found["rmw"], tuple(found["libraries"]), found["started"], found["reason"])


def require_securable(rmw: str) -> None:
    """Raise ConfigError for an rmw that is not known to take SROS2's enclaves."""
    if rmw not in SECURABLE:
        raise ConfigError(
            f"{RMW} {rmw}: not known to take SROS2's enclaves. With security: {', '.join(SECURABLE)}"
        )


def examine(environ: Mapping[str, str]) -> tuple[Answer, str]:
    """Return what the middleware does with an enclave without credentials, and what it therefore lacks.

    The latter is "" for one that reads credentials.

    Raises:
        ConfigError: another middleware than those of SECURABLE.
        MissingDependencyError: it gave no answer.
    """
    if environ.get(RMW):
        require_securable(environ[RMW])
    with tempfile.TemporaryDirectory(prefix="no_credentials_") as folder:
        answer = try_enclave(_without_credentials(Path(folder)), Path(folder), environ)
    require_securable(answer.rmw)
    if answer.started:
        return (
            answer,
            "starts with an enclave that holds no credentials: it reads none and would run unsecured",
        )
    if any(text in answer.reason for text in BUILT_WITHOUT):
        return answer, f"built without security: {answer.reason}"
    return answer, ""


def require_credentials_read(environ: Mapping[str, str]) -> None:
    """Raise MissingDependencyError for a middleware that lacks security; else as `examine`."""
    answer, lack = examine(environ)
    if lack:
        raise MissingDependencyError(f"{answer.middleware}: {lack}. Install: {SECURABLE[answer.rmw]}. {HINT}")


def _without_credentials(keystore: Path) -> str:
    """Write an enclave whose files hold no credentials; return its name."""
    name = "/no_credentials"
    folder = enclave_folder(keystore, name)
    folder.mkdir(parents=True)
    for file in FILES:
        (folder / file).write_text("no credentials\n")
    return name
