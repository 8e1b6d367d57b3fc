"""Moves the simulated arm through one step of the MDP at a time, by the same servo and rules as the nodes."""

import numpy as np

from grasp_bringup.kinematics import Kinematics
from grasp_bringup.servo import ServoCore
from grasp_bringup.sim.world import CONTROL_PERIOD, World
from grasp_bringup.urdf import expand
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import clip
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.step_rule import EndCause, Measurement, StepMonitor

LIFT_TIMEOUT = 3.0  # [s]
WISH_PERIOD = 0.05  # [s] between the way points of a longer motion, as the collector republishes them


class Executor:
    """Servo and gripper of one World.

    Attributes:
        gripper_closed: last command to the gripper.
    """

    def __init__(self, world: World, mdp: MdpConfig) -> None:
        robot = world.robot
        urdf = expand(robot.urdf, robot.xacro_args)
        kinematics = Kinematics(urdf, robot.base_frame, robot.tool_frame, robot.arm_joints, robot.home)
        self._world = world
        self._mdp = mdp
        self._servo = ServoCore(kinematics, robot.limits, CONTROL_PERIOD)
        self.gripper_closed = False

    def start(self) -> None:
        """Take over the arm at home, at rest, with open fingers."""
        self._servo.reset(self._world.robot.home)
        self.gripper_closed = False
        self._last = self._world.tool_pose()

    def run(self, target: Pose, choice: int) -> EndCause:
        """Move to `target` and close or open the fingers as `choice` says; return why the step ended."""
        world = self._world
        reaction_time = world.robot.driver.gripper_reaction_time
        monitor = StepMonitor(self._mdp, target, choice, world.time, reaction_time)
        self._servo.set_target(target)
        cause: EndCause | None = None
        while cause is None:
            cause = monitor.update(self._tick())
            command = monitor.gripper_command
            if command is not None and command != self.gripper_closed:
                self._command_gripper(command)
        return cause

    def lift(self, height: float) -> None:
        """Raise the tool by `height` [m] through way points of one step each, and wait until it rests."""
        start, limits = self._world.tool_pose(), self._world.robot.limits
        goal = start.position + np.array([0.0, 0.0, height])
        target = Pose(np.minimum(goal, limits.workspace_max), start.quaternion)
        end = self._world.time + LIFT_TIMEOUT
        while self._world.time < end:
            self._servo.set_target(clip(self._last, target, limits).target)
            for _ in range(round(WISH_PERIOD / CONTROL_PERIOD)):
                sample = self._tick()
            near = sample.tool_pose.distance(target) <= self._mdp.position_tolerance
            if near and sample.tool_speed <= self._mdp.speed_tolerance:
                return

    def _command_gripper(self, closed: bool) -> None:
        gripper = self._world.robot.gripper
        self._world.command_gripper(gripper.closed_position if closed else gripper.open_position)
        self.gripper_closed = closed

    def _tick(self) -> Measurement:
        """Advance servo and world by one control period and measure."""
        world = self._world
        world.command_arm(self._servo.tick().q)
        world.advance(CONTROL_PERIOD)
        pose = world.tool_pose()
        speed = pose.distance(self._last) / CONTROL_PERIOD
        self._last = pose
        return Measurement(world.time, pose, speed, world.aperture())
