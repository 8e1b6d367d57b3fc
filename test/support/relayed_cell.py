"""The whole graph while it records, with a test on every wire between camera, arm, policy and bag."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from std_srvs.srv import SetBool, Trigger

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.system import NodeSpec, SystemOptions, system_nodes
from qtopt_collector.bags import layout, messages
from qtopt_collector.bags.reader import read_contents
from qtopt_policy import topics
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.fault_nodes import Witness
from support.graph import Graph
from support.recording_cell import LOOK, RecordingCell
from support.recording_wires import BEATS, RECORDING_WIRES
from support.relay import NAME
from support.trace import Trace
from support.wires import sent
from support.wiring import Wiring

# Watchdogs count wall time by this factor: an episode that waits for what never comes is given up in 12 s,
# and a busy machine may keep every node waiting for half a second.
PATIENCE = 0.5
EPISODE_DEADLINE = 35.0  # [s] of simulated time for the policy: more than those 12 s mean
# A held object that touches the wall of the bin pushes the simulated arm, by 5 to 10 mm, fault or not.
CONTACT = 0.015  # [m]


def nodes_on_wires(options: SystemOptions) -> list[NodeSpec]:
    """Return the nodes of a system with the senders of RECORDING_WIRES before the relay.

    Simulated time waits for the relay as for everybody; heartbeats reach the simulator past the relay.
    """
    specs = []
    for spec in system_nodes(options):
        rules = [(topic, sent(topic)) for topic, wire in RECORDING_WIRES.items() if wire.sender == spec.name]
        parameters: dict[str, Any] = {**spec.parameters, "real_time_factor": PATIENCE}
        if spec.name == "sim_node":
            rules += [(topic, sent(topic)) for topic in BEATS.values()]
            parameters["lockstep_consumers"] = [*parameters["lockstep_consumers"], NAME]
        if spec.name == "collector_node":
            parameters["deadline"] = EPISODE_DEADLINE
        specs.append(replace(spec, parameters=parameters, remappings=tuple(rules)))
    return specs


class RelayedCell(RecordingCell):
    """A RecordingCell whose messages pass the relay, and who sees what the arm does.

    Attributes:
        graph: of the test's own node.
        witness: that node.
    """

    def __init__(self, graph: Graph, options: SystemOptions, logs: Path) -> None:
        super().__init__(nodes_on_wires(options), options.bags, logs)
        self.graph, self._logs = graph, logs
        self.robot = load_robot(resolve(options.robot))
        self.witness = graph.add(Witness(Trace(kinematics_of(self.robot)), arm_state=topics.ARM_STATE))
        self._wiring = Wiring(self.witness, graph, "recording")

    @contextmanager
    def running(self) -> Iterator["RelayedCell"]:
        """Run the processes, the relay among them."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._wiring.running(self._logs), self.system:
            yield self

    def pause(self) -> None:
        """Listen meanwhile."""
        self.graph.spin(LOOK)

    def wire(self, topic: str, mode: str = "pass", argument: float = 0.0) -> None:
        """Treat a topic by a mode of the relay from now on."""
        self._wiring.set(topic, mode, argument)

    @property
    def trace(self) -> Trace:
        return self.witness.trace

    def violations(self, name: str) -> list[str]:
        """Return which limits the arm broke since the trace was cleared, or its targets in an episode did."""
        limits = self.robot.limits
        low, high = np.array([*limits.workspace_min[:2], limits.min_height]), np.array(limits.workspace_max)
        contents = read_contents(layout.mcap_path(self.bags / name))
        targets = [messages.pose_of(message).position for message in contents.decode(topics.TARGET_POSE)]
        wrong = [point for point in targets if (point < low - 1e-3).any() or (point > high + 1e-3).any()]
        found = [f"{len(wrong)} targets outside the box, the first at {wrong[0]}"] if wrong else []
        return found + self.trace.violations(limits, CONTACT)

    def stands(self, seconds: float) -> None:
        """Fail unless the arm stands still for so long [s, simulated]."""
        start = self.trace.stamps[-1]
        self.until(lambda: self.trace.stamps[-1] > start + seconds, f"{seconds} s to pass")
        moved = self.trace.since(start).travelled(seconds)
        assert moved < 5e-4, f"the arm moved {1000 * moved:.1f} mm; arm: {self.witness.arm}"

    def rests(self) -> float:
        """Wait until the arm stands; return how long that took [s, simulated]."""
        start = self.trace.stamps[-1]
        self.until(
            lambda: self.trace.stamps[-1] > start + 0.2 and self.trace.travelled(0.15) < 5e-4,
            "the arm to rest",
        )
        return self.trace.rest_after(start)

    # ---- operator

    def stop(self) -> None:
        """Press stop."""
        assert self.graph.ask(self.witness, Trigger, topics.ARM_STOP).success

    def resume(self) -> None:
        """Resume."""
        assert self.graph.ask(self.witness, Trigger, topics.ARM_RESUME).success

    def arm(self, armed: bool) -> None:
        """Arm or disarm."""
        assert self.graph.ask(self.witness, SetBool, topics.ARM_ARM, data=armed).success
