"""A test's hand on the relay: its process, and the mode of each wire."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from std_msgs.msg import String

from grasp_bringup.processes import Child
from qtopt_policy.base_node import LATCHED_QOS
from support.graph import Graph
from support.relay import MODES, NAME, SET


def _append(found: list[str], message: String) -> None:
    found.append(message.data)


class Wiring:
    """Runs the relay and tells it what to do.

    Args:
        node: of the test, to talk through.
        graph: that spins it.
        table: of wires, one of relay.TABLES.
    """

    def __init__(self, node: Any, graph: Graph, table: str) -> None:
        self._graph, self._table = graph, table
        self._modes = node.create_publisher(String, MODES, LATCHED_QOS)
        self._set: list[str] = []
        node.create_subscription(String, SET, partial(_append, self._set), LATCHED_QOS)

    @contextmanager
    def running(self, logs: Path) -> Iterator[None]:
        """Run the relay; its log goes into `logs`."""
        command = [sys.executable, "-m", "support.relay", self._table]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        relay = Child(NAME, command, environment, logs / "relay.log")
        try:
            yield
        finally:
            relay.stop()
            relay.remove_leftovers(but=(os.getpid(),))

    def set(self, topic: str, mode: str = "pass", argument: float = 0.0) -> None:
        """Treat a topic by a mode of the relay from now on."""
        rule = json.dumps([topic, mode, argument])
        self._set.clear()
        self._modes.publish(String(data=rule))
        self._graph.spin_until(lambda: rule in self._set, f"the relay to set {rule}")
