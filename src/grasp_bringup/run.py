"""Starts the nodes of a system as processes, where `ros2 launch` is not installed."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import yaml

from grasp_bringup import shared_memory
from grasp_bringup.environment import ros_environment, shared_memory_needed
from grasp_bringup.node_spec import RESTART_DELAY
from grasp_bringup.processes import Child, Exit, stop_all, wait_any
from grasp_bringup.security.check import require_security
from grasp_bringup.security.enclaves import keystore_of, security_environment
from grasp_bringup.system import NodeSpec, SystemOptions, system_nodes
from qtopt_policy.errors import ConfigError, MissingDependencyError, QtoptError
from qtopt_policy.share import PACKAGE, share_directory

COLLECTOR = "collector_node"
# Seconds in which the collector notices the missing heartbeat and closes its bag as aborted.
DEATH_GRACE = 8.0
# Where the Python packages lie: what runs this module finds them, what it starts must too.
_PACKAGES = str(Path(__file__).resolve().parents[1])


class NodeDiedError(QtoptError):
    """A node ended by itself. The message names it, its exit status and the end of its log."""


def executable(spec: NodeSpec) -> list[str]:
    """Return the command that starts a node: an executable of ours, or one of another ROS package.

    Raises:
        MissingDependencyError: the package is not installed or has no such executable.
    """
    if spec.package == PACKAGE:
        share = share_directory()
        in_checkout = share / "scripts" / spec.executable
        installed = share.parents[1] / "lib" / PACKAGE / spec.executable
        path = in_checkout if in_checkout.is_file() else installed
        if path.is_file():
            return [sys.executable, str(path)]
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        path = Path(prefix) / "lib" / spec.package / spec.executable
        if path.is_file():
            return [str(path)]
    package = spec.package.replace("_", "-")
    raise MissingDependencyError(
        f"{spec.package}: no executable {spec.executable}. On a ROS installation: "
        f"apt install ros-$ROS_DISTRO-{package}"
    )


def command(spec: NodeSpec, parameters: Path) -> list[str]:
    """Return the whole command line of a node; its parameters are written to the file `parameters`."""
    parameters.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(spec.parameters)}}))
    arguments = ["--ros-args", "-r", f"__node:={spec.name}", "--params-file", str(parameters)]
    if spec.namespace:
        arguments += ["-r", f"__ns:=/{spec.namespace.strip('/')}"]
    for source, target in spec.remappings:
        arguments += ["-r", f"{source}:={target}"]
    if spec.enclave is not None:
        arguments += ["--enclave", spec.enclave.name]
    return [*executable(spec), *arguments]


class RunningSystem:
    """The processes of a system, from start to stop. A context manager: leaving it stops them all.

    Args:
        nodes: to start, in this order.
        logs: folder for one log and one parameter file per node, and for ROS's own logs.
        one_machine: all nodes run here.

    Raises:
        ConfigError: a node is a task: the nodes of Gazebo start under `ros2 launch` only; on entering, the
            nodes' enclaves are not usable.
        MissingDependencyError: on entering, a node's package is not installed, /dev/shm is too small, or the
            nodes have enclaves and the middleware has no security; nothing is left running.
    """

    def __init__(self, nodes: Sequence[NodeSpec], logs: Path, one_machine: bool = True) -> None:
        self._nodes = tuple(nodes)
        if tasks := [spec.name for spec in self._nodes if spec.task]:
            raise ConfigError(
                f"{', '.join(tasks)}: what runs once, before others, needs ros2 launch; for Gazebo: "
                "ros2 launch qtopt_grasping gazebo.launch.py"
            )
        self._logs = logs.absolute()
        self._one_machine = one_machine
        self._left = {spec.name: spec.restarts for spec in self._nodes}
        self._due: dict[str, float] = {}
        self.children: list[Child] = []
        self._replaced: list[Child] = []

    def __enter__(self) -> "RunningSystem":
        self._logs.mkdir(parents=True, exist_ok=True)
        settings = ros_environment(os.environ, self._one_machine)
        _require_shared_memory(shared_memory_needed(settings, len(self._nodes)))
        self._environment = {**os.environ, **settings}
        self._environment["ROS_LOG_DIR"] = str(self._logs / "ros")
        paths = filter(None, [_PACKAGES, os.environ.get("PYTHONPATH")])
        self._environment["PYTHONPATH"] = os.pathsep.join(paths)
        require_security(self._nodes, self._environment)
        if keystore := keystore_of(self._nodes):
            self._environment |= security_environment(keystore)
        try:
            for spec in self._nodes:
                self.children.append(self._start(spec))
        except BaseException:
            stop_all(self.children)
            raise
        return self

    def _start(self, spec: NodeSpec) -> Child:
        line = command(spec, self._logs / f"{spec.name}.yaml")
        return Child(spec.name, line, self._environment, self._logs / f"{spec.name}.log")

    def child(self, name: str) -> Child:
        """Return the process of the node `name`."""
        return next(child for child in self.children if child.name == name)

    def restart(self, name: str) -> Child:
        """Start a node anew that has ended, in the place of the old one; its log is continued."""
        old = self.child(name)
        old.remove_leftovers()
        spec = next(spec for spec in self._nodes if spec.name == name)
        new = self._start(spec)
        self.children[self.children.index(old)] = new
        self._replaced.append(old)
        return new

    def __exit__(self, *_: object) -> None:
        try:
            stop_all(self.children)
        finally:
            for child in self._replaced:  # the others kept what it left in use until they ended
                child.remove_leftovers()

    def poll(self, timeout: float = 0.0) -> Exit | None:
        """Return how a required process ended, or None if all still run after `timeout` [s].

        A node that crashed and has restarts left (NodeSpec.restarts) counts as running: it is started again
        after RESTART_DELAY.
        """
        for name in [name for name, due in self._due.items() if time.monotonic() >= due]:
            del self._due[name]
            self.restart(name)
        names = {spec.name for spec in self._nodes if spec.required} - self._due.keys()
        ended = wait_any([child for child in self.children if child.name in names], timeout)
        if ended is None or ended.status == 0 or self._left[ended.name] == 0:
            return ended
        self._left[ended.name] -= 1
        self._due[ended.name] = time.monotonic() + RESTART_DELAY
        _note(ended, self._left[ended.name])
        return None

    def wait(self, last: str = COLLECTOR, progress: Callable[[], None] | None = None) -> None:
        """Wait until the node `last` has ended well.

        Args:
            last: name of the node whose end is the end of the work.
            progress: called about five times a second.

        Raises:
            NodeDiedError: a node died, or `last` ended with an error. Before that, `last` is given time to
                notice it and to close what it records.
        """
        while True:
            ended = self.poll(timeout=0.2)
            if progress is not None:
                progress()
            if ended is None:
                continue
            if ended.name == last and ended.status == 0:
                return
            if ended.name != last:
                wait_any([child for child in self.children if child.name == last], DEATH_GRACE)
            raise NodeDiedError(str(ended))


def _note(ended: Exit, left: int) -> None:
    """Write into the node's log that it is started again."""
    cause = str(ended).split(";")[0]
    with ended.log.open("a") as file:
        file.write(f"--- {cause}; started again in {RESTART_DELAY:g} s, {left} restarts left\n")


def _require_shared_memory(needed: int) -> None:
    free = shared_memory.free()
    if free < needed:
        raise MissingDependencyError(
            f"{shared_memory.FOLDER} has {free // 2**20} MB free; the nodes need {needed // 2**20} MB. "
            "In a container: docker run --shm-size=512m; else: mount -o remount,size=512m /dev/shm"
        )


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that the nodes stop in order. Main thread only."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_system(options: SystemOptions, logs: Path, progress: Callable[[], None] | None = None) -> float:
    """Run a system until its collector has collected; return the time that took [s].

    Raises:
        NodeDiedError, MissingDependencyError: as RunningSystem.
        KeyboardInterrupt: Ctrl-C or SIGTERM; everything has been stopped by then.
    """
    start = time.monotonic()
    with (
        terminate_as_interrupt(),
        RunningSystem(system_nodes(options), logs, options.one_machine) as running,
    ):
        running.wait(progress=progress)
    return time.monotonic() - start
