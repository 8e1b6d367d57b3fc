"""Doubles of moveit.planning."""

import atexit
import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from geometry_msgs.msg import PoseStamped
from moveit_msgs.msg import CollisionObject, MoveItErrorCodes
from rclpy.time import Time

from moveit.core import faults
from moveit.core.controller_manager import ExecutionStatus
from moveit.core.driver import Driver
from moveit.core.lines import straight
from moveit.core.planning_interface import MotionPlanResponse
from moveit.core.planning_scene import PlanningScene
from moveit.core.robot_model import RobotModel
from moveit.core.robot_state import RobotState, pose_from
from moveit.core.robot_trajectory import RobotTrajectory
from qtopt_policy.geometry import Pose

STALE = 100_000_000  # [ns] oldest start state
REST = 0.1  # [rad/s] VELOCITY_TOLERANCE of trajectory_generator.cpp
PLANNING = 20_000  # [us] of every plan


class PlanningSceneMonitor:
    """Robot state and collision objects."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.locked = 0
        self.objects: dict[str, CollisionObject] = {}

    def read_only(self) -> "LockedPlanningSceneContextManagerRO":
        return LockedPlanningSceneContextManagerRO(self)

    def wait_for_current_robot_state(self, t: Time, wait_time: float, /) -> bool:
        assert isinstance(t, Time), "incompatible function arguments"
        return t.nanoseconds != 0 and self._driver.wait_newer(t.nanoseconds, wait_time)

    def process_collision_object(self, collision_object_msg: CollisionObject, color_msg: Any = None) -> bool:
        message = collision_object_msg
        assert message.operation == CollisionObject.ADD
        assert message.header.frame_id, "no frame"
        assert message.id
        assert len(message.primitives) == len(message.primitive_poses) > 0
        assert all(len(p.dimensions) == 3 and min(p.dimensions) > 0.0 for p in message.primitives)
        if faults.due("scene_refused"):
            return False
        self.objects[message.id] = message
        return True

    def state(self) -> RobotState:
        state = RobotState(self._driver.model)
        if self._driver.q is not None:
            state.set_joint_group_positions(self._driver.model.group, self._driver.q)
        return state


class LockedPlanningSceneContextManagerRO:
    """Locks the scene for reading."""

    def __init__(self, monitor: PlanningSceneMonitor) -> None:
        self._monitor = monitor

    def __enter__(self) -> PlanningScene:
        self._monitor.locked += 1
        return PlanningScene(self._monitor.state())

    def __exit__(self, type: object, value: object, traceback: object) -> None:
        self._monitor.locked -= 1


class TrajectoryExecutionManager:
    """Stops."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def stop_execution(self, auto_clear: bool = True) -> None:
        if not faults.due("deaf"):
            self._driver.stop.set()


class PlanRequestParameters:
    """Parameters of a request by namespace; a namespace that is not there is refused, not defaulted."""

    def __init__(self, moveit_cpp: "MoveItPy", ns: str, /) -> None:
        values = moveit_cpp.parameters[ns]["plan_request_params"]
        self.planner_id: str = values["planner_id"]
        self.planning_pipeline: str = values["planning_pipeline"]
        self.planning_attempts: int = values["planning_attempts"]
        self.planning_time: float = values["planning_time"]
        self.max_velocity_scaling_factor: float = values["max_velocity_scaling_factor"]
        self.max_acceleration_scaling_factor: float = values["max_acceleration_scaling_factor"]
        assert self.planning_pipeline in moveit_cpp.parameters["planning_pipelines"]["pipeline_names"]
        assert self.planning_pipeline in moveit_cpp.parameters, "the pipeline has no parameters"


