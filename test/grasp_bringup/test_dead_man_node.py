"""The keyboard as a dead-man switch: dead_man_node at a terminal of its own."""

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rclpy.node import Node
from sensor_msgs.msg import Joy

from qtopt_policy import topics
from support.graph import Graph, ros_graph

pytestmark = pytest.mark.graph

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "dead_man_node"


class Keyboard:
    """A terminal with dead_man_node in it, and what it publishes."""

    def __init__(self, graph: Graph, user: int) -> None:
        self._graph, self._user = graph, user
        self.messages: list[list[int]] = []
        node = graph.add(Node("listener"))
        node.create_subscription(Joy, topics.JOY, self._take, 10)

    def _take(self, message: Joy) -> None:
        self.messages.append(list(message.buttons))

    def type(self, keys: bytes) -> None:
        os.write(self._user, keys)

    def wait(self, *buttons: int) -> None:
        self._graph.spin_until(lambda: self.messages[-1:] == [list(buttons)], f"buttons {buttons}")


@contextmanager
def started(terminal: int, log: Path, *rules: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Start the node at a terminal; end it if the test has not."""
    command = [sys.executable, str(SCRIPT), "--ros-args", *rules]
    with log.open("wb") as file:
        node = subprocess.Popen(command, stdin=terminal, stdout=file, stderr=file)
    try:
        yield node
    finally:
        if node.poll() is None:
            node.kill()
        node.wait()


def test_the_space_bar_is_held_while_it_repeats(tmp_path: Path) -> None:
    user, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    with ros_graph(tmp_path) as graph, started(terminal, tmp_path / "log") as node:
        keyboard = Keyboard(graph, user)
        keyboard.wait(0)
        keyboard.type(b" ")
        keyboard.wait(1)
        keyboard.wait(0)  # nothing repeats
        node.send_signal(signal.SIGINT)
        assert node.wait(timeout=30.0) == 0
    assert termios.tcgetattr(terminal) == before
    os.close(user)
    os.close(terminal)


def test_any_other_key_lets_go(tmp_path: Path) -> None:
    user, terminal = pty.openpty()
    patient = ("-p", "repeat_timeout:=600.0")
    with ros_graph(tmp_path) as graph, started(terminal, tmp_path / "log", *patient):
        keyboard = Keyboard(graph, user)
        keyboard.wait(0)
        keyboard.type(b" ")
        keyboard.wait(1)
        keyboard.type(b"x")
        keyboard.wait(0)
    os.close(user)
    os.close(terminal)


def test_without_a_terminal_it_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "standard input is no terminal" in done.stderr
