"""The only publisher of arm/target_pose and gripper/close: limits, ownership, arming, stop and watchdogs."""

import sys
from functools import partial

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Header
from std_srvs.srv import SetBool, Trigger

from grasp_bringup.guard import Guard
from grasp_bringup.guard_types import GuardConfig, GuardState
from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.motion_node import JOINT_QOS, MotionNode
from grasp_bringup.wish import Finding, Wish
from qtopt_policy import topics
from qtopt_policy.base_node import (
    ERROR,
    LATCHED_QOS,
    LATEST_QOS,
    OK,
    RECORD_QOS,
    WARN,
    nanoseconds,
    pose_message,
    pose_values,
    spin,
    status,
    time_message,
)
from qtopt_policy.geometry import Array, Pose
from qtopt_policy.markers import draw_axes, draw_box, nothing
from qtopt_policy.markers_node import MarkerPublisher
from qtopt_policy.topics import Owner

CHECK_PERIOD = 0.02  # [s] of the steady clock
REPORT_PERIOD = 0.5  # [s] of the steady clock
TARGET_MARKER = "target"
# Fits any publisher; and what is lost is not sent again: of a switch only the newest message counts.
JOY_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
WISHES: tuple[tuple[Owner, str, str, str], ...] = (
    ("policy", topics.POLICY_TARGET, topics.POLICY_GRIPPER, "policy_node"),
    ("collector", topics.COLLECTOR_TARGET, topics.COLLECTOR_GRIPPER, "collector_node"),
)


