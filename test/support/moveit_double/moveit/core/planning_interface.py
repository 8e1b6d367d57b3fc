"""Double of MotionPlanResponse."""

from moveit_msgs.msg import MoveItErrorCodes

from moveit.core.robot_trajectory import RobotTrajectory


class MotionPlanResponse:
    """A plan, or the reason why there is none."""

    def __init__(self, trajectory: RobotTrajectory | None, code: int) -> None:
        self._trajectory = trajectory
        self.planning_time, self.planner_id = 0.01, "LIN"
        self.error_code = MoveItErrorCodes(val=code)

    def __bool__(self) -> bool:
        return self._trajectory is not None

    @property
    def trajectory(self) -> RobotTrajectory:
        assert self._trajectory is not None, "the trajectory of a plan that failed"
        return self._trajectory
