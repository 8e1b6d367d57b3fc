"""Drives the fingers: gripper/close into commands on edges, each with a result deadline."""

import sys

from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray

from grasp_bringup.gripper import GripperCore, GripperResult
from grasp_bringup.motion_node import JOINT_QOS, MotionNode
from qtopt_policy import topics
from qtopt_policy.base_node import ERROR, LATEST_QOS, OK, WARN, nanoseconds, spin
from qtopt_policy.errors import ShapeError
from qtopt_policy.joint_buffer import JointBuffer

CHECK_PERIOD = 0.02  # [s]


class GripperNode(MotionNode):
    """Connects GripperCore with topics.

    Parameters (ROS): `robot`, and `deadline`: time in which the fingers must rest after a command [s].
    """

    def __init__(self) -> None:
        super().__init__("gripper_node")
        self.declare_parameter("deadline", 1.0)

    def setup(self) -> None:
        """Build the gripper and connect it."""
        robot = self.robot()
        self._core = GripperCore(robot.gripper, self.parameter("deadline", float))
        self._joint = robot.gripper.joints[0]
        self._buffer = JointBuffer()
        self._command = self.create_publisher(Float64MultiArray, robot.gripper_topic, LATEST_QOS)
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, JOINT_QOS)
        self.create_subscription(Bool, topics.GRIPPER_CLOSE, self._on_close, LATEST_QOS)
        self.create_timer(CHECK_PERIOD, self._check)

    def _on_joints(self, message: JointState) -> None:
        if self._joint not in message.name:
            return
        stamp = nanoseconds(message.header.stamp)
        try:
            self._buffer.update(list(message.name), list(message.position), [], [], stamp, stamp * 1e-9)
        except ShapeError as error:
            self.report("joint_state", WARN, str(error))
            return
        reading = self._buffer.reading(self._joint)
        if reading is not None:
            self._core.joint_state(reading.position, reading.stamp * 1e-9)

    def _on_close(self, message: Bool) -> None:
        if not self.active or not self._core.is_edge(message.data):
            return
        if self._command.get_subscription_count() == 0:
            # An edge that nobody hears is lost for good, but the wish is repeated: wait for a controller.
            self.report("controller", ERROR, f"nobody listens on {self._command.topic_name}")
            return
        self.report("controller", OK, "listens")
        position = self._core.position(message.data)
        self._command.publish(Float64MultiArray(data=[position]))
        self._core.commanded(message.data, self.now())
        self.get_logger().info(f"{'close' if message.data else 'open'}: command {position}")

    def _check(self) -> None:
        result = self._core.check(self.now())
        if result is not None:
            self._report_result(result)

    def _report_result(self, result: GripperResult) -> None:
        command = "close" if result.close else "open"
        text = f"{command}: {result.outcome} at {result.aperture:.4f} m after {result.duration:.2f} s"
        values = {"command": command, "outcome": result.outcome, "aperture": result.aperture}
        level = WARN if result.suspicious else OK
        self.report("result", level, text, duration=result.duration, **values)
        if result.suspicious:
            self.get_logger().warning(text)


def main() -> int:
    """Run the node."""
    return spin(GripperNode)


if __name__ == "__main__":
    sys.exit(main())