class GuardNode(MotionNode):
    """Connects Guard with topics, services and clocks.

    Parameters (ROS), beside the fields of GuardConfig, which only a start can set:
        owner: none, policy or collector; set by the collector.
        executor: name of the node that moves the arm, whose heartbeat is watched.
    """

    def __init__(self) -> None:
        super().__init__("guard_node")
        self.declare_config(GuardConfig())
        self.declare_parameter(topics.OWNER_PARAMETER, "none")
        self.declare_parameter("executor", "servo_node", ParameterDescriptor(read_only=True))

    def setup(self) -> None:
        """Build the guard and connect it."""
        robot = self.robot()
        config = self.read_config(GuardConfig)
        self._base_frame = robot.base_frame
        efforts = robot.driver.max_joint_effort
        self._guard = Guard(kinematics_of(robot), robot.limits, robot.base_frame, config, efforts)
        self._state: GuardState | None = None
        self._dry: Array | None = None
        self._target = self.create_publisher(PoseStamped, topics.TARGET_POSE, LATEST_QOS)
        self._gripper = self.create_publisher(Bool, topics.GRIPPER_CLOSE, LATEST_QOS)
        self._tool_pose = self.create_publisher(PoseStamped, topics.TOOL_POSE, RECORD_QOS)
        self._arm_state = self.create_publisher(DiagnosticArray, topics.ARM_STATE, LATCHED_QOS)
        self._markers = MarkerPublisher(self, topics.ARM_MARKERS, robot.base_frame)
        low = (*robot.limits.workspace_min[:2], robot.limits.min_height)
        self._workspace = draw_box("workspace", low, robot.limits.workspace_max)
        self._subscribe(config)
        self.create_service(Trigger, topics.ARM_STOP, self._on_stop)
        self.create_service(Trigger, topics.ARM_RESUME, self._on_resume)
        self.create_service(SetBool, topics.ARM_ARM, self._on_arm)
        self.create_timer(CHECK_PERIOD, self._check, clock=self.steady_clock)
        self.create_timer(REPORT_PERIOD, self._report, clock=self.steady_clock)
        self._guard.set_owner(self.parameter(topics.OWNER_PARAMETER, str), self.now_ns())
        self.add_on_set_parameters_callback(self._check_owner)
        self.add_post_set_parameters_callback(self._set_owner)
        self._publish_state()

    def _subscribe(self, config: GuardConfig) -> None:
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, JOINT_QOS)
        for owner, target, gripper, node in WISHES:
            self.create_subscription(PoseStamped, target, partial(self._on_wish, owner), LATEST_QOS)
            self.create_subscription(Bool, gripper, partial(self._on_gripper, owner), LATEST_QOS)
            heartbeat = f"{topics.HEARTBEAT}/{node}"
            self.create_subscription(Header, heartbeat, partial(self._on_heartbeat, owner), LATEST_QOS)
        if config.dead_man != "none":
            self.create_subscription(Joy, topics.JOY, self._on_joy, JOY_QOS)
        executor = f"{topics.HEARTBEAT}/{self.parameter('executor', str)}"
        self.create_subscription(Header, executor, self._on_executor, LATEST_QOS)

    # ---- measured arm and wishes

    def _on_joints(self, message: JointState) -> None:
        stamp = nanoseconds(message.header.stamp)
        values = (list(message.position), list(message.velocity), list(message.effort))
        measured = self._guard.joint_state(list(message.name), *values, stamp, self.steady_now())
        if measured is not None:
            pose, of = measured
            self._tool_pose.publish(pose_message(pose, self._base_frame, time_message(of)))
        self._publish_state()

    def _on_heartbeat(self, owner: Owner, message: Header) -> None:
        self._guard.heartbeat(owner, self.steady_now())

    def _on_executor(self, message: Header) -> None:
        self._guard.executor_heartbeat(self.steady_now())

    def _on_wish(self, owner: Owner, message: PoseStamped) -> None:
        if not self.active:
            return
        stamp = nanoseconds(message.header.stamp)
        wish = Wish(owner, message.header.frame_id, stamp, pose_values(message))
        verdict = self._guard.wish(wish, self.now_ns(), self.steady_now())
        if verdict.target is not None:
            # The wish's own stamp: the executor sees its true age.
            self._target.publish(pose_message(verdict.target, self._base_frame, message.header.stamp))
            self._draw(verdict.target)
        elif verdict.refusal is not None and verdict.refusal.name != "not_owner":
            self._tell(wish, verdict.refusal)
        self._publish_state()

    def _tell(self, wish: Wish, refusal: Finding) -> None:
        """Log a refusal; in a dry run every wish once, because nothing else is seen of it."""
        text = f"wish of {wish.source} refused: {refusal.name}: {refusal.detail}"
        if refusal.name != "not_armed":
            self.warn(refusal.name, text)
        elif self._dry is None or not np.array_equal(wish.values, self._dry):
            self._dry = wish.values
            self.get_logger().info(text)

    def _on_gripper(self, owner: Owner, message: Bool) -> None:
        if self.active and self._guard.gripper_wish(owner, self.steady_now()):
            self._gripper.publish(Bool(data=message.data))

    # ---- operator and collector

    def _on_joy(self, message: Joy) -> None:
        self._guard.dead_man(message.buttons, self.now_ns(), self.steady_now())
        self._publish_state()

    def _check_owner(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == topics.OWNER_PARAMETER and parameter.value not in topics.OWNERS:
                reason = f"owner {parameter.value!r}: valid are {', '.join(topics.OWNERS)}"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _set_owner(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == topics.OWNER_PARAMETER:
                self._guard.set_owner(parameter.value, self.now_ns())
        self._publish_state()

    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._guard.stop("operator")
        self._publish_state()
        response.success, response.message = True, "stopped"
        return response

    def _on_resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        finding = self._guard.resume(self.now_ns(), self.steady_now())
        self._publish_state()
        response.success = finding is None
        response.message = "resumed" if finding is None else finding.detail
        return response

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._guard.arm(request.data, self.now_ns())
        self._publish_state()
        response.success, response.message = True, "armed" if request.data else "disarmed"
        return response

    # ---- watchdogs and reports

    def _check(self) -> None:
        self._guard.check(self.steady_now(), self.clock_stalled())
        self._publish_state()

    def _report(self) -> None:
        missing = self._guard.measured.missing
        text = f"missing: {', '.join(missing)}" if missing else "all arm joints arrive"
        self.report("joints", WARN if missing else OK, text, missing=", ".join(missing))
        self._report_speeds()
        self._report_efforts()
        self.report_fired(self._guard.fired, self._guard.details)
        if self._guard.state.holding:
            self._draw(None)

    def _report_speeds(self) -> None:
        """Report whether overspeed is checked, and by what."""
        speeds = self._guard.measured.speeds
        if self._guard.measured.tool_pose is None:
            return
        if speeds.unchecked:
            text = f"speed of {', '.join(speeds.unchecked)} unknown: overspeed is not checked"
            self.report("speeds", WARN, text)
        elif speeds.untold:
            text = f"no velocity of {', '.join(speeds.untold)} arrives: checked by differences of positions"
            self.report("speeds", OK, text)
        else:
            self.report("speeds", OK, "velocities arrive")

    def _report_efforts(self) -> None:
        """Report limits that cannot be checked, and the peaks by which to choose limits."""
        efforts = self._guard.measured.efforts
        if efforts.unchecked and not self._guard.measured.missing:
            text = f"no effort of {', '.join(efforts.unchecked)} arrives: max_joint_effort is not checked"
            self.report("efforts", WARN, text, peaks=efforts.peaks)
        elif efforts.peaks:
            self.report("efforts", OK, "efforts arrive", peaks=efforts.peaks)

    def _draw(self, target: Pose | None) -> None:
        """Show the workspace and where the arm is sent (None: nowhere) to whoever looks."""
        if self._markers.wanted:
            axes = nothing(TARGET_MARKER, "lines") if target is None else draw_axes(TARGET_MARKER, target)
            self._markers.publish((self._workspace, axes), self.get_clock().now().to_msg())

    def _publish_state(self) -> None:
        """Publish arm/state when it has changed."""
        state = self._guard.state
        if state == self._state:
            return
        if state.stopped and not (self._state and self._state.stopped):
            self.get_logger().error(f"stopped: {state.reason}; call {topics.ARM_RESUME} to go on")
        self._state = state
        level = ERROR if state.stopped else WARN if state.holding else OK
        values: dict[str, object] = {
            "owner": state.owner,
            "armed": int(state.armed),
            "stopped": int(state.stopped),
            "holding": int(state.holding),
            "reason": state.reason,
        }
        message = DiagnosticArray(status=[status("arm", level, state.reason, values)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._arm_state.publish(message)


def main() -> int:
    """Run the node."""
    return spin(GuardNode)


if __name__ == "__main__":
    sys.exit(main())
