"""A process that looks at a ROS graph from outside: who publishes what, of which type, with which QoS.

python -m support.observer OUT TOPIC ...: writes OUT as JSON once every topic has a publisher.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import rclpy

DEADLINE = 60.0  # [s]


def describe(info: Any) -> dict[str, str | bool]:
    """Return one publisher as JSON types."""
    qos = info.qos_profile
    return {
        "node": info.node_name,
        "kind": info.topic_type,
        "reliable": qos.reliability.name == "RELIABLE",
        "latched": qos.durability.name == "TRANSIENT_LOCAL",
    }


def complete(found: dict[str, list[dict[str, str | bool]]]) -> bool:
    """Return whether every topic has a publisher and each publisher's node is known by name."""
    nodes = [publisher["node"] for publishers in found.values() for publisher in publishers]
    return all(found.values()) and "_NODE_NAME_UNKNOWN_" not in nodes


def main(out: Path, names: list[str]) -> int:
    """Wait for publishers of all topics, then write what they are."""
    rclpy.init()
    node = rclpy.create_node("observer")
    end = time.monotonic() + DEADLINE
    found: dict[str, list[dict[str, str | bool]]] = {}
    while time.monotonic() < end:
        found = {name: [describe(i) for i in node.get_publishers_info_by_topic(f"/{name}")] for name in names}
        if complete(found):
            break
        rclpy.spin_once(node, timeout_sec=0.1)
    part = out.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.rename(out)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0 if complete(found) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
