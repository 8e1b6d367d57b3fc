"""The executor of real arms: arm/target_pose into straight moves by MoveIt (moveit_py), in its own process.

The one file that imports moveit. What can be said without MoveIt is in moveit_motion.py and its neighbours.
"""

import copy
import os
import shutil
import sys
import tempfile
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PoseStamped, Quaternion
from geometry_msgs.msg import Pose as PoseMessage
from rclpy.clock import ClockType
from rclpy.time import Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.motion_node import JOINT_QOS, MotionNode
from grasp_bringup.moveit_config import LINE_REQUEST, moveit_parameters, write_parameters
from grasp_bringup.moveit_inputs import MoveConfig, MoveInputs
from grasp_bringup.moveit_motion import MoveError, MoveLoop, Planned
from grasp_bringup.moveit_path import TOLERANCE, Array, excess, joint_jump, line
from grasp_bringup.moveit_scene import Box, scene_boxes
from grasp_bringup.wish import Wish, malformed
from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, LATEST_QOS, OK, WARN, as_dict, nanoseconds, pose_values, spin
from qtopt_policy.errors import MissingDependencyError, ShapeError
from qtopt_policy.geometry import Pose
from qtopt_policy.joint_buffer import JointBuffer
from qtopt_policy.robot import RobotConfig
from qtopt_policy.urdf import expand

try:
    from moveit.core.robot_state import RobotState
    from moveit.core.robot_trajectory import RobotTrajectory
    from moveit.planning import MoveItPy, PlanRequestParameters
    from moveit_msgs.msg import CollisionObject
    from moveit_msgs.msg import RobotTrajectory as RobotTrajectoryMessage
    from shape_msgs.msg import SolidPrimitive
except ImportError as error:
    raise MissingDependencyError(
        f"arm:=moveit needs MoveIt: {error}; apt install ros-$ROS_DISTRO-moveit ros-$ROS_DISTRO-moveit-py"
    ) from error

REPORT_PERIOD = 0.5  # [s] of the steady clock
SPACING, TURN = 0.005, 0.05  # between the points of an `ik` path [m, rad]


