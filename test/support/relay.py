"""Topics on their way through a test: passed on, or delayed, dropped, duplicated, reordered, corrupted.

python -m support.relay TABLE: a process of its own, so that a busy test holds nothing up. It takes modes on
the topic MODES, each as the JSON of [topic, mode, argument], and answers with the same on SET. It beats with
every joint state, so that a simulator in lockstep can wait for it.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import rclpy
from rclpy.node import Node
from std_msgs.msg import Header, String

from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, LATEST_QOS, make_executor
from support.corruptions import CORRUPTIONS
from support.recording_wires import RECORDING_CORRUPTIONS, RECORDING_WIRES
from support.wires import WIRES, Wire, sent

TABLES: dict[str, Mapping[str, Wire]] = {"motion": WIRES, "recording": RECORDING_WIRES}
NAME = "relay"

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


def make_mode(kind: Any, name: str, argument: float) -> Mode:
    """Return a mode: pass, drop, delay [s], duplicate [times], reorder [messages], shift [s], or spoil."""
    if (name, kind) in RECORDING_CORRUPTIONS:
        return corrupted(RECORDING_CORRUPTIONS[name, kind])
    if name in CORRUPTIONS:
        return corrupted(CORRUPTIONS[name](kind))
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

    def __init__(self, wires: Mapping[str, Wire]) -> None:
        super().__init__(NAME)
        self._wires = wires
        self._modes: dict[str, Mode] = dict.fromkeys(wires, passed)
        self._waiting: list[tuple[float, Any, Any]] = []
        self._set = self.create_publisher(String, SET, LATCHED_QOS)
        self.create_subscription(String, MODES, self._on_mode, LATCHED_QOS)
        self._beats = self.create_publisher(Header, f"{topics.HEARTBEAT}/{NAME}", LATEST_QOS)
        for topic in wires:
            self._connect(topic)
        self.create_timer(PERIOD, self._pump)

    def _connect(self, topic: str) -> None:
        wire = self._wires[topic]
        publisher = self.create_publisher(wire.kind, topic, wire.qos)

        def take(message: Any) -> None:
            now = time.monotonic()
            for due, out in self._modes[topic](message, now):
                if due <= now:
                    publisher.publish(out)
                else:
                    self._waiting.append((due, publisher, out))
            if topic == topics.JOINT_STATES:
                self._beats.publish(Header(stamp=message.header.stamp, frame_id=NAME))

        self.create_subscription(wire.kind, sent(topic), take, wire.qos)

    def _on_mode(self, message: String) -> None:
        topic, name, argument = json.loads(message.data)
        self._modes[topic] = make_mode(self._wires[topic].kind, name, argument)
        self._set.publish(message)

    def _pump(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, publisher, message = self._waiting.pop(0)
            publisher.publish(message)


def main() -> int:
    """Relay until interrupted."""
    rclpy.init(args=sys.argv)
    node = Relay(TABLES[sys.argv[1]])
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
