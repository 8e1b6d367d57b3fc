"""A fake robot cell for EpisodeRunner: a tool that follows the wish, fingers, a camera, one clock."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from qtopt_policy.camera import CameraModel
from qtopt_policy.episode_events import Ask, Ended, EpisodeRequest, Event, Frame, StepEnded
from qtopt_policy.episode_runner import EpisodeRunner
from qtopt_policy.geometry import Pose, pointing_down, wrap_angle
from qtopt_policy.grasp_action import GraspAction
from qtopt_policy.limits import Limits
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision, Policy
from qtopt_policy.preprocess import View
from qtopt_policy.robot import BinConfig, CameraConfig, GripperConfig, RobotConfig
from qtopt_policy.step_record import StepRecord
from support.policy_samples import make_camera

TICK = 0.01  # [s]
FLOOR = 0.005
LIMITS = Limits((0.35, -0.15, 0.0), (0.65, 0.15, 0.45), surface_height=FLOOR, tip_offset=0.01)
GRIPPER = GripperConfig(joints=("finger_joint1", "finger_joint2"))
MDP = MdpConfig(max_steps=5)
START = pointing_down([0.5, 0.0, 0.18], 0.0)


def make_robot() -> RobotConfig:
    return RobotConfig(
        name="fake",
        urdf=Path("fake.urdf"),
        srdf=Path("fake.srdf"),
        arm_joints=("joint1",),
        home=(0.0,),
        gripper=GRIPPER,
        cameras={"wrist": CameraConfig()},
        bin=BinConfig((0.5, 0.0, FLOOR), (0.3, 0.3, 0.04)),
        limits=LIMITS,
        drop=(0.5, 0.0, 0.12, 1.0, 0.0, 0.0, 0.0),
    )


class PlannedPolicy:
    """Plays given actions, then terminates; remembers what it saw."""

    def __init__(self, actions: list[GraspAction]) -> None:
        self.actions = actions
        self.seen: list[Observation] = []

    @property
    def name(self) -> str:
        return "planned"

    def reset(self, seed: int) -> None:
        self.seen.clear()

    def decide(self, observation: Observation) -> Decision:
        index = len(self.seen)
        self.seen.append(observation)
        still = GraspAction(np.zeros(3), 0.0, 3)
        return Decision(self.actions[index] if index < len(self.actions) else still, q=0.1 * index)


@dataclass
class FakeCell:
    """Moves at most `speed` [m/s] and `yaw_speed` [rad/s] towards the runner's wish.

    Attributes:
        floor: the tool is stopped by contact at this height [m].
        guard_floor: if set, the guard lets no target below this height pass [m].
        image_period: [s]; None: the camera is silent.
        pose_period, joint_period: [s] between samples.
        image_lag: age of an image when it arrives [s].
        think: how long the policy takes [s].
    """

    runner: EpisodeRunner
    policy: Policy
    time: float = 100.0
    pose: Pose = START
    aperture: float = 0.08
    speed: float = 0.2
    yaw_speed: float = 1.5
    floor: float = -1.0
    guard_floor: float | None = None
    image_period: float | None = 0.1
    pose_period: float = TICK
    joint_period: float = TICK
    image_lag: float = 0.0
    think: float = 0.0
    events: list[Event] = field(default_factory=list)
    camera: CameraModel = field(default_factory=lambda: make_camera((64, 64)))
    _ticks: int = 0
    _images: list[Frame] = field(default_factory=list)
    _answers: list[tuple[float, Ask, Decision]] = field(default_factory=list)

    def start(self, episode_id: str = "e1", seed: int = 0, gripper_closed: bool = False) -> None:
        self.policy.reset(seed)
        request = EpisodeRequest(episode_id, seed, self.policy.name)
        self.runner.start(request, self.time, self.time, gripper_closed)

    def run(self, duration: float) -> None:
        for _ in range(round(duration / TICK)):
            self.tick()

    def run_episode(self, limit: float = 60.0) -> Ended:
        self.start()
        end = self.time + limit
        while self.runner.active and self.time < end:
            self.tick()
        return self.ended[-1]

    @property
    def ended(self) -> list[Ended]:
        return [event for event in self.events if isinstance(event, Ended)]

    @property
    def records(self) -> list[StepRecord]:
        return [event.record for event in self.events if isinstance(event, StepEnded)]

    def tick(self) -> None:
        self.time = round(self.time + TICK, 6)
        self._ticks += 1
        self._move()
        self._publish_state()
        self._publish_images()
        while self._answers and self._answers[0][0] <= self.time:
            _, ask, decision = self._answers.pop(0)
            self.runner.decided(ask.number, decision, self.time)
        self.runner.tick(self.time)
        self._drain()

    def _drain(self) -> None:
        for event in self.runner.take_events():
            self.events.append(event)
            if isinstance(event, Ask):
                answer = self.policy.decide(event.observation)
                self._answers.append((self.time + self.think, event, answer))

    def _move(self) -> None:
        wish = self.runner.wish
        if wish is None:
            return
        target = wish.target
        if self.guard_floor is not None and target.position[2] < self.guard_floor:
            target = Pose(np.array([*target.position[:2], self.guard_floor]), target.quaternion)
        self.runner.add_guard_target(self.time, target)
        offset = target.position - self.pose.position
        length = float(np.linalg.norm(offset))
        share = min(1.0, self.speed * TICK / length) if length > 0 else 0.0
        position = self.pose.position + share * offset
        position[2] = max(position[2], self.floor)
        turn = wrap_angle(target.yaw() - self.pose.yaw())
        yaw = self.pose.yaw() + float(np.clip(turn, -self.yaw_speed * TICK, self.yaw_speed * TICK))
        self.pose = pointing_down(position, yaw)
        if wish.gripper_close is not None:
            goal = 0.0 if wish.gripper_close else 0.08
            self.aperture += float(np.clip(goal - self.aperture, -0.002, 0.002))

    def _publish_state(self) -> None:
        if self._ticks % round(self.joint_period / TICK) == 0:
            position = self.aperture / 2.0
            names = ["finger_joint2", "joint1", "finger_joint1"]
            self.runner.add_joints(self.time, names, [position, 0.3, position], self.time)
        if self._ticks % round(self.pose_period / TICK) == 0:
            self.runner.add_pose(self.time, self.pose, self.time)

    def _publish_images(self) -> None:
        if self.image_period is not None and self._ticks % round(self.image_period / TICK) == 0:
            image = np.full((64, 64, 3), self._ticks % 251, dtype=np.uint8)
            self._images.append(Frame(self.time, self.time, image, self.camera))
        while self._images and self._images[0].stamp + self.image_lag <= self.time:
            frame = replace(self._images.pop(0), arrival=self.time)
            if self.runner.image_arrived(frame.stamp, self.time):
                self.runner.add_image(frame)


def make_cell(policy: Policy, mdp: MdpConfig = MDP, robot: RobotConfig | None = None) -> FakeCell:
    robot = robot or make_robot()
    return FakeCell(EpisodeRunner(mdp, robot, View(mdp.image_size, None, FLOOR)), policy)
