"""Drives the fingers: gripper/close into commands on edges, each with a result deadline."""

import json
import math
import sys

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from grasp_bringup.gripper import GripperCore, GripperResult
from grasp_bringup.gripper_drive_node import make_drive
from grasp_bringup.motion_node import JOINT_QOS, MotionNode
from qtopt_policy import topics
from qtopt_policy.base_node import ERROR, LATCHED_QOS, LATEST_QOS, OK, WARN, nanoseconds, spin, status
from qtopt_policy.errors import ShapeError
from qtopt_policy.joint_buffer import JointBuffer

CHECK_PERIOD = 0.02  # [s]


class GripperNode(MotionNode):
    """Connects GripperCore with topics and with what drives the robot's gripper.

    Parameters (ROS):
        deadline: time in which the fingers must rest, or an action must have a result, after a command [s]; 0
            takes the robot's own (driver.gripper_deadline).
    """

    def __init__(self) -> None:
        super().__init__("gripper_node")
        self.declare_parameter("deadline", 0.0)

    def setup(self) -> None:
        """Build the gripper and connect it."""
        robot = self.robot()
        deadline = self.parameter("deadline", float) or robot.driver.gripper_deadline
        self._core = GripperCore(robot.gripper, deadline, robot.driver.gripper_reaction_time)
        self._joint = robot.gripper.joints[0]
        self._buffer = JointBuffer()
        self._drive = make_drive(self, robot)
        self._results = self.create_publisher(DiagnosticArray, topics.GRIPPER_RESULT, LATCHED_QOS)
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
        if not self.active or not self._core.is_edge(message.data, self.now()):
            return
        if self._drive.busy:
            self._drive.abandon(at_once=False)  # the wish is repeated: it is sent once that command has ended
            return
        obstacle = self._drive.obstacle()
        if obstacle:
            self.report("controller", ERROR, obstacle)
            return
        self.report("controller", OK, "listens")
        position = self._core.position(message.data)
        self._drive.send(message.data, position)
        self._core.commanded(message.data, self.now(), self._drive.served)
        self.get_logger().info(f"{'close' if message.data else 'open'}: command {position}")

    def _check(self) -> None:
        answer = self._drive.answer()
        if answer is not None:
            self._core.answered(answer)
        result = self._core.check(self.now())
        if result is None:
            return
        if result.outcome == "deadline":
            self._drive.abandon(at_once=True)
        self._report_result(result)

    def _report_result(self, result: GripperResult) -> None:
        command = "close" if result.close else "open"
        text = f"{command}: {result.outcome} at {result.aperture:.4f} m after {result.duration:.2f} s"
        text += f" ({result.detail})" if result.detail else ""
        values = {"command": command, "outcome": result.outcome, "aperture": result.aperture}
        level = WARN if result.suspicious else OK
        self.report("result", level, text, duration=result.duration, **values)
        self._publish_result(result, command, text)
        if result.suspicious:
            self.get_logger().warning(text)

    def _publish_result(self, result: GripperResult, command: str, text: str) -> None:
        values: dict[str, object] = {
            "command": command,
            "outcome": result.outcome,
            "aperture": "null" if math.isnan(result.aperture) else json.dumps(result.aperture),
            "duration": json.dumps(result.duration),
            "stalled": json.dumps(result.stalled),
            "effort": json.dumps(result.effort),
        }
        message = DiagnosticArray(status=[status(topics.GRIPPER_RESULT, OK, text, values)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._results.publish(message)


def main() -> int:
    """Run the node."""
    return spin(GripperNode)


if __name__ == "__main__":
    sys.exit(main())
