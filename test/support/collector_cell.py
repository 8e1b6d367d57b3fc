"""A cell for the collector without ROS: an arm that follows wishes, fingers, a camera, a scripted policy."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from qtopt_collector.bags import messages
from qtopt_collector.bags.convert import episode_signals
from qtopt_collector.cell import Picture, Reply, Request
from qtopt_collector.collector import Collector, CollectorConfig
from qtopt_collector.episode import Episode
from qtopt_collector.recorder import Recorder
from qtopt_collector.switching import PolicyPlan
from qtopt_policy import topics
from qtopt_policy.drivers import DriverConfig
from qtopt_policy.geometry import Pose, pointing_down, wrap_angle
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.exploration import Exploration
from qtopt_policy.robot import RobotConfig
from support.episodes import JOINTS, make_camera, make_info, make_steps
from support.fake_cell import GRIPPER, make_robot

TICK = 0.05  # [s]
SPEED = 0.25  # [m/s]
OBJECT = 0.03  # [m] width of what is grasped


class CollectorCell:
    """Runs a Collector against a fake cell until it is through.

    Attributes:
        collector: under test.
        steps: that the policy makes in each episode.
        reason: for which its episodes end.
        grasp: whether it ends with an object between the fingers.
        hang: it never tells its end.
        idle: it never does anything.
        refuse: kinds of requests that are refused.
        ignore: kinds of requests that are never answered.
        requests: all that came, as (kind, values).
        image_height: of the camera's pictures [px].
        at_tick: called before each tick, e.g. to break something.
    """

    def __init__(
        self,
        bags: Path,
        episodes: int = 2,
        plan: PolicyPlan | None = None,
        config: CollectorConfig | None = None,
        driver: DriverConfig | None = None,
    ) -> None:
        start = (0.5, 0.0, 0.18, 1.0, 0.0, 0.0, 0.0)
        self.robot: RobotConfig = replace(make_robot(), start=start, driver=driver or DriverConfig())
        self.recorder = Recorder(bags)
        config = config or CollectorConfig(episodes=episodes, seed=40, deadline=20.0)
        plan = plan or PolicyPlan("scripted", Exploration(), checkpoint=False)
        self.collector = Collector(self.robot, MdpConfig(), config, plan, self.recorder)
        self.steps, self.reason, self.grasp, self.hang = 3, "terminate", True, False
        self.idle = False
        self.refuse: set[str] = set()
        self.ignore: set[str] = set()
        self.requests: list[tuple[str, dict[str, object]]] = []
        self.outcomes: list[dict[str, str]] = []
        self.at_tick: Callable[[CollectorCell], None] = lambda cell: None
        self.time = 10.0
        self.pose = pointing_down([0.45, 0.05, 0.03], 0.4)
        self.path: list[Pose] = []
        self.owner = "none"
        self.closed, self.held = False, False
        self.camera_works = True
        self.image_height = 48
        self._prepared: dict[str, object] = {}
        self._running = 0.0

    @property
    def aperture(self) -> float:
        """Distance of the fingertips [m]."""
        if not self.closed:
            return GRIPPER.max_aperture
        return OBJECT if self.held else 0.0

    def run(self, seconds: float = 300.0) -> None:
        """Run until the collector is through; fail after `seconds` of simulated time."""
        end = self.time + seconds
        while not self.collector.finished:
            assert self.time < end, f"still {self.collector.phase}"
            self.step()

    def step(self) -> None:
        """One tick of everything."""
        self.time += TICK
        self.at_tick(self)
        self._sense()
        self.collector.tick(self.time, self.time)
        self.outcomes += self.collector.books.outcomes
        self.collector.books.outcomes = []
        requests, self.collector.cell.requests = self.collector.cell.requests, []
        for request in requests:
            self._answer(request)
        self._move()
        self._run_policy()

    def _sense(self) -> None:
        cell = self.collector.cell
        position = self.aperture / GRIPPER.aperture_scale
        cell.state.add_pose(self.time, self.pose)
        cell.state.add_joints(self.time, GRIPPER.joints[:1], [position])
        cell.gripper_closed = self.closed
        cell.arm = cell.arm | {"owner": self.owner, "armed": "1"}
        cell.truth = {"lifted": str(int(self.held)), "stamp": str(self.time)}
        if self.camera_works and cell.picture_wanted:
            cell.picture = Picture(self._image(), self.time)
        stamp = messages.nanoseconds(self.time)
        self.recorder.record_message(
            topics.JOINT_STATES, stamp, messages.joint_state(stamp, JOINTS, [0.0, 0.0, position])
        )

    def _image(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
        image = np.full((48, 64, 3), 100, dtype=np.uint8)
        place = (20, 20) if self.held else (10, 40)
        image[place[0] : place[0] + 8, place[1] : place[1] + 8] = (200, 40, 40)
        return image[: self.image_height]

    def _answer(self, request: Request) -> None:
        self.requests.append((request.kind, dict(request.values)))
        if request.kind in self.ignore:
            return
        if request.kind in self.refuse:
            request.reply = Reply(False, "no such policy")
            return
        request.reply = Reply(True, "{}")
        if request.kind == "own":
            self.owner = str(request.values["owner"])
        elif request.kind == "resume":
            self.collector.cell.arm = {"stopped": "0", "reason": "just resumed"}
        elif request.kind == "prepare":
            self._prepared = dict(request.values)
        elif request.kind == "run":
            self._running = self.time
        elif request.kind == "cancel":
            self._running = 0.0

    def _move(self) -> None:
        wish = self.collector.wish
        self.path.append(self.pose)
        if self.owner != "collector" or wish is None:
            return
        offset = wish.target.position - self.pose.position
        length = float(np.linalg.norm(offset))
        step = offset * min(1.0, SPEED * TICK / max(length, 1e-9))
        turn = np.clip(wrap_angle(wish.target.yaw() - self.pose.yaw()), -0.2, 0.2)
        self.pose = pointing_down(self.pose.position + step, self.pose.yaw() + float(turn))
        if wish.gripper_close is not None:
            self.held = self.held and wish.gripper_close
            self.closed = wish.gripper_close

    def _run_policy(self) -> None:
        """After `run`: the first decision, then all messages of an episode at once, then its end."""
        if not self._running or self.time < self._running + 0.25 or self.idle:
            return
        name, camera = str(self._prepared["episode.id"]), make_camera()
        told = {"episode_id": name, "policy": str(self._prepared["policy.name"]), "checkpoint": ""}
        if self.time < self._running + 0.5:
            text = json.dumps(camera.to_mapping())
            self.collector.cell.hear_episode(told | {"state": "running", "camera": text})
            return
        self._running = 0.0
        steps = make_steps(self.steps, camera, seed=1, start=self.time)
        episode = Episode(replace(make_info(name), episode_id=name), steps, camera)
        for signal in episode_signals(episode, "base_link"):
            self.recorder.record_message(signal.topic, signal.time, signal.message)
        self.pose = pointing_down([0.52, -0.03, 0.03], 0.2)
        self.closed, self.held = True, self.grasp
        if not self.hang:
            end = {"state": "ended", "reason": self.reason, "steps": str(self.steps), "camera": ""}
            self.collector.cell.hear_episode(told | end)
