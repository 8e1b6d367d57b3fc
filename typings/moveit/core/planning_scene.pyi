from moveit.core.robot_state import RobotState
from moveit.core.robot_trajectory import RobotTrajectory

class PlanningScene:
    @property
    def current_state(self) -> RobotState: ...
    @property
    def planning_frame(self) -> str: ...
    def is_path_valid(
        self, trajectory: RobotTrajectory, joint_model_group_name: str, verbose: bool = False
    ) -> bool: ...
