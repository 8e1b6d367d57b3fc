"""The executor of real arms: arm/target_pose into straight moves by MoveIt (moveit_py), in its own process.

The one file that imports moveit. What can be said without MoveIt is in moveit_motion.py and its neighbours.
"""

import copy
import os
import sys
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import PoseStamped
from rclpy.clock import ClockType
from rclpy.time import Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.moveit_config import LINE_REQUEST
from grasp_bringup.moveit_inputs import MoveConfig
from grasp_bringup.moveit_motion import MoveError, Planned
from grasp_bringup.moveit_path import TOLERANCE, Array, excess, flaw, joint_jump, line
from grasp_bringup.moveit_scene import Box, scene_boxes
from grasp_bringup.moveit_scene_node import collision_object, pose_of
from grasp_bringup.moveit_topics_node import MoveItTopicsNode
from grasp_bringup.node_spec import OWN_CLOCK
from qtopt_policy.base_node import OK, WARN, spin
from qtopt_policy.errors import MissingDependencyError
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import RobotConfig
from qtopt_policy.urdf import expand

try:
    from moveit.core.robot_state import RobotState
    from moveit.core.robot_trajectory import RobotTrajectory
    from moveit.planning import MoveItPy, PlanRequestParameters
    from moveit_msgs.msg import RobotTrajectory as RobotTrajectoryMessage
except ImportError as error:
    raise MissingDependencyError(
        f"arm:=moveit needs MoveIt: {error}; apt install ros-$ROS_DISTRO-moveit ros-$ROS_DISTRO-moveit-py"
    ) from error

SPACING, TURN = 0.005, 0.05  # between the points of an `ik` path [m, rad]


