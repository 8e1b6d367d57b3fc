"""A ROS graph of one test: nodes of this process, spun by the test, in a domain of its own."""

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from rclpy.node import Node

from grasp_bringup.environment import ros_environment
from qtopt_policy.base_node import make_executor

T = TypeVar("T")

DEADLINE = 30.0  # [s] of wall time: far beyond what anything takes even on a loaded machine


def isolate(logs: Path) -> dict[str, str]:
    """Set and return the environment that keeps a graph to this machine and this process."""
    settings = {
        **ros_environment(os.environ, one_machine=True),
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 200),
        "ROS_LOG_DIR": str(logs),
    }
    os.environ.update(settings)
    return settings


@contextmanager
def isolated(logs: Path) -> Iterator[None]:
    """Isolate, and give the environment back at the end."""
    before = dict(os.environ)
    isolate(logs)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Graph:
    """Spins nodes until something has happened; `busy` takes the executor that is quick per message."""

    def __init__(self, busy: bool = False) -> None:
        self._executor = make_executor(simulated=busy)
        self._nodes: list[Any] = []

    def add(self, node: T) -> T:
        """Spin this node too, and destroy it at the end."""
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def start(self, node: T) -> T:
        """Add one of the project's nodes and let it configure and activate itself."""
        assert node.start()  # type: ignore[attr-defined]
        return self.add(node)

    def spin(self, seconds: float) -> None:
        """Spin for a while of wall time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def spin_until(self, condition: Callable[[], bool], what: str) -> None:
        """Spin until `condition` holds; fail the test, naming `what`, if it does not in DEADLINE."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, f"waited {DEADLINE} s in vain for: {what}"
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, client: Any, request: Any) -> Any:
        """Call a service and return the response."""
        self.spin_until(client.service_is_ready, f"service {client.srv_name}")
        future = client.call_async(request)
        self.spin_until(future.done, f"response of {client.srv_name}")
        return future.result()

    def ask(self, node: Node, kind: Any, service: str, **values: Any) -> Any:
        """Call a service once, from a node of the graph, and return the response."""
        client = node.create_client(kind, service)
        try:
            return self.call(client, kind.Request(**values))
        finally:
            node.destroy_client(client)

    def close(self) -> None:
        """Destroy all nodes."""
        for node in self._nodes:
            self._executor.remove_node(node)
            node.destroy_node()
        self._executor.shutdown()


@contextmanager
def ros_graph(logs: Path, parameters: Sequence[str] = (), busy: bool = False) -> Iterator[Graph]:
    """Open a graph; `parameters` are rules such as `guard_node:require_arming:=false`, `busy` as in Graph."""
    isolate(logs)
    arguments = [item for rule in parameters for item in ("-p", rule)]
    rclpy.init(args=["--ros-args", "--disable-stdout-logs", *arguments])
    graph = Graph(busy)
    try:
        yield graph
    finally:
        graph.close()
        rclpy.try_shutdown()
        del graph
        gc.collect()  # what refers to itself keeps its participant alive
