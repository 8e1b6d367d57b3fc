"""What stands around the motion chain in fault injection: who wishes, and who sees what comes of it."""

import time
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Header

from grasp_bringup.motion_node import JOINT_QOS
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
from qtopt_policy.geometry import Pose
from support.trace import Trace
from support.wires import BEAT, CLOCK, sent

HELD_UP = 0.08  # [s] of wall time between two joint states, which come every 0.02 s


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

    def __init__(self, trace: Trace, arm_state: str = sent(topics.ARM_STATE)) -> None:
        super().__init__("witness")
        self.trace = trace
        self.arm: dict[str, str] = {}
        self.events: list[tuple[float, str]] = []
        self.arrivals: list[float] = []
        self._known: dict[str, tuple[bytes, str]] = {}
        self.create_subscription(JointState, sent(topics.JOINT_STATES), self._on_joints, JOINT_QOS)
        self.create_subscription(DiagnosticArray, arm_state, self._on_arm, LATCHED_QOS)
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