class MoveItArm:
    """moveit_motion.Arm by moveit_py.

    Args:
        robot: whose group, frames and limits hold.
        parameters: file of MoveIt's parameters, as moveit_config.write_parameters writes them.
        namespace: of the robot's topics, and of its clock in a simulation.
        config: planner and its thresholds.

    Raises:
        RuntimeError: MoveIt cannot load the robot or its planners.
    """

    def __init__(self, robot: RobotConfig, parameters: Path, namespace: str, config: MoveConfig) -> None:
        self._robot, self._config = robot, config
        self._kinematics = kinematics_of(robot)
        self._moveit = MoveItPy(
            node_name="moveit_py",
            name_space=namespace,
            launch_params_filepaths=[str(parameters)],
            remappings=dict(OWN_CLOCK) if namespace else None,
        )
        self._component = self._moveit.get_planning_component(robot.driver.planning_group)
        self._monitor = self._moveit.get_planning_scene_monitor()
        self._executions = self._moveit.get_trajectory_execution_manager()
        self._request = PlanRequestParameters(self._moveit, LINE_REQUEST)
        self._request.planning_attempts = 1
        self._request.planning_time = min(self._request.planning_time, config.planning_time)

    def add_boxes(self, boxes: tuple[Box, ...]) -> tuple[str, ...]:
        """Add boxes to the collision scene; return the names of those that MoveIt refused."""
        messages = {box.name: collision_object(box, self._robot.base_frame) for box in boxes}
        return tuple(
            name for name, message in messages.items() if not self._monitor.process_collision_object(message)
        )

    def wait_for_state(self, since: int, timeout: float) -> bool:
        """Return whether a robot state newer than `since` [ns] arrived within `timeout` [s]."""
        time = Time(nanoseconds=since, clock_type=ClockType.ROS_TIME)
        return self._monitor.wait_for_current_robot_state(time, timeout)

    def plan(self, goal: Pose) -> Planned:
        """Plan a straight line to `goal` (base frame); MoveError says why there is none."""
        trajectory = self._plan_lin(goal) if self._config.planner == "lin" else self._plan_ik(goal)
        times, path = self._points(trajectory)
        over = excess(times, path, self._kinematics, self._robot.limits)
        if not over <= TOLERANCE:
            raise MoveError("too_fast", f"planned {over:.2f} times as fast as the limits allow")
        return Planned(trajectory, float(times[-1]))

    def execute(self, planned: Planned) -> str:
        """Execute to the end; return the controller's status."""
        assert isinstance(planned.trajectory, RobotTrajectory)
        return self._moveit.execute(planned.trajectory, controllers=[]).status

    def stop(self) -> None:
        """Stop what is being executed."""
        self._executions.stop_execution()

    def release(self) -> None:
        """Let go of MoveIt, parts first: its teardown crashes otherwise (moveit2 issues 3398, 3721)."""
        del self._request, self._executions, self._monitor, self._component
        del self._moveit

    def _plan_lin(self, goal: Pose) -> RobotTrajectory:
        self._component.set_start_state_to_current_state()
        message = PoseStamped(pose=pose_of(goal))
        message.header.frame_id = self._robot.base_frame
        if not self._component.set_goal_state(pose_stamped_msg=message, pose_link=self._robot.tool_frame):
            raise MoveError("no_goal", f"MoveIt refuses the goal {goal.as_array().round(4).tolist()}")
        response = self._component.plan(single_plan_parameters=self._request)
        if not response:
            raise MoveError("no_plan", f"MoveItErrorCodes {response.error_code.val}")
        return response.trajectory

    def _plan_ik(self, goal: Pose) -> RobotTrajectory:
        with self._monitor.read_only() as scene:
            state = copy.copy(scene.current_state)
        start = copy.copy(state)
        path = np.array([self._positions(state), *self._solve(state, goal)])
        jump = joint_jump(path, self._config.max_joint_step)
        if jump:
            raise MoveError("joint_jump", jump)
        trajectory = self._timed(start, path)
        with self._monitor.read_only() as scene:
            valid = scene.is_path_valid(trajectory, self._robot.driver.planning_group)
        if not valid:
            raise MoveError("path_invalid", f"the path to {goal.position.round(4).tolist()} collides")
        return trajectory

    def _solve(self, state: RobotState, goal: Pose) -> list[Array]:
        """Solve along the line, each point from the one before; `state` is changed."""
        state.update()
        base = Pose.from_matrix(state.get_frame_transform(self._robot.base_frame))
        tool = Pose.from_matrix(state.get_global_link_transform(self._robot.tool_frame))
        group, path = self._robot.driver.planning_group, []
        poses = line(tool, base @ goal, SPACING, TURN)
        for index, pose in enumerate(poses):
            if not state.set_from_ik(group, pose_of(pose), self._robot.tool_frame):
                raise MoveError("no_ik", f"point {index + 1} of {len(poses)} on the line has no solution")
            path.append(self._positions(state))
        return path

    def _positions(self, state: RobotState) -> Array:
        positions = state.joint_positions
        return np.array([positions[name] for name in self._robot.arm_joints])

    def _timed(self, start: RobotState, path: Array) -> RobotTrajectory:
        """Time a path by TOTG, so slowly that the tool keeps its limits too."""
        scale = 1.0
        for _ in range(3):
            trajectory = self._totg(start, path, scale)
            over = excess(*self._points(trajectory), self._kinematics, self._robot.limits)
            if over <= TOLERANCE:
                break
            scale /= over
        return trajectory

    def _totg(self, start: RobotState, path: Array, scale: float) -> RobotTrajectory:
        trajectory = RobotTrajectory(self._moveit.get_robot_model())
        trajectory.joint_model_group_name = self._robot.driver.planning_group
        trajectory.set_robot_trajectory_msg(start, path_message(path, self._robot.arm_joints))
        if not trajectory.apply_totg_time_parameterization(scale, scale, resample_dt=0.05):
            raise MoveError("no_timing", f"TOTG refuses a path of {len(path)} points")
        return trajectory

    def _points(self, trajectory: RobotTrajectory) -> tuple[Array, Array]:
        """Return times [s], shape (T,), and arm positions [rad], shape (T, n); MoveError refuses a flaw."""
        message = trajectory.get_robot_trajectory_msg().joint_trajectory
        if not message.points:
            raise MoveError("no_plan", "MoveIt's trajectory is empty")
        order = [message.joint_names.index(name) for name in self._robot.arm_joints]
        times = np.array([p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in message.points])
        path = np.array([p.positions for p in message.points])[:, order]
        if found := flaw(times, path):
            raise MoveError("bad_plan", found)
        return times, path


def path_message(path: Array, joints: tuple[str, ...]) -> RobotTrajectoryMessage:
    """Build the message of a path, shape (T, n); its times only count up, TOTG replaces them."""
    points = [
        JointTrajectoryPoint(positions=q.tolist(), time_from_start=Duration(sec=i))
        for i, q in enumerate(path)
    ]
    return RobotTrajectoryMessage(joint_trajectory=JointTrajectory(joint_names=list(joints), points=points))


class MoveItNode(MoveItTopicsNode):
    """MoveItTopicsNode with MoveIt as its arm; parameters as there."""

    def make_arm(self, robot: RobotConfig, parameters: Path, config: MoveConfig) -> MoveItArm:
        """Start MoveIt in this node's namespace, with the collision scene of the robot's cell."""
        arm = MoveItArm(robot, parameters, self.get_namespace().strip("/"), config)
        refused = arm.add_boxes(scene_boxes(robot, expand(robot.urdf, robot.xacro_args)))
        names = ", ".join(refused)
        if refused:
            self.get_logger().error(f"collision scene: MoveIt refuses {names}")
        self.report("scene", WARN if refused else OK, names or "complete", refused=names)
        return arm


def main() -> int:
    """Run the node; end without Python's teardown, in which moveit_py crashes (moveit2 issue 3721)."""
    status = spin(MoveItNode)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