class MoveItArm:
    """moveit_motion.Arm by moveit_py.

    Args:
        robot: whose group, frames and limits hold.
        parameters: file of MoveIt's parameters, as moveit_config.write_parameters writes them.
        namespace: of the robot's topics.
        config: planner and its thresholds.

    Raises:
        RuntimeError: MoveIt cannot load the robot or its planners.
    """

    def __init__(self, robot: RobotConfig, parameters: Path, namespace: str, config: MoveConfig) -> None:
        self._robot, self._config = robot, config
        self._kinematics = kinematics_of(robot)
        self._moveit = MoveItPy(
            node_name="moveit_py", name_space=namespace, launch_params_filepaths=[str(parameters)]
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
        if over > TOLERANCE:
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
        """Return times [s], shape (T,), and arm positions [rad], shape (T, n)."""
        message = trajectory.get_robot_trajectory_msg().joint_trajectory
        if not message.points:
            raise MoveError("no_plan", "MoveIt's trajectory is empty")
        order = [message.joint_names.index(name) for name in self._robot.arm_joints]
        times = [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in message.points]
        return np.array(times), np.array([p.positions for p in message.points])[:, order]


def pose_of(pose: Pose) -> PoseMessage:
    """Build a geometry_msgs/Pose."""
    x, y, z, qx, qy, qz, qw = pose.as_array().tolist()
    return PoseMessage(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def collision_object(box: Box, frame: str) -> CollisionObject:
    """Build the message that adds a box to the planning scene."""
    message = CollisionObject(id=box.name, operation=CollisionObject.ADD)
    message.header.frame_id = frame
    message.pose = pose_of(Pose.identity())
    message.primitives = [SolidPrimitive(type=SolidPrimitive.BOX, dimensions=list(box.size))]
    x, y, z = box.centre
    message.primitive_poses = [PoseMessage(position=Point(x=x, y=y, z=z))]
    return message


def path_message(path: Array, joints: tuple[str, ...]) -> RobotTrajectoryMessage:
    """Build the message of a path, shape (T, n); its times only count up, TOTG replaces them."""
    points = [
        JointTrajectoryPoint(positions=q.tolist(), time_from_start=Duration(sec=i))
        for i, q in enumerate(path)
    ]
    return RobotTrajectoryMessage(joint_trajectory=JointTrajectory(joint_names=list(joints), points=points))


class MoveItNode(MotionNode):
    """Connects MoveLoop with topics and clocks.

    Parameters (ROS): `robot` and the fields of MoveConfig, which only a start can set.
    """

    def __init__(self) -> None:
        super().__init__("moveit_node")
        self.declare_config(MoveConfig())
        self._steady_lock = Lock()
        self._loop: MoveLoop | None = None
        self._arm: MoveItArm | None = None
        self._file: Path | None = None

    def setup(self) -> None:
        """Start MoveIt and connect it."""
        robot, config = self.robot(), self.read_config(MoveConfig)
        self._joints, self._base_frame = robot.arm_joints, robot.base_frame
        self._inputs = MoveInputs(config, self.steady_now)
        self._buffer = JointBuffer()
        namespace = self.get_namespace().strip("/")
        self._arm = MoveItArm(robot, self._parameter_file(robot), namespace, config)
        self._report_scene(self._arm.add_boxes(scene_boxes(robot, expand(robot.urdf, robot.xacro_args))))
        self._loop = MoveLoop(
            self._arm, self._inputs, kinematics_of(robot), robot.limits, config, self._now_ns
        )
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, JOINT_QOS)
        self.create_subscription(PoseStamped, topics.TARGET_POSE, self._on_target, LATEST_QOS)
        self.create_subscription(DiagnosticArray, topics.ARM_STATE, self._on_arm_state, LATCHED_QOS)
        self.create_timer(REPORT_PERIOD, self._report, clock=self.steady_clock)
        self._loop.start()

    def _parameter_file(self, robot: RobotConfig) -> Path:
        """Write MoveIt's parameters with the robot's limits and this node's clock; return the file."""
        parameters = moveit_parameters(robot) | {"use_sim_time": self.simulated}
        folder = Path(tempfile.mkdtemp(prefix="moveit_node_"))
        self._file = write_parameters(parameters, folder / "moveit.yaml")
        return self._file

    def _report_scene(self, refused: tuple[str, ...]) -> None:
        names = ", ".join(refused)
        if refused:
            self.get_logger().error(f"collision scene: MoveIt refuses {names}")
        self.report("scene", WARN if refused else OK, names or "complete", refused=names)

    def steady_now(self) -> float:
        """Return the time that watchdogs count [s]; from any thread."""
        with self._steady_lock:
            return super().steady_now()

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_joints(self, message: JointState) -> None:
        names, positions, velocities = list(message.name), list(message.position), list(message.velocity)
        try:
            stamp, steady = nanoseconds(message.header.stamp), self.steady_now()
            self._buffer.update(names, positions, velocities, [], stamp, steady)
        except ShapeError as error:
            self._inputs.note("joint_state", str(error))
            return
        snapshot = self._buffer.snapshot(self._joints)
        if snapshot is not None and set(names) & set(self._joints):
            self._inputs.joint_state(snapshot.position, snapshot.velocity)

    def _on_target(self, message: PoseStamped) -> None:
        stamp = nanoseconds(message.header.stamp)
        wish = Wish("none", message.header.frame_id, stamp, pose_values(message))
        finding = malformed(wish, self._base_frame)
        if finding is not None:
            self._inputs.note(finding.name, finding.detail)
        elif self.active:
            self._inputs.target(Pose.from_array(wish.values), stamp, self._now_ns())

    def _on_arm_state(self, message: DiagnosticArray) -> None:
        """Stop at once when the guard holds, rather than when its silence has lasted too long."""
        for entry in message.status:
            values = as_dict(entry)
            if values.get("holding") == "1":
                self._inputs.hold(values.get("reason") or "the guard holds")

    def on_deactivate(self, state: Any) -> Any:
        """Stop; take no targets any more."""
        self._inputs.hold("not active")
        return super().on_deactivate(state)

    def _report(self) -> None:
        assert self._loop is not None
        self.report("motion", OK, self._loop.state, moves=self._loop.moves)
        self.report_fired(*self._inputs.findings())

    def destroy_node(self) -> Any:
        """Stop the arm, let go of MoveIt, then end."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        if self._arm is not None:
            self._arm.release()
            self._arm = None
        if self._file is not None:
            shutil.rmtree(self._file.parent, ignore_errors=True)
        return super().destroy_node()


def main() -> int:
    """Run the node; end without Python's teardown, in which moveit_py crashes (moveit2 issue 3721)."""
    status = spin(MoveItNode)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
