"""The embedded executor: arm/target_pose into joint trajectories that end at rest, 100 times a second."""

import sys

from builtin_interfaces.msg import Duration
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_bringup.executor_node import ExecutorNode
from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.measured_arm import joint_bounds
from grasp_bringup.motion_node import JOINT_QOS
from grasp_bringup.servo import ServoConfig, ServoCore
from grasp_bringup.servo_loop import LoopConfig, Plan, ServoLoop, TrajectoryPoint
from qtopt_policy import topics
from qtopt_policy.base_node import LATEST_QOS, OK, nanoseconds, spin, time_message
from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose
from qtopt_policy.joint_buffer import JointBuffer

PERIOD = 0.01  # [s]
REPORT_PERIOD = 0.5  # [s] of the steady clock
# A servo that comes late must not make up for the ticks that it has missed: the controller has gone to rest
# meanwhile, and would have to leap. In lockstep no more than this wait for it anyway (sim/lockstep.py).
CLOCK_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)


class ServoNode(ExecutorNode):
    """Connects ServoLoop with topics and clocks.

    Parameters (ROS): `robot` and the fields of ServoConfig and LoopConfig, which only a start can set.
    """

    clock_qos = CLOCK_QOS

    def __init__(self) -> None:
        super().__init__("servo_node")
        self.declare_config(ServoConfig())
        self.declare_config(LoopConfig())

    def setup(self) -> None:
        """Build the servo and connect it."""
        robot = self.robot()
        config = self.read_config(ServoConfig).capped(robot.driver.max_joint_acceleration)
        kinematics = kinematics_of(robot)
        core = ServoCore(kinematics, robot.limits, PERIOD, config)
        self._loop = ServoLoop(core, self.read_config(LoopConfig))
        self._joints = robot.arm_joints
        self._buffer = JointBuffer(joint_bounds(kinematics))
        self._command = self.create_publisher(JointTrajectory, robot.arm_topic, LATEST_QOS)
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, JOINT_QOS)
        self.take_targets(robot)
        self.create_timer(PERIOD, self._tick)
        self.create_timer(REPORT_PERIOD, self._report, clock=self.steady_clock)

    def _on_joints(self, message: JointState) -> None:
        steady = self.steady_now()
        names, positions = list(message.name), list(message.position)
        try:
            self._buffer.update(names, positions, [], [], nanoseconds(message.header.stamp), steady)
        except ShapeError as error:
            self.note("joint_state", str(error))
            return
        snapshot = self._buffer.snapshot(self._joints)
        if snapshot is not None:
            self._loop.joint_state(snapshot.position, snapshot.received)

    def note(self, name: str, detail: str) -> None:
        """Count a finding."""
        self._loop.note(name, detail)

    def target(self, pose: Pose, stamp: int) -> None:
        """Take a target."""
        self._loop.target(pose, stamp, self.now_ns(), self.steady_now())

    def hold(self, reason: str) -> None:
        """Come to rest now."""
        self._loop.hold()

    def _tick(self) -> None:
        plan = self._loop.tick(self.now_ns(), self.steady_now())
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
