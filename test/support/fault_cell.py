"""The motion chain as processes around the embedded simulator, with a test on every wire between them."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.run import RunningSystem
from grasp_bringup.system import NodeSpec, SystemOptions, cell_nodes
from qtopt_policy import topics
from qtopt_policy.base_node import LATEST_QOS
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.robot import load_robot
from support.fault_nodes import Pilot, Witness
from support.graph import Graph
from support.robots import with_max_effort
from support.trace import Trace
from support.wires import WIRES, sent
from support.wiring import Wiring

RTF = 0.5  # simulated seconds per second: a machine with little to spare keeps up with it
SEED = 23  # of a scene with one object: little to simulate
REACH = 0.05  # [m] from the tool to a wish: within one step
MAX_EFFORT = [87.0] * 4 + [12.0] * 3  # [Nm] of the URDF: more than the simulated drives can do
STILL_FOR = 0.15  # [s] without motion: the arm stands


def nodes_on_wires(robot: Path, patience: float = 0.0) -> list[NodeSpec]:
    """Return the cell as on a robot: it must be armed, and its dead-man switch held.

    Args:
        robot: file.
        patience: 0: time waits for nobody. Above: it waits for every node, and watchdogs wait so many times
            as long, as a busy machine needs it.
    """
    specs = []
    for spec in cell_nodes(SystemOptions(robot=robot, seed=SEED, rtf=RTF, dead_man="keyboard")):
        own = {"sim_node": {"lockstep": patience > 0.0}, "guard_node": {"require_arming": True}}
        factor = RTF / (patience or 1.0)
        parameters = {**spec.parameters, "real_time_factor": factor, **own.get(spec.name, {})}
        rules = tuple((topic, sent(topic)) for topic, wire in WIRES.items() if wire.sender == spec.name)
        specs.append(replace(spec, parameters=parameters, remappings=rules))
    return specs


class FaultCell:
    """The processes, the wires, and a pilot that keeps the arm moving along the walls of its workspace."""

    def __init__(self, graph: Graph, logs: Path, patience: float = 0.0) -> None:
        self.graph = graph
        logs.mkdir(parents=True, exist_ok=True)
        file = with_max_effort(logs, MAX_EFFORT)
        self.robot = load_robot(file)
        self.witness = graph.add(Witness(Trace(kinematics_of(self.robot))))
        self.pilot = graph.add(Pilot(self.robot.base_frame))
        self.system = RunningSystem(nodes_on_wires(file, patience), logs)
        self._wiring = Wiring(self.witness, graph, "motion")
        self._corners, self._corner = self._walls(), 0

    def _walls(self) -> list[Pose]:
        """Return corners 3 cm outside the box, low and high: the guard must keep the arm inside."""
        low, high = self.robot.limits.workspace_min, self.robot.limits.workspace_max
        x, y = (low[0] + 0.02, high[0] + 0.03), (low[1] - 0.03, high[1] + 0.03)
        points = [(x[0], y[0], 0.18), (x[1], y[0], 0.12), (x[1], y[1], 0.18), (x[0], y[1], 0.24)]
        return [pointing_down(np.array(point), 0.0) for point in points]

    @property
    def trace(self) -> Trace:
        return self.witness.trace

    @property
    def tool(self) -> Pose:
        return self.trace.kinematics.forward(self.trace.joints[-1])

    def tour(self) -> Pose | None:
        """Wish for a place within one step, towards the next corner."""
        if not self.trace.joints:
            return None
        here = self.tool.position
        away = self._corners[self._corner].position - here
        if np.linalg.norm(away) < 0.06:
            self._corner = (self._corner + 1) % len(self._corners)
            away = self._corners[self._corner].position - here
        length = float(np.linalg.norm(away))
        return pointing_down(here + away * min(1.0, REACH / length), 0.0)

    @contextmanager
    def running(self, logs: Path) -> Iterator["FaultCell"]:
        """Run the processes, the relay among them."""
        with self._wiring.running(logs), self.system:
            yield self

    def wire(self, topic: str, mode: str = "pass", argument: float = 0.0) -> None:
        """Treat a topic by a mode of the relay from now on."""
        self._wiring.set(topic, mode, argument)

    # ---- processes

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a node."""
        os.kill(self.system.child(name).pid, number)

    def revive(self, name: str) -> None:
        """Start a killed node anew and wait until it beats."""
        if name == "sim_node":
            self.trace.clear()
        if name == "guard_node":
            self.witness.arm = {}
        self.system.restart(name)
        beats: list[Header] = []
        topic = f"{topics.HEARTBEAT}/{name}"
        listener = self.witness.create_subscription(Header, topic, beats.append, LATEST_QOS)
        self.until(lambda: bool(beats), f"{name} to be back")
        self.witness.destroy_subscription(listener)

    # ---- waiting and asking

    def until(self, condition: Callable[[], bool], what: str) -> None:
        self.graph.spin_until(condition, f"{what}; arm: {self.witness.arm}")

    @property
    def standing(self) -> bool:
        stamps = self.trace.stamps
        return (
            len(stamps) > 1 and stamps[-1] - stamps[0] > STILL_FOR and self.trace.travelled(STILL_FOR) < 5e-4
        )

    @property
    def moving(self) -> bool:
        return len(self.trace.stamps) > 30 and self.trace.travelled(0.2) > 0.02

    def arm(self, armed: bool) -> None:
        assert self.graph.ask(self.witness, SetBool, topics.ARM_ARM, data=armed).success

    def own(self, owner: str) -> None:
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=owner)
        rule = Parameter(name=topics.OWNER_PARAMETER, value=value)
        service = "guard_node/set_parameters"
        answer = self.graph.ask(self.witness, SetParameters, service, parameters=[rule])
        assert answer.results[0].successful

    def resume(self) -> None:
        """End a stop, as soon as the guard allows it."""
        self.until(lambda: bool(self.graph.ask(self.witness, Trigger, topics.ARM_RESUME).success), "resume")

    def go(self) -> None:
        """Do whatever is needed until the arm moves: resume, own, arm. It stands still before."""
        self.until(lambda: bool(self.witness.arm) and len(self.trace.stamps) > 30, "arm/state, joint states")
        self.pilot.wish = self.tour
        if self.witness.arm["stopped"] == "1":
            self.stands()
            self.resume()
        if self.witness.arm["owner"] != "policy":
            self.own("policy")
        if self.witness.arm["armed"] == "0":
            self.stands()
            self.arm(True)
        self.until(lambda: self.witness.arm["holding"] == "0" and self.moving, "motion")

    def rest(self) -> None:
        """Wish for nothing until the arm stands, or the simulator does."""
        self.pilot.wish = lambda: None
        before = self.trace.stamps[-1]
        self.graph.spin(0.1)
        if self.trace.stamps[-1] > before:
            self.until(lambda: self.standing, "rest")

    def stands(self, seconds: float = 0.2) -> None:
        """Fail unless the arm stands still, though it is wished to move."""
        start = self.trace.stamps[-1]
        self.graph.spin(seconds)
        part = self.trace.since(start)
        moved = part.travelled(seconds) if part.stamps else 0.0
        assert moved < 5e-4, f"the arm moved {1000 * moved:.1f} mm; arm: {self.witness.arm}"
