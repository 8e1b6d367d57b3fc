"""What guard_node, servo_node and gripper_node share: robot, thresholds as parameters, counted findings."""

import dataclasses
import math
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from grasp_bringup.watchdog import WatchTime
from qtopt_policy.base_node import OK, WARN, BaseNode
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve

C = TypeVar("C")

WARN_PERIOD = 1.0  # [s] between warnings of one kind

# Several publishers may each send their joints, and a simulator that waits sends its last state again ten
# times a second of wall time: deep enough that none pushes out another.
JOINT_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)


class MotionNode(BaseNode):
    """A node of the motion chain.

    Parameters (ROS):
        robot: path of the robot YAML, absolute or in the package's share folder.
        clock_timeout: a simulator's clock that has stood still for so long [s] makes the arm hold.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.declare_parameter("robot", "config/robots/sim.yaml")
        self.active = False
        self.declare_parameter("clock_timeout", 1.0)
        simulated = self.parameter("use_sim_time", bool)
        self._watch = WatchTime(simulated, self.parameter("clock_timeout", float))
        self._said: dict[str, float] = {}
        self._reported: Counter[str] = Counter()

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to pass on."""
        self.active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Pass on nothing any more: the arm holds."""
        self.active = False
        return super().on_deactivate(state)

    def steady_now(self) -> float:
        """Return the time that watchdogs count [s]: it rests while a simulator's clock does."""
        return self._watch.now(super().steady_now(), self.now())

    def now_ns(self) -> int:
        """Return ROS time [ns]."""
        return int(self.get_clock().now().nanoseconds)

    def clock_stalled(self) -> bool:
        """Return whether a simulator's clock has stood still for too long."""
        return self._watch.stalled(super().steady_now())

    def warn(self, kind: str, text: str) -> None:
        """Log a warning, at most once a second per kind.

        rclpy's own throttling looks for its caller first, which costs milliseconds each time.
        """
        now = super().steady_now()
        if now - self._said.get(kind, -math.inf) >= WARN_PERIOD:
            self._said[kind] = now
            self.get_logger().warning(text)

    def robot(self) -> RobotConfig:
        """Read the robot that the parameter names; errors as robot.load_robot."""
        return load_robot(resolve(Path(self.parameter("robot", str))))

    def declare_config(self, defaults: Any) -> None:
        """Declare every field of a dataclass as a parameter that only a start can set."""
        for field in dataclasses.fields(defaults):
            fixed = ParameterDescriptor(read_only=True)
            self.declare_parameter(field.name, getattr(defaults, field.name), fixed)

    def read_config(self, cls: type[C]) -> C:
        """Return the dataclass `cls` with the values of the parameters that `declare_config` declared."""
        hints = get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: self.parameter(name, hints[name]) for name in names})

    def report_fired(self, fired: "Counter[str]", details: dict[str, str]) -> None:
        """Report how often each limit has fired: WARN while it goes on firing, OK afterwards."""
        for name, count in fired.items():
            news = count > self._reported[name]
            self.report(
                name, WARN if news else OK, details.get(name, ""), count=count, values=details.get(name, "")
            )
        self._reported = Counter(fired)
