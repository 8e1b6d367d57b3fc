"""Every topic that moves the arm or tells its state, and who sends it."""

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Header
from trajectory_msgs.msg import JointTrajectory

from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, LATEST_QOS, RECORD_QOS

SENT = "sent/"  # goes before a topic's name on the sender's side of the relay
CLOCK = "/clock"
BEAT = f"{topics.HEARTBEAT}/policy_node"


@dataclass(frozen=True, eq=False)
class Wire:
    """A topic between a sender and all who hear it.

    Attributes:
        kind: of its messages.
        qos: of both sides.
        sender: name of the node; None: the test, in the place of policy_node and of dead_man_node.
    """

    kind: Any
    qos: QoSProfile
    sender: str | None


WIRES = {
    CLOCK: Wire(Clock, RECORD_QOS, "sim_node"),
    topics.JOINT_STATES: Wire(JointState, RECORD_QOS, "sim_node"),
    topics.POLICY_TARGET: Wire(PoseStamped, LATEST_QOS, None),
    topics.POLICY_GRIPPER: Wire(Bool, LATEST_QOS, None),
    BEAT: Wire(Header, LATEST_QOS, None),
    topics.JOY: Wire(Joy, LATEST_QOS, None),
    topics.TARGET_POSE: Wire(PoseStamped, LATEST_QOS, "guard_node"),
    topics.ARM_STATE: Wire(DiagnosticArray, LATCHED_QOS, "guard_node"),
    topics.GRIPPER_CLOSE: Wire(Bool, LATEST_QOS, "guard_node"),
    topics.ARM_COMMAND: Wire(JointTrajectory, RECORD_QOS, "servo_node"),
}


def sent(topic: str) -> str:
    """Return the name of a topic on the sender's side."""
    return f"{SENT}{topic.strip('/')}"
