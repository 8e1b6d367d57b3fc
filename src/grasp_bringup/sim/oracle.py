"""The privileged policy: it knows shapes and poses, so its score is the ceiling of the benchmark.

It drives to the best grasp that grasp_planner finds (over it, down, close), raises the object by one step
to see whether it stays, and terminates; with steps left it tries again after a miss.
"""

import numpy as np

from grasp_bringup.sim.grasp_planner import Grasp, build_cloud, plan_grasps
from grasp_bringup.sim.world import World
from qtopt_policy.errors import QtoptError
from qtopt_policy.geometry import Pose, pointing_down, wrap_angle
from qtopt_policy.grasp_action import CLOSE, MOVE, OPEN, TERMINATE, GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision

CLEARANCE = 0.012  # [m] of the fingertips above all objects on the way
ALIGNED = 0.002  # [m] sideways before going down
ALIGNED_YAW = 0.03  # [rad]
MOVED = 0.004  # [m] that an object may move before the grasp is planned again
LIFT = 0.04  # [m] to test a grasp
STEPS_OF_A_TRY = 5  # down, close, test: a new try needs as many


class OraclePolicy:
    """Grasps with ground truth; sim only.

    Args:
        world: where it looks.
        mdp: bounds of its actions.
    """

    def __init__(self, world: World, mdp: MdpConfig) -> None:
        self._world = world
        self._mdp = mdp
        self.reset(0)

    @property
    def name(self) -> str:
        """Name as recorded."""
        return "oracle"

    def reset(self, seed: int) -> None:
        """Start a new episode; the oracle is not random."""
        self._grasp: Grasp | None = None
        self._planned: Pose | None = None
        self._tested = False
        self._failed: dict[int, int] = {}
        self._steps = 0

    def decide(self, observation: Observation) -> Decision:
        """Pick the next move towards the best grasp."""
        self._steps += 1
        action = (
            self._after_closing(observation) if observation.gripper_closed else self._approach(observation)
        )
        return Decision(action)

    def _after_closing(self, observation: Observation) -> GraspAction:
        """Test the grasp by a small lift; terminate with an object, open without one."""
        held = self._world.truth().held is not None
        left = self._mdp.max_steps - self._steps
        if held and not self._tested and left > 0:
            self._tested = True
            return self._towards(observation, _raised(observation.tool_pose, LIFT), MOVE)
        if held or left < STEPS_OF_A_TRY:
            return GraspAction(np.zeros(3), 0.0, TERMINATE)
        if self._grasp is not None:
            self._failed[self._grasp.index] = self._failed.get(self._grasp.index, 0) + 1
        self._grasp, self._tested = None, False
        return self._towards(observation, _raised(observation.tool_pose, LIFT), OPEN)

    def _approach(self, observation: Observation) -> GraspAction:
        grasp = self._current_grasp()
        tool, target = observation.tool_pose, _nearest_heading(observation.tool_pose, grasp.pose)
        sideways = float(np.linalg.norm((target.position - tool.position)[:2]))
        turn = abs(wrap_angle(target.yaw() - tool.yaw()))
        if sideways > ALIGNED or turn > ALIGNED_YAW:
            above = max(self._travel_height, float(target.position[2]))
            over = Pose(np.array([*target.position[:2], above]), target.quaternion)
            return self._towards(observation, over, MOVE)
        last = abs(target.position[2] - tool.position[2]) <= self._mdp.max_translation
        return self._towards(observation, target, CLOSE if last else MOVE)

    def _current_grasp(self) -> Grasp:
        """Return the grasp aimed at; plan anew when its object has moved."""
        world = self._world
        poses = world.truth().object_poses
        if self._grasp is not None and self._planned is not None:
            now = poses[self._grasp.index]
            if now.distance(self._planned) < MOVED and now.angle(self._planned) < 0.1:
                return self._grasp
        if world.scene is None:
            raise QtoptError("oracle: the world holds no scene")
        cloud = build_cloud(world.scene, poses)
        grasps = plan_grasps(cloud, world.robot.bin, world.robot.limits)
        if not grasps:
            raise QtoptError(f"oracle: no grasp on scene {world.scene.split} {world.scene.seed}")
        best = max(grasps, key=lambda grasp: grasp.score - self._failed.get(grasp.index, 0))
        limits = world.robot.limits
        self._travel_height = float(cloud.points[:, 2].max()) + limits.tip_offset + CLEARANCE
        self._grasp, self._planned = best, poses[best.index]
        return best

    def _towards(self, observation: Observation, target: Pose, choice: int) -> GraspAction:
        """Return the largest step towards `target` within the bounds of one action."""
        whole = GraspAction.between(observation.tool_pose, target, self._mdp.action_frame, choice)
        bound, turn = self._mdp.max_translation, self._mdp.max_yaw
        longest = float(np.abs(whole.translation).max())
        scale = min(1.0, bound / max(longest, 1e-9))
        return GraspAction(whole.translation * scale, float(np.clip(whole.yaw, -turn, turn)), choice)


def _raised(pose: Pose, height: float) -> Pose:
    return pointing_down(pose.position + np.array([0.0, 0.0, height]), pose.yaw())


def _nearest_heading(tool: Pose, target: Pose) -> Pose:
    """Return the target or its half turn, whichever is nearer: the fingers are alike."""
    turn = wrap_angle(target.yaw() - tool.yaw())
    if abs(turn) <= np.pi / 2:
        return target
    return pointing_down(target.position, target.yaw() + np.pi)
