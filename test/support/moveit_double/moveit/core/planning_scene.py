"""Double of PlanningScene, as read_only() gives it."""

from moveit.core import faults
from moveit.core.robot_state import RobotState
from moveit.core.robot_trajectory import RobotTrajectory


class PlanningScene:
    """The current state; no collisions are found but those asked for."""

    def __init__(self, state: RobotState) -> None:
        self.current_state = state
        self.planning_frame = "world"

    def is_path_valid(
        self, trajectory: RobotTrajectory, joint_model_group_name: str, verbose: bool = False
    ) -> bool:
        assert len(trajectory), "an empty path"
        assert joint_model_group_name == trajectory.joint_model_group_name
        return not faults.due("path_invalid")
