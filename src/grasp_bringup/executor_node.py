"""What every executor of arm/target_pose shares: it takes targets, and holds at once when the guard does."""

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped

from grasp_bringup.motion_node import MotionNode
from grasp_bringup.wish import NANOSECOND, Finding, Wish, malformed, outside
from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, LATEST_QOS, as_dict, nanoseconds, pose_values
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import RobotConfig


class ExecutorNode(MotionNode):
    """A node that moves the arm behind the guard; parameters as MotionNode."""

    def take_targets(self, robot: RobotConfig) -> None:
        """Subscribe to targets and to the guard's state; call it in `setup`, when all else is ready.

        Args:
            robot: in whose base frame and workspace targets must be.
        """
        self._base_frame, self._limits = robot.base_frame, robot.limits
        self._held_at = self._seen = 0  # [ns]
        self.create_subscription(PoseStamped, topics.TARGET_POSE, self._on_target, LATEST_QOS)
        self.create_subscription(DiagnosticArray, topics.ARM_STATE, self._on_arm_state, LATCHED_QOS)

    def note(self, name: str, detail: str) -> None:
        """Count a finding."""
        raise NotImplementedError

    def target(self, pose: Pose, stamp: int) -> None:
        """Move to a pose in the base frame that was wanted at `stamp` [ns]; only while active."""
        raise NotImplementedError

    def hold(self, reason: str) -> None:
        """Come to rest now."""
        raise NotImplementedError

    def _on_target(self, message: PoseStamped) -> None:
        stamp = nanoseconds(message.header.stamp)
        wish = Wish("none", message.header.frame_id, stamp, pose_values(message))
        finding = malformed(wish, self._base_frame) or outside(wish, self._limits) or self._outrun(stamp)
        if finding is not None:
            self.note(finding.name, finding.detail)
        elif self.active:
            self.target(Pose.from_array(wish.values), stamp)

    def _outrun(self, stamp: int) -> Finding | None:
        """Return a finding if the guard has held the arm after a target was wanted: it came too late."""
        now = self.now_ns()
        if now < self._seen:  # a simulator started anew sets the clock back
            self._held_at = 0
        self._seen = now
        if stamp > self._held_at:
            return None
        return Finding(
            "before_hold", f"target {(self._held_at - stamp) * NANOSECOND:.3f} s older than a hold"
        )

    def _on_arm_state(self, message: DiagnosticArray) -> None:
        """Hold at once when the guard holds, rather than when its silence has lasted too long."""
        for values in map(as_dict, message.status):
            if values.get("holding") == "1":
                self._held_at = nanoseconds(message.header.stamp)
                self.hold(values.get("reason") or "the guard holds")
