"""What guard_node, servo_node and gripper_node share: robot, thresholds as parameters, counted findings."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from qtopt_policy.base_node import OK, WARN, BaseNode
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve

C = TypeVar("C")

# Several publishers may each send their joints: deep enough that one does not push out the other.
JOINT_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)


class MotionNode(BaseNode):
    """A node of the motion chain.

    Parameters (ROS):
        robot: path of the robot YAML, absolute or in the package's share folder.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.declare_parameter("robot", "config/robots/sim.yaml")
        self.active = False
        self._reported: Counter[str] = Counter()

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to pass on."""
        self.active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Pass on nothing any more: the arm holds."""
        self.active = False
        return super().on_deactivate(state)

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
