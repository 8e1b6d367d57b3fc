"""The closed loop over topics: how fast simulated time runs, and how long a decision takes on the way.

- sim_node alone, and with all nodes in lockstep as fast as possible: real-time factor, and how many of its
  images policy_node did not take;
- image to wish: from the arrival of the Image message in policy_node to the published wish, p50 and p99, and
  the policy's part of it: CEM over the compact network, as fast as possible and at real time.

bench_graph.py measures the same graph by its bags.

    python bench/bench_loop.py [--episodes 10]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import Header

from grasp_bringup.environment import ros_environment
from grasp_bringup.run import RunningSystem
from grasp_bringup.system import NodeSpec, SystemOptions, system_nodes
from qtopt_learner.untrained import save_untrained
from qtopt_policy import topics
from qtopt_policy.base_node import RECORD_QOS, as_dict, nanoseconds
from qtopt_policy.config import load_config
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

GOAL_RTF = 3.0
GOAL_P99_MS = 30.0
IMAGE_PERIOD = 0.1  # [s] of simulated time
ALONE = 10.0  # [s] for which sim_node runs alone


@dataclass
class Run:
    """What one run of the graph has shown: pairs of simulated and wall time [s], stamps of images taken."""

    times: list[tuple[float, float]] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    latency: dict[str, str] = field(default_factory=dict)

    @property
    def factor(self) -> float:
        """Real-time factor from the first report to the last."""
        (first, begin), (last, end) = self.times[0], self.times[-1]
        return (last - first) / (end - begin)

    @property
    def lost(self) -> int:
        """Images between the first and the last one taken that were not."""
        numbers = np.unique(np.rint(np.array(self.taken) / IMAGE_PERIOD))
        return int(numbers[-1] - numbers[0] + 1 - len(numbers)) if len(numbers) else 0


class Observer(Node):  # type: ignore[misc]
    """Listens to what costs the graph next to nothing: diagnostics, and which images were taken."""

    def __init__(self, run: Run, needs_images: bool) -> None:
        super().__init__("bench")
        self._run, self._needs_images = run, needs_images
        self.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, RECORD_QOS)
        self.create_subscription(Header, topics.IMAGE_TAKEN, self._on_taken, RECORD_QOS)

    def _on_taken(self, message: Header) -> None:
        if message.frame_id == "policy_node":
            self._run.taken.append(nanoseconds(message.stamp) * 1e-9)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "sim_node: speed" and (self._run.taken or not self._needs_images):
                self._run.times.append((float(as_dict(status)["time"]), time.monotonic()))
            elif status.name == "policy_node: latency":
                self._run.latency = as_dict(status)

    def listen(self) -> None:
        """Handle what has come in."""
        for _ in range(200):
            rclpy.spin_once(self, timeout_sec=0.0)


def measure(nodes: Sequence[NodeSpec], logs: Path, seconds: float | None = None) -> Run:
    """Run nodes for some time, or until all episodes are collected."""
    run = Run()
    observer = Observer(run, needs_images=seconds is None)
    with RunningSystem(nodes, logs) as system:
        if seconds is None:
            system.wait(progress=observer.listen)
        else:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                rclpy.spin_once(observer, timeout_sec=0.1)
    observer.destroy_node()
    return run


def simulator_alone(options: SystemOptions) -> NodeSpec:
    """Return sim_node without anybody to wait for."""
    spec = system_nodes(options)[0]
    return replace(spec, parameters={**spec.parameters, "lockstep": False})


def show(name: str, run: Run) -> None:
    """Print what a run of the whole graph has shown."""
    print(f"{name}: real-time factor {run.factor:.2f}, images taken {len(set(run.taken))}, lost {run.lost}")
    for kind in ("image_to_wish", "decision"):
        p50, p99, count = (run.latency[f"{kind}_{part}"] for part in ("p50_ms", "p99_ms", "count"))
        print(f"    {kind}: p50 {p50} ms, p99 {p99} ms ({count} decisions)")


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=10)
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 200))
    os.environ.update(ros_environment(os.environ, one_machine=True))
    rclpy.init()
    print(f"goals: real-time factor {GOAL_RTF}, image to wish p99 {GOAL_P99_MS} ms, on 2 free cores, 0 lost")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        options = SystemOptions(policy="cem", rtf=0.0, episodes=arguments.episodes, allow_untrained=True)
        weights = place / "untrained.safetensors"
        robot = load_robot(resolve(options.robot))
        save_untrained(weights, robot, load_config(resolve(options.mdp), MdpConfig), options.camera, seed=0)
        options = replace(options, checkpoint=weights, bags=place / "fast")
        alone = measure([simulator_alone(options)], place / "alone_logs", ALONE)
        print(f"sim_node alone: real-time factor {alone.factor:.2f}")
        show("all nodes, as fast as possible", measure(system_nodes(options), place / "fast_logs"))
        calm = replace(options, rtf=1.0, episodes=max(1, options.episodes // 3), bags=place / "calm")
        show("all nodes, real time", measure(system_nodes(calm), place / "calm_logs"))
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
