"""The embedded executor: arm/target_pose into joint trajectories that end at rest, 100 times a second."""

import sys

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.motion_node import JOINT_QOS, MotionNode
from grasp_bringup.servo import ServoConfig, ServoCore
from grasp_bringup.servo_loop import LoopConfig, Plan, ServoLoop, TrajectoryPoint
from grasp_bringup.wish import Wish, malformed
from qtopt_policy import topics
from qtopt_policy.base_node import (
    LATCHED_QOS,
    LATEST_QOS,
    OK,
    as_dict,
    nanoseconds,
    pose_values,
    spin,
    time_message,
)
from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose
from qtopt_policy.joint_buffer import JointBuffer

PERIOD = 0.01  # [s]
REPORT_PERIOD = 0.5  # [s] of the steady clock


class ServoNode(MotionNode):
    """Connects ServoLoop with topics and clocks.

    Parameters (ROS): `robot` and the fields of ServoConfig and LoopConfig, which only a start can set.
    """

    def __init__(self) -> None:
        super().__init__("servo_node")
        self.declare_config(ServoConfig())
        self.declare_config(LoopConfig())

    def setup(self) -> None:
        """Build the servo and connect it."""
        robot = self.robot()
        config = self.read_config(ServoConfig).capped(robot.driver.max_joint_acceleration)
        core = ServoCore(kinematics_of(robot), robot.limits, PERIOD, config)
        self._loop = ServoLoop(core, self.read_config(LoopConfig))
        self._joints = robot.arm_joints
        self._base_frame = robot.base_frame
        self._buffer = JointBuffer()
        self._command = self.create_publisher(JointTrajectory, robot.arm_topic, LATEST_QOS)
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, JOINT_QOS)
        self.create_subscription(PoseStamped, topics.TARGET_POSE, self._on_target, LATEST_QOS)
        self.create_subscription(DiagnosticArray, topics.ARM_STATE, self._on_arm_state, LATCHED_QOS)
        self.create_timer(PERIOD, self._tick)
        self.create_timer(REPORT_PERIOD, self._report, clock=self.steady_clock)

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_joints(self, message: JointState) -> None:
        steady = self.steady_now()
        names, positions = list(message.name), list(message.position)
        try:
            self._buffer.update(names, positions, [], [], nanoseconds(message.header.stamp), steady)
        except ShapeError as error:
            self._loop.note("joint_state", str(error))
            return
        snapshot = self._buffer.snapshot(self._joints)
        if snapshot is not None:
            self._loop.joint_state(snapshot.position, snapshot.received)

    def _on_target(self, message: PoseStamped) -> None:
        stamp = nanoseconds(message.header.stamp)
        wish = Wish("none", message.header.frame_id, stamp, pose_values(message))
        finding = malformed(wish, self._base_frame)
        if finding is not None:
            self._loop.note(finding.name, finding.detail)
        elif self.active:
            self._loop.target(Pose.from_array(wish.values), stamp, self._now(), self.steady_now())

    def _on_arm_state(self, message: DiagnosticArray) -> None:
        """Hold at once when the guard holds, rather than when its silence has lasted too long."""
        if any(as_dict(entry).get("holding") == "1" for entry in message.status):
            self._loop.hold()

    def _tick(self) -> None:
        plan = self._loop.tick(self._now(), self.steady_now())
        if plan is not None:
            self._command.publish(trajectory_message(plan, self._joints))
        elif self.simulated:
            self.beat()  # simulated time waits for the servo at every tick (sim/lockstep.py)

    def _report(self) -> None:
        self.report("motion", OK, "moving" if self._loop.moving else "at rest")
        self.report_fired(self._loop.fired, self._loop.details)


def trajectory_message(plan: Plan, joints: tuple[str, ...]) -> JointTrajectory:
    """Build the message of a plan."""
    message = JointTrajectory(joint_names=list(joints), points=[_point(p) for p in plan.points])
    message.header.stamp = time_message(plan.stamp)
    return message


def _point(point: TrajectoryPoint) -> JointTrajectoryPoint:
    time = Duration(sec=0, nanosec=round(point.time * 1e9))
    return JointTrajectoryPoint(
        positions=point.q.tolist(), velocities=point.dq.tolist(), time_from_start=time
    )


def main() -> int:
    """Run the node."""
    return spin(ServoNode)


if __name__ == "__main__":
    sys.exit(main())
