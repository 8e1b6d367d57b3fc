"""The motion chain as processes around the embedded simulator, with a test on every wire between them."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Header, String
from std_srvs.srv import SetBool, Trigger

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.motion_node import JOINT_QOS
from grasp_bringup.processes import Child
from grasp_bringup.run import RunningSystem
from grasp_bringup.system import NodeSpec, SystemOptions, cell_nodes
from qtopt_policy import topics
from qtopt_policy.base_node import (
    LATCHED_QOS,
    LATEST_QOS,
    OK,
    RECORD_QOS,
    SENSOR_QOS,
    as_dict,
    nanoseconds,
    pose_message,
    time_message,
)
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.robot import load_robot
from support.graph import Graph
from support.relay import MODES, SET
from support.robots import with_max_effort
from support.trace import Trace
from support.wires import BEAT, CLOCK, WIRES, sent

RTF = 0.5  # simulated seconds per second: a machine with little to spare keeps up with it
SEED = 23  # of a scene with one object: little to simulate
HELD_UP = 0.08  # [s] of wall time between two joint states, which come every 0.02 s
REACH = 0.05  # [m] from the tool to a wish: within one step
MAX_EFFORT = [87.0] * 4 + [12.0] * 3  # [Nm] of the URDF: more than the simulated drives can do
STILL_FOR = 0.15  # [s] without motion: the arm stands


def nodes_on_wires(robot: Path) -> list[NodeSpec]:
    """Return the cell as on a robot: time waits for nobody, it must be armed and its dead-man switch held."""
    specs = []
    for spec in cell_nodes(SystemOptions(robot=robot, seed=SEED, rtf=RTF, dead_man="keyboard")):
        own = {"sim_node": {"lockstep": False}, "guard_node": {"require_arming": True}}.get(spec.name, {})
        parameters = {**spec.parameters, "real_time_factor": RTF, **own}
        rules = tuple((topic, sent(topic)) for topic, wire in WIRES.items() if wire.sender == spec.name)
        specs.append(replace(spec, parameters=parameters, remappings=rules))
    return specs


class Pilot(Node):  # type: ignore[misc]
    """Stands for policy_node: heartbeat and wishes at 20 Hz, stamped as the clock says that it hears.

    It stands for dead_man_node too, and always holds the space bar.

    Attributes:
        wish: gives the pose wanted now; None is silence.
        close: what is wanted of the fingers.
    """

    def __init__(self, frame: str) -> None:
        super().__init__("pilot")
        self.wish: Callable[[], Pose | None] = lambda: None
        self.close = False
        self._frame = frame
        self._now = time_message(0)
        self._target = self.create_publisher(PoseStamped, sent(topics.POLICY_TARGET), LATEST_QOS)
        self._close = self.create_publisher(Bool, sent(topics.POLICY_GRIPPER), LATEST_QOS)
        self._beat = self.create_publisher(Header, sent(BEAT), LATEST_QOS)
        self._joy = self.create_publisher(Joy, sent(topics.JOY), LATEST_QOS)
        self.create_subscription(Clock, CLOCK, self._on_clock, SENSOR_QOS)
        self.create_timer(1.0 / topics.REPUBLISH_RATE, self._tick)

    def _on_clock(self, message: Clock) -> None:
        self._now = message.clock

    def _tick(self) -> None:
        self._beat.publish(Header(stamp=self._now))
        self._joy.publish(Joy(buttons=[1]))
        pose = self.wish()
        if pose is not None:
            self._target.publish(pose_message(pose, self._frame, self._now))
            self._close.publish(Bool(data=self.close))


class Witness(Node):  # type: ignore[misc]
    """Sees what really happens, on the senders' side of the wires.

    Attributes:
        trace: of the arm, by the simulator's own clock.
        arm: latest values of arm/state.
        arrivals: wall times of joint states [s].
        events: wall time [s] and text of every hold, stop and finding.
    """

    def __init__(self, trace: Trace) -> None:
        super().__init__("witness")
        self.trace = trace
        self.arm: dict[str, str] = {}
        self.events: list[tuple[float, str]] = []
        self.arrivals: list[float] = []
        self._known: dict[str, tuple[bytes, str]] = {}
        self.create_subscription(JointState, sent(topics.JOINT_STATES), self._on_joints, JOINT_QOS)
        self.create_subscription(DiagnosticArray, sent(topics.ARM_STATE), self._on_arm, LATCHED_QOS)
        self.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, RECORD_QOS)

    def _on_joints(self, message: JointState) -> None:
        self.arrivals.append(time.monotonic())
        index = [message.name.index(name) for name in self.trace.kinematics.joints]
        q = np.array(message.position)[index]
        self.trace.add(nanoseconds(message.header.stamp) * 1e-9, q)

    def _on_arm(self, message: DiagnosticArray) -> None:
        self.arm = as_dict(message.status[0])
        if self.arm["holding"] == "1":
            self.events.append((time.monotonic(), f"guard: {self.arm['reason']}"))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for entry in message.status:
            now = (entry.level, as_dict(entry).get("count", ""))
            if entry.level > OK and now != self._known.get(entry.name):
                self.events.append((time.monotonic(), entry.name))
            self._known[entry.name] = now

    def held_up(self, since: float) -> bool:
        """Return whether the machine kept the simulator, or this process, waiting after a wall time [s]."""
        arrivals = np.array([arrival for arrival in self.arrivals if arrival >= since])
        return bool((np.diff(arrivals) > HELD_UP).any())

    def forget(self) -> None:
        """Take every complaint that diagnostics go on making for a new one."""
        self._known.clear()

    def told(self, word: str, since: float) -> tuple[float, str] | None:
        """Return the first event that holds `word` after the wall time `since` [s]."""
        return next((event for event in self.events if event[0] >= since and word in event[1]), None)


def _append(found: list[str], message: String) -> None:
    found.append(message.data)


class FaultCell:
    """The processes, the wires, and a pilot that keeps the arm moving along the walls of its workspace."""

    def __init__(self, graph: Graph, logs: Path) -> None:
        self.graph = graph
        logs.mkdir(parents=True, exist_ok=True)
        file = with_max_effort(logs, MAX_EFFORT)
        self.robot = load_robot(file)
        self.witness = graph.add(Witness(Trace(kinematics_of(self.robot))))
        self.pilot = graph.add(Pilot(self.robot.base_frame))
        self.system = RunningSystem(nodes_on_wires(file), logs)
        self._modes = self.witness.create_publisher(String, MODES, LATCHED_QOS)
        self._set: list[str] = []
        take = partial(_append, self._set)
        self.witness.create_subscription(String, SET, take, LATCHED_QOS)
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
        command = [sys.executable, "-m", "support.relay"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        relay = Child("relay", command, environment, logs / "relay.log")
        try:
            with self.system:
                yield self
        finally:
            relay.stop()
            relay.remove_leftovers(but=(os.getpid(),))

    def wire(self, topic: str, mode: str = "pass", argument: float = 0.0) -> None:
        """Treat a topic by a mode of the relay from now on."""
        rule = json.dumps([topic, mode, argument])
        self._set.clear()
        self._modes.publish(String(data=rule))
        self.until(lambda: rule in self._set, f"the relay to set {rule}")

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

    def call(self, kind: Any, service: str, **values: Any) -> Any:
        client = self.witness.create_client(kind, service)
        try:
            return self.graph.call(client, kind.Request(**values))
        finally:
            self.witness.destroy_client(client)

    def arm(self, armed: bool) -> None:
        assert self.call(SetBool, topics.ARM_ARM, data=armed).success

    def own(self, owner: str) -> None:
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=owner)
        rule = Parameter(name=topics.OWNER_PARAMETER, value=value)
        assert self.call(SetParameters, "guard_node/set_parameters", parameters=[rule]).results[0].successful

    def resume(self) -> None:
        """End a stop, as soon as the guard allows it."""
        self.until(lambda: bool(self.call(Trigger, topics.ARM_RESUME).success), "resume")

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
