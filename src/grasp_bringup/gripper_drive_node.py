"""How commands reach the fingers: a controller's topic, or an action (gripper_action_node.py)."""

from typing import Any, Protocol

from builtin_interfaces.msg import Duration
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_bringup.gripper import ServerAnswer
from qtopt_policy.base_node import LATEST_QOS, time_message
from qtopt_policy.robot import RobotConfig


class Drive(Protocol):
    """Sends commands to the fingers.

    Attributes:
        served: whether each command gets an answer.
    """

    served: bool

    @property
    def busy(self) -> bool:
        """Whether an earlier command still runs: before the next one it must end, or be abandoned."""

    def obstacle(self) -> str:
        """Return why no command can be sent now, "" where one can."""

    def send(self, close: bool, position: float) -> None:
        """Send a joint position [m or rad] to the gripper's first joint."""

    def answer(self) -> ServerAnswer | None:
        """Return the answer to the latest command, once; None while there is none."""

    def abandon(self, at_once: bool) -> None:
        """Call off the running command; `at_once` forgets it without waiting for its end."""


class TopicDrive:
    """Publishes to a controller that says nothing back."""

    served = False
    busy = False

    def __init__(self, node: Any, robot: RobotConfig) -> None:
        self._joints = list(robot.gripper.joints[:1])
        self._stroke = robot.driver.stroke_time
        self._trajectory = robot.driver.gripper_message == "JointTrajectory"
        kind = JointTrajectory if self._trajectory else Float64MultiArray
        self._publisher = node.create_publisher(kind, robot.gripper_topic, LATEST_QOS)

    def obstacle(self) -> str:
        """An edge that nobody hears is lost for good, but the wish is repeated: wait for a controller."""
        heard = self._publisher.get_subscription_count() > 0
        return "" if heard else f"nobody listens on {self._publisher.topic_name}"

    def send(self, close: bool, position: float) -> None:
        """Publish the position; a trajectory's stamp of zero means from now on."""
        if not self._trajectory:
            self._publisher.publish(Float64MultiArray(data=[position]))
            return
        time = time_message(round(self._stroke * 1e9))
        point = JointTrajectoryPoint(positions=[position], velocities=[0.0])
        point.time_from_start = Duration(sec=time.sec, nanosec=time.nanosec)
        self._publisher.publish(JointTrajectory(joint_names=self._joints, points=[point]))

    def answer(self) -> ServerAnswer | None:
        """A topic answers nothing."""
        return None

    def abandon(self, at_once: bool) -> None:
        """There is nothing to call off: the next command replaces this one."""


def make_drive(node: Any, robot: RobotConfig) -> Drive:
    """Return what drives the robot's gripper.

    Raises:
        MissingDependencyError: the robot's action needs control_msgs, which is not installed.
    """
    if robot.gripper_command == "topic":
        return TopicDrive(node, robot)
    from grasp_bringup.gripper_action_node import ActionDrive

    return ActionDrive(node, robot)