class PlanningComponent:
    """Plans for one group; keeps the requests that it was asked."""

    def __init__(self, moveit: "MoveItPy", group: str) -> None:
        moveit.model.require_group(group)
        self._moveit, self._driver, self._model = moveit, moveit.driver, moveit.model
        self._goal: Pose | None = None
        self._started = False
        self.requests: list[PlanRequestParameters] = []

    def set_start_state_to_current_state(self) -> None:
        self._started = True

    def set_goal_state(
        self,
        configuration_name: str | None = None,
        robot_state: RobotState | None = None,
        pose_stamped_msg: PoseStamped | None = None,
        pose_link: str | None = None,
        motion_plan_constraints: list[Any] | None = None,
    ) -> bool:
        if (pose_stamped_msg is None) != (pose_link is None):
            raise ValueError("a pose goal needs both pose_stamped_msg and pose_link")
        given = (configuration_name, robot_state, pose_stamped_msg, motion_plan_constraints)
        if sum(choice is not None for choice in given) != 1:
            raise ValueError("exactly one kind of goal must be specified")
        assert pose_stamped_msg is not None, "the double knows pose goals only"
        assert pose_stamped_msg.header.frame_id, "header.frame_id must be set"
        assert pose_link == self._model.tip
        if faults.due("no_goal"):
            return False
        q = self._driver.q
        assert q is not None, "no robot state yet"
        frame = self._model.kinematics.frame_pose(q, pose_stamped_msg.header.frame_id)
        self._goal = frame @ pose_from(pose_stamped_msg.pose)
        return True

    def plan(
        self,
        single_plan_parameters: PlanRequestParameters | None = None,
        multi_plan_parameters: None = None,
        planning_scene: None = None,
    ) -> MotionPlanResponse:
        """Plan a line; keeps Python's lock for PLANNING, as the real one does for as long as it plans."""
        assert self._goal is not None, "plan() before set_goal_state()"
        assert self._started, "plan() without a start state"
        assert not self._moveit.monitor.locked, "plan() inside read_only() never returns"
        assert single_plan_parameters is not None
        assert single_plan_parameters.planner_id == "LIN"
        self.requests.append(single_plan_parameters)
        ctypes.PyDLL(None).usleep(PLANNING)
        if faults.due("plan_raises"):
            raise RuntimeError("a plugin has thrown")
        assert self._driver.now() - self._driver.stamp < STALE, "a stale start state"
        if faults.due("no_plan"):
            return MotionPlanResponse(None, MoveItErrorCodes.PLANNING_FAILED)
        if self._driver.speed > REST:
            return MotionPlanResponse(None, MoveItErrorCodes.INVALID_MOTION_PLAN)
        assert self._driver.q is not None
        scaling = (
            single_plan_parameters.max_velocity_scaling_factor,
            single_plan_parameters.max_acceleration_scaling_factor,
        )
        line = straight(self._model, self._driver.q, self._goal, *scaling)
        code = MoveItErrorCodes.NO_IK_SOLUTION if line is None else MoveItErrorCodes.SUCCESS
        return MotionPlanResponse(line, code)


class MoveItPy:
    """The entrance; connects to the robot's topics when it is made."""

    def __init__(
        self,
        node_name: str = "moveit_py",
        name_space: str = "",
        launch_params_filepaths: list[str] | None = None,
        config_dict: dict[str, Any] | None = None,
        provide_planning_service: bool = True,
        remappings: dict[str, str] | None = None,
    ) -> None:
        assert config_dict is None, "use_sim_time in config_dict aborts (moveit2 issue 2940)"
        assert launch_params_filepaths, "no parameters"
        (path,) = launch_params_filepaths
        self.parameters: dict[str, Any] = yaml.safe_load(Path(path).read_text())["/**"]["ros__parameters"]
        assert self.parameters["moveit_controller_manager"]
        assert self.parameters["robot_description_kinematics"]
        self.model = RobotModel(self.parameters)
        self.driver = Driver(self.model, node_name, name_space, self.parameters, remappings or {})
        options = self.parameters["planning_scene_monitor_options"]
        self.driver.wait_newer(1, float(options["wait_for_initial_state_timeout"]))
        self.monitor = PlanningSceneMonitor(self.driver)
        if faults.due("teardown_crash"):
            atexit.register(os.abort)

    def get_planning_component(self, planning_component_name: str) -> PlanningComponent:
        return PlanningComponent(self, planning_component_name)

    def get_planning_scene_monitor(self) -> PlanningSceneMonitor:
        return self.monitor

    def get_trajectory_execution_manager(self) -> TrajectoryExecutionManager:
        return TrajectoryExecutionManager(self.driver)

    def get_robot_model(self) -> RobotModel:
        return self.model

    def execute(self, robot_trajectory: RobotTrajectory, controllers: list[str]) -> ExecutionStatus:
        """Execute to the end; other threads go on."""
        assert isinstance(robot_trajectory, RobotTrajectory)
        assert isinstance(controllers, list)
        if faults.due("execute_raises"):
            raise RuntimeError("the controller manager has thrown")
        tolerance = float(self.parameters["trajectory_execution"]["allowed_start_tolerance"])
        q = self.driver.q
        if q is None or len(robot_trajectory) < 2 or np.abs(robot_trajectory.path[0] - q).max() > tolerance:
            return ExecutionStatus("ABORTED")
        return ExecutionStatus(self.driver.follow(robot_trajectory))

    def shutdown(self) -> None:
        self.driver.close()

    def __del__(self) -> None:
        if hasattr(self, "driver"):
            self.driver.close()
