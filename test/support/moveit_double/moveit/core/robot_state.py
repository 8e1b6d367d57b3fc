"""Double of RobotState."""

import numpy as np
from geometry_msgs.msg import Pose as PoseMessage
from numpy.typing import NDArray

from moveit.core import faults
from moveit.core.robot_model import RobotModel
from qtopt_policy.geometry import Pose

Array = NDArray[np.float64]


class RobotState:
    """Positions of the group's joints; transforms are lazy and need `update`."""

    def __init__(self, robot_model: RobotModel, /) -> None:
        self._model = robot_model
        self._q = np.zeros(len(robot_model.joints))
        self._dirty = True

    def __copy__(self) -> "RobotState":
        other = RobotState(self._model)
        other._q, other._dirty = self._q.copy(), self._dirty
        return other

    def update(self, force: bool = False, type: str = "all") -> None:
        assert type in ("all", "links_only", "collisions_only")
        self._dirty = False

    @property
    def joint_positions(self) -> dict[str, float]:
        return dict(zip(self._model.joints, self._q.tolist(), strict=True))

    @joint_positions.setter
    def joint_positions(self, values: dict[str, float]) -> None:
        self._q = np.array([values.get(n, q) for n, q in zip(self._model.joints, self._q, strict=True)])
        self._dirty = True

    def get_frame_transform(self, frame_id: str) -> Array:
        """Return identity for an unknown frame, without an error."""
        try:
            return self.get_global_link_transform(frame_id)
        except RuntimeError:
            return np.eye(4)

    def get_global_link_transform(self, link_name: str) -> Array:
        assert not self._dirty, "transforms of a dirty state: call update() first"
        try:
            return self._model.kinematics.frame_pose(self._q, link_name).as_matrix()
        except Exception as error:
            raise RuntimeError(f"Link '{link_name}' not found") from error

    def get_joint_group_positions(self, joint_model_group_name: str) -> Array:
        self._model.require_group(joint_model_group_name)
        return self._q.copy()

    def set_joint_group_positions(self, joint_model_group_name: str, position_values: Array) -> None:
        self._model.require_group(joint_model_group_name)
        if not isinstance(position_values, np.ndarray):
            raise TypeError("incompatible function arguments: position_values must be an ndarray")
        self._q, self._dirty = position_values.copy(), True

    def set_from_ik(
        self, joint_model_group_name: str, geometry_pose: PoseMessage, tip_name: str, timeout: float = 0.0
    ) -> bool:
        self._model.require_group(joint_model_group_name)
        assert isinstance(geometry_pose, PoseMessage)
        assert tip_name == self._model.tip
        found = self._model.kinematics.solve(pose_from(geometry_pose), self._q)
        if faults.due("no_ik") or not found.converged:
            return False
        self._q, self._dirty = found.q.copy(), False
        if faults.due("other_branch"):
            self._q[0] += 1.0
        return True


def pose_from(message: PoseMessage) -> Pose:
    p, o = message.position, message.orientation
    return Pose.from_array([p.x, p.y, p.z, o.x, o.y, o.z, o.w])
