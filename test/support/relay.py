"""Topics on their way through a test: passed on, or delayed, dropped, duplicated, reordered, corrupted.

python -m support.relay: a process of its own, so that a busy test holds nothing up. It takes modes on the
topic MODES, each as the JSON of [topic, mode, argument], and answers with the same on SET.
"""

import json
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import rclpy
from rclpy.node import Node
from std_msgs.msg import String

from qtopt_policy.base_node import LATCHED_QOS, make_executor
from support.corruptions import CORRUPTIONS
from support.wires import WIRES, sent

PERIOD = 0.005  # [s] between looks at what is due
MODES, SET = "relay/modes", "relay/set"

# Takes a message and the time [s]; returns what is to be published, each with the time when.
Mode = Callable[[Any, float], list[tuple[float, Any]]]


def passed(message: Any, now: float) -> list[tuple[float, Any]]:
    """Pass a message on."""
    return [(now, message)]


def delayed(seconds: float) -> Mode:
    """Pass each message on later."""
    return lambda message, now: [(now + seconds, message)]


def duplicated(times: float) -> Mode:
    """Pass each message on several times, at once."""
    return lambda message, now: [(now, message)] * int(times)


def reordered(count: float) -> Mode:
    """Collect `count` messages and pass them on in the opposite order."""
    kept: list[Any] = []

    def turn(message: Any, now: float) -> list[tuple[float, Any]]:
        kept.append(message)
        return [] if len(kept) < count else [(now, kept.pop()) for _ in range(int(count))]

    return turn


def corrupted(change: Callable[[Any], None]) -> Mode:
    """Change each message before it is passed on."""

    def spoil(message: Any, now: float) -> list[tuple[float, Any]]:
        copy = deepcopy(message)
        change(copy)
        return [(now, copy)]

    return spoil


def make_mode(topic: str, name: str, argument: float) -> Mode:
    """Return a mode: pass, drop, delay [s], duplicate [times], reorder [messages], shift [s], or spoil."""
    if name in CORRUPTIONS:
        return corrupted(CORRUPTIONS[name](WIRES[topic].kind))
    made: dict[str, Callable[[float], Mode]] = {
        "pass": lambda _: passed,
        "drop": lambda _: lambda message, now: [],
        "delay": delayed,
        "duplicate": duplicated,
        "reorder": reordered,
        "shift": lambda seconds: corrupted(lambda clock: _shift(clock, seconds)),
    }
    return made[name](argument)


def _shift(clock: Any, seconds: float) -> None:
    clock.clock.sec = max(0, clock.clock.sec + int(seconds))


class Relay(Node):  # type: ignore[misc]
    """Passes on what comes on the sender's side of each wire, in the wire's mode."""

    def __init__(self) -> None:
        super().__init__("relay")
        self._modes: dict[str, Mode] = dict.fromkeys(WIRES, passed)
        self._waiting: list[tuple[float, Any, Any]] = []
        self._set = self.create_publisher(String, SET, LATCHED_QOS)
        self.create_subscription(String, MODES, self._on_mode, LATCHED_QOS)
        for topic in WIRES:
            self._connect(topic)
        self.create_timer(PERIOD, self._pump)

    def _connect(self, topic: str) -> None:
        wire = WIRES[topic]
        publisher = self.create_publisher(wire.kind, topic, wire.qos)

        def take(message: Any) -> None:
            now = time.monotonic()
            for due, out in self._modes[topic](message, now):
                if due <= now:
                    publisher.publish(out)
                else:
                    self._waiting.append((due, publisher, out))

        self.create_subscription(wire.kind, sent(topic), take, wire.qos)

    def _on_mode(self, message: String) -> None:
        topic, name, argument = json.loads(message.data)
        self._modes[topic] = make_mode(topic, name, argument)
        self._set.publish(message)

    def _pump(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, publisher, message = self._waiting.pop(0)
            publisher.publish(message)


def main() -> int:
    """Relay until interrupted."""
    rclpy.init(args=sys.argv)
    node = Relay()
    executor = make_executor(simulated=True)
    executor.add_node(node)
    try:
        while rclpy.ok():
            executor.spin_once(timeout_sec=1.0)
    except KeyboardInterrupt:
        return 0
    finally:
        executor.remove_node(node)
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
