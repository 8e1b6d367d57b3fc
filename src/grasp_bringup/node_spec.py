"""One node of a system, however it is started."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Parameter = bool | int | float | str | list[str] | list[float]

# The remapping that gives a simulated graph under a namespace a clock of its own: /clock is absolute, so that
# all graphs of a domain would share it; `clock` lies in the namespace of the node.
CLOCK = "/clock"
OWN_CLOCK = ((CLOCK, "clock"),)

# Seconds from a crash to the new start: longer than the silence that every watchdog bears, also in a
# simulation (system.PATIENCE), so that nobody takes the new process for the old one.
RESTART_DELAY = 5.0


@dataclass(frozen=True)
class Enclave:
    """Credentials of a process (SROS2).

    Attributes:
        name: with a leading slash; a folder below `enclaves` of the keystore.
        keystore: that holds it, an absolute path.
    """

    name: str
    keystore: Path


@dataclass(frozen=True)
class NodeSpec:
    """One node as launch_ros and run.py start it.

    Attributes:
        package, executable: as in `ros2 run <package> <executable>`.
        name, namespace: of the node.
        parameters: ROS parameters by name.
        remappings: pairs of topic names, from and to.
        required: whether the system ends when the node ends.
        restarts: how many times it is started again after a crash before its end counts.
        arguments: of its command line, before those of ROS.
        task: it ends by itself when its work is done; the system ends if it fails.
        after: name of the task that must have ended well before this node starts.
        enclave: credentials that it runs with; None: without security.
    """

    package: str
    executable: str
    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    namespace: str = ""
    required: bool = True
    arguments: tuple[str, ...] = ()
    task: bool = False
    after: str = ""
    restarts: int = 0
    enclave: Enclave | None = None
