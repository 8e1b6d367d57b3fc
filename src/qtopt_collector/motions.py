"""How the collector moves the arm: wishes along way points, fingers, and looks at the camera. No ROS."""

from collections.abc import Generator

import numpy as np

from qtopt_collector.cell import Aborted, Cell, Picture, Script
from qtopt_collector.success import GripperSample
from qtopt_policy.episode_events import Wish
from qtopt_policy.geometry import Pose
from qtopt_policy.limits import clip
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import RobotConfig

LIFT_TIMEOUT = 8.0  # [s] GraspEnv needs 3 at most; MoveIt plans several moves
LIFT_TOLERANCE = 0.03  # [m] below the goal: what is held is still above the height that counts as success
MOVE_TIMEOUT = 10.0  # [s]
COMMAND_TIMEOUT = 5.0  # [s] until a wish for the fingers has become a command
VIA_TOLERANCE = 0.01  # [m] at which a way point counts as passed
PICTURE_TIMEOUT = 1.5  # [s]
TRUTH_TIMEOUT = 0.5  # [s]


def path_to(start: Pose, goal: Pose, height: float) -> list[Pose]:
    """Return way points from `start` to `goal`: up to `height` [m] where lower, across, down.

    The way leads over the objects; a new orientation is wanted from the second way point on.
    """
    travel = max(float(start.position[2]), float(goal.position[2]), height)
    up = Pose(np.array([*start.position[:2], travel]), start.quaternion)
    over = Pose(np.array([*goal.position[:2], travel]), goal.quaternion)
    return [up, over, goal]


class Motions:
    """Scripts that move one arm.

    Every script raises Aborted where a node dies or the arm is stopped.

    Attributes:
        wish: what is wanted now; None means silence, so that the arm holds.
    """

    def __init__(self, robot: RobotConfig, mdp: MdpConfig, cell: Cell) -> None:
        self.wish: Wish | None = None
        self._robot, self._mdp, self._cell = robot, mdp, cell

    def lift(self) -> Generator[None, None, bool]:
        """Raise the tool as GraspEnv does; return whether it got up."""
        pose = self._cell.tool_pose
        top = pose.position + np.array([0.0, 0.0, self._mdp.lift_height])
        goal = Pose(np.minimum(top, self._robot.limits.workspace_max), pose.quaternion)
        yield from self.follow([goal], LIFT_TIMEOUT, self._cell.gripper_closed)
        return float(goal.position[2] - self._cell.tool_pose.position[2]) < LIFT_TOLERANCE

    def travel(self, goal: Pose, close: bool | None) -> Script:
        """Go to `goal` over the objects, wishing `close` of the fingers (None keeps their last command)."""
        height = float(self._robot.start_pose.position[2])
        yield from self.follow(path_to(self._cell.tool_pose, goal, height), MOVE_TIMEOUT, close)

    def follow(self, way: list[Pose], timeout: float, close: bool | None) -> Script:
        """Follow way points, each wish within one step of the measured pose; give up after `timeout` [s]."""
        end = self._cell.now + timeout
        for number, goal in enumerate(way):
            last = number == len(way) - 1
            while not self._passed(goal, last) and self._cell.now < end:
                self._want(goal, close)
                yield
                self._cell.require()
        self._want(way[-1], close)

    def _want(self, goal: Pose, close: bool | None) -> None:
        self.wish = Wish(clip(self._cell.tool_pose, goal, self._robot.limits).target, close)

    def _passed(self, goal: Pose, last: bool) -> bool:
        return self.arrived(goal) if last else self._near(goal, VIA_TOLERANCE)

    def _near(self, goal: Pose, tolerance: float) -> bool:
        pose = self._cell.tool_pose
        return pose.distance(goal) <= tolerance and pose.angle(goal) <= 2.0 * self._mdp.angle_tolerance

    def arrived(self, goal: Pose) -> bool:
        """Return whether the tool rests at `goal`."""
        state = self._cell.measurement()
        slow = state is not None and state.tool_speed <= self._mdp.speed_tolerance
        return slow and self._near(goal, self._mdp.position_tolerance)

    def fingers(self, close: bool, duration: float) -> Script:
        """Command the fingers while the arm stays where it is wished to be; return after `duration` [s].

        Raises:
            Aborted: the command does not get through.
        """
        start = self._cell.now
        while self._cell.gripper_closed is not close or self._cell.now < start + duration:
            if self.wish is not None:
                self.wish = Wish(self.wish.target, close)
            if self._cell.now > start + duration + COMMAND_TIMEOUT:
                raise Aborted(
                    "error", f"no command to {'close' if close else 'open'} the fingers gets through"
                )
            yield
            self._cell.require()

    def sample(self) -> GripperSample:
        """Return the state of the fingers."""
        state = self._cell.measurement()
        assert state is not None
        return GripperSample(state.aperture, self._cell.effort, self._cell.stalled)

    def look(self) -> Generator[None, None, Picture | None]:
        """Return an image taken from now on; None where the camera is silent."""
        start = self._cell.now
        self._cell.picture_wanted = True
        try:
            while self._cell.now < start + PICTURE_TIMEOUT:
                picture = self._cell.picture
                if picture is not None and picture.stamp > start:
                    return picture
                yield
                self._cell.require()
            return None
        finally:
            self._cell.picture_wanted = False

    def truth(self) -> Generator[None, None, bool | None]:
        """Return a simulator's ground truth of now: is an object lifted? None where there is none."""
        start = self._cell.now
        while self._cell.truth and self._cell.now < start + TRUTH_TIMEOUT:
            if float(self._cell.truth["stamp"]) >= start:
                return self._cell.truth["lifted"] == "1"
            yield
        return None
