"""What every executor of arm/target_pose shares: it takes targets, and holds at once when the guard does."""

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped

from grasp_bringup.motion_node import MotionNode
from grasp_bringup.wish import Wish, malformed
from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, LATEST_QOS, as_dict, nanoseconds, pose_values
from qtopt_policy.geometry import Pose


class ExecutorNode(MotionNode):
    """A node that moves the arm behind the guard; parameters as MotionNode."""

    def take_targets(self, base_frame: str) -> None:
        """Subscribe to targets and to the guard's state; call it in `setup`, when all else is ready.

        Args:
            base_frame: in which targets must be.
        """
        self._base_frame = base_frame
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
        finding = malformed(wish, self._base_frame)
        if finding is not None:
            self.note(finding.name, finding.detail)
        elif self.active:
            self.target(Pose.from_array(wish.values), stamp)

    def _on_arm_state(self, message: DiagnosticArray) -> None:
        """Hold at once when the guard holds, rather than when its silence has lasted too long."""
        for values in map(as_dict, message.status):
            if values.get("holding") == "1":
                self.hold(values.get("reason") or "the guard holds")
