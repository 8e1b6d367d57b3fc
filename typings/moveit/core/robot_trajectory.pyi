from moveit.core.robot_model import RobotModel
from moveit.core.robot_state import RobotState
from moveit_msgs.msg import RobotTrajectory as RobotTrajectoryMessage

class RobotTrajectory:
    joint_model_group_name: str
    def __init__(self, robot_model: RobotModel, /) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, idx: int) -> RobotState: ...
    @property
    def duration(self) -> float: ...
    def apply_totg_time_parameterization(
        self,
        velocity_scaling_factor: float,
        acceleration_scaling_factor: float,
        *,
        path_tolerance: float = 0.1,
        resample_dt: float = 0.1,
        min_angle_change: float = 0.001,
    ) -> bool: ...
    def get_robot_trajectory_msg(self, joint_filter: list[str] = ...) -> RobotTrajectoryMessage: ...
    def set_robot_trajectory_msg(
        self, robot_state: RobotState, msg: RobotTrajectoryMessage
    ) -> RobotTrajectory: ...
