"""The scripted exploration policy: randomised, biased to reasonable grasps, and usable on a real robot.

It looks once, at its first picture, picks one of the objects that it finds there at random, aims at it
across its narrow side with noise, and then grasps with its eyes closed: over the object, down, close, up a
little, terminate. Without noise it is an open-loop baseline of its own (`scripted_exact`).
"""

from dataclasses import dataclass, field

import numpy as np

from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Array, Pose, pointing_down, wrap_angle
from qtopt_policy.grasp_action import CLOSE, MOVE, OPEN, TERMINATE, GraspAction
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision
from qtopt_policy.policies.motion import nearest_heading, step_towards
from qtopt_policy.policies.segment import SegmentConfig, find_blobs
from qtopt_policy.robot import RobotConfig

# Of random numbers its own: the scene has the same seed, and what it picks must not follow from that.
STREAM = 2


@dataclass(frozen=True)
class ScriptedConfig:
    """How the scripted policy aims and moves. SI units.

    Attributes:
        aim_noise: standard deviation of x and y of the grasp point [m]; the default makes about one grasp
            in five succeed in the simulated cell (QT-Opt's scripted policy: 15 to 30 %).
        yaw_noise: standard deviation of the heading [rad].
        depth_noise: the fingers stop up to this much above the lowest height, uniform [m].
        travel: height of the tool above the bin floor on its way to the object [m].
        aligned: distance sideways from the grasp point at which it goes down [m].
        aligned_yaw: angle from the grasp's heading at which it goes down [rad].
        lift: how far it rises with closed fingers before it terminates [m].
        segment: how objects are found.
    """

    aim_noise: float = 0.045
    yaw_noise: float = 0.3
    depth_noise: float = 0.005
    travel: float = 0.09
    aligned: float = 0.004
    aligned_yaw: float = 0.05
    lift: float = 0.03
    segment: SegmentConfig = field(default_factory=SegmentConfig)

    def __post_init__(self) -> None:
        for name in ("aim_noise", "yaw_noise", "depth_noise", "lift"):
            if not getattr(self, name) >= 0.0:
                raise ConfigError(f"{name} {getattr(self, name)}: must not be negative")


# A tool that moved less than this in one step is held up by contact: on with the next phase [m, rad].
STUCK, STUCK_ANGLE = 0.002, 0.02
EXACT = ScriptedConfig(aim_noise=0.0, yaw_noise=0.0, depth_noise=0.0)


class ScriptedPolicy:
    """One open-loop grasp per episode, aimed from the first picture.

    Args:
        mdp: bounds of its moves.
        robot: bin, gripper and limits.
        config: how it aims and moves.
        name: as recorded.
    """

    def __init__(
        self, mdp: MdpConfig, robot: RobotConfig, config: ScriptedConfig | None = None, name: str = "scripted"
    ) -> None:
        self._mdp = mdp
        self._robot = robot
        self._config = config or ScriptedConfig()
        self._name = name
        self.reset(0)

    @property
    def name(self) -> str:
        """Name as recorded."""
        return self._name

    def reset(self, seed: int) -> None:
        """Start a new episode: forget the aim, draw new random numbers."""
        self._rng = np.random.default_rng((seed, STREAM))
        self._goal: Pose | None = None
        self._before: Pose | None = None
        self._down = self._closed = False
        self._lifted = self._config.lift == 0.0

    def decide(self, observation: Observation) -> Decision:
        """Take the next step of the plan from wherever the tool is."""
        if self._goal is None:
            self._goal = self._aim(observation)
        action = self._next(observation, self._goal)
        self._before = observation.tool_pose
        return Decision(action)

    def _next(self, observation: Observation, goal: Pose) -> GraspAction:
        tool, still = observation.tool_pose, GraspAction(np.zeros(3), 0.0, TERMINATE)
        if self._closed:
            if self._lifted:
                return still
            self._lifted = True
            return step_towards(tool, _at_height(goal, goal.position[2] + self._config.lift), MOVE, self._mdp)
        if observation.gripper_closed:  # by somebody else: noise of an epsilon policy
            return GraspAction(np.zeros(3), 0.0, OPEN)
        stuck = self._is_stuck(tool)
        if not self._down and not stuck and not self._is_over(tool, goal):
            travel = self._robot.bin.centre[2] + self._config.travel
            return step_towards(tool, _at_height(goal, max(travel, goal.position[2])), MOVE, self._mdp)
        near = float(np.abs(goal.position - tool.position).max()) <= self._mdp.max_translation
        self._down, self._closed = True, near or (stuck and self._down)
        return step_towards(tool, goal, CLOSE if self._closed else MOVE, self._mdp)

    def _is_stuck(self, tool: Pose) -> bool:
        before = self._before
        return before is not None and tool.distance(before) < STUCK and tool.angle(before) < STUCK_ANGLE

    def _is_over(self, tool: Pose, goal: Pose) -> bool:
        sideways = float(np.linalg.norm((goal.position - tool.position)[:2]))
        turn = abs(wrap_angle(goal.yaw() - tool.yaw()))
        return sideways <= self._config.aligned and turn <= self._config.aligned_yaw

    def _aim(self, observation: Observation) -> Pose:
        """Return the tool pose in which the fingers will close."""
        config, limits, rng = self._config, self._robot.limits, self._rng
        point, heading = self._pick(observation)
        point = point + config.aim_noise * rng.normal(size=2)
        heading += config.yaw_noise * float(rng.normal())
        inside = np.clip(point, limits.workspace_min[:2], limits.workspace_max[:2])
        height = limits.min_height + float(rng.uniform(0.0, config.depth_noise))
        yaw = nearest_heading(heading, observation.tool_pose.yaw())
        return pointing_down([*inside, height], yaw)

    def _pick(self, observation: Observation) -> tuple[Array, float]:
        """Return point and heading of a grasp: of a random object, or anywhere if none is seen.

        The fingers open along the tool's y, so its x must lie along the object's longer side.
        """
        area = self._robot.bin
        blobs = find_blobs(observation, area, self._robot.gripper, self._config.segment)
        if blobs:
            blob = blobs[int(self._rng.integers(len(blobs)))]
            return blob.centre, blob.heading
        half = 0.5 * np.array(area.size[:2]) - self._config.segment.wall_margin
        anywhere: Array = np.array(area.centre[:2]) + self._rng.uniform(-half, half)
        return anywhere, float(self._rng.uniform(-np.pi, np.pi))


def _at_height(pose: Pose, height: float) -> Pose:
    return Pose(np.array([*pose.position[:2], height]), pose.quaternion)
