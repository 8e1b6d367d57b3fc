"""The loop of an episode on topics: messages into EpisodeRunner, events out, the policy in a thread."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from qtopt_policy import topics
from qtopt_policy.base_node import ERROR, LATEST_QOS, OK, RECORD_QOS, WARN, BaseNode, nanoseconds, pose_values
from qtopt_policy.camera_node import CameraInput
from qtopt_policy.config import load_config
from qtopt_policy.episode_events import (
    Ask,
    Chosen,
    Ended,
    EpisodeRequest,
    Event,
    Frame,
    Paused,
    Refused,
    StepEnded,
)
from qtopt_policy.episode_runner import EpisodeRunner
from qtopt_policy.errors import QtoptError, ShapeError, UnknownNameError
from qtopt_policy.extrinsics import camera_pose
from qtopt_policy.geometry import Pose
from qtopt_policy.latency import Latencies
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.base import Decision
from qtopt_policy.policy_store import ReadyPolicy
from qtopt_policy.policy_topics_node import PolicyPublisher, camera_text
from qtopt_policy.preprocess import View
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand
from qtopt_policy.worker import Worker

WATCH_PERIOD = 0.1  # [s] of the steady clock
REPORT_PERIOD = 1.0  # [s] of the steady clock
FIXED_PARAMETERS = {"robot": "config/robots/sim.yaml", "mdp": "config/mdp.yaml", "camera": "wrist"}
# Deep enough that no sample between two images is lost while a callback runs.
STREAM_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)


class EpisodeNode(BaseNode):
    """Runs episodes with a policy that `begin` is given.

    Parameters (ROS):
        robot, mdp: paths of the YAML files; set at the start.
        camera: name of the active camera; set at the start.
        debug_image: draw decisions for whoever subscribes.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        for parameter, default in FIXED_PARAMETERS.items():
            self.declare_parameter(parameter, default, ParameterDescriptor(read_only=True))
        self.declare_parameter("debug_image", True)
        self._worker = Worker(self._wake)
        self._ready: ReadyPolicy | None = None
        self._gripper_closed = False
        self._wished: bool | None = None
        self._refused = 0
        self._failing: set[str] = set()
        self._latency = math.nan  # of the step that runs
        self._latencies = {name: Latencies() for name in ("image_to_wish", "decision", "image_age")}

    def setup(self) -> None:
        """Read robot, task and camera; connect them."""
        self.robot = load_robot(resolve(Path(self.parameter("robot", str))))
        self.mdp = load_config(resolve(Path(self.parameter("mdp", str))), MdpConfig)
        name = self.parameter("camera", str)
        if name not in self.robot.cameras:
            raise UnknownNameError("camera", name, self.robot.cameras)
        camera = self.robot.cameras[name]
        pose = camera_pose(expand(self.robot.urdf, self.robot.xacro_args), self.robot, camera)
        self.view = View(self.mdp.image_size, camera.crop, self.robot.bin.centre[2])
        self.runner = EpisodeRunner(self.mdp, self.robot, self.view)
        self.out = PolicyPublisher(self, self.robot.base_frame, self.mdp.action_frame, camera.frame)
        where = self.robot.camera_topics(name)
        self.camera = CameraInput(self, camera, pose, self._image_arrived, self._take_frame, where)
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, STREAM_QOS)
        self.create_subscription(PoseStamped, topics.TOOL_POSE, self._on_tool_pose, RECORD_QOS)
        self.create_subscription(PoseStamped, topics.TARGET_POSE, self._on_guard_target, LATEST_QOS)
        self.create_subscription(Bool, topics.GRIPPER_CLOSE, self._on_gripper, LATEST_QOS)
        self.create_timer(1.0 / topics.REPUBLISH_RATE, self._republish)
        self.create_timer(WATCH_PERIOD, self._watch, clock=self.steady_clock)
        self.create_timer(REPORT_PERIOD, self._report_latencies, clock=self.steady_clock)

    def begin(self, request: EpisodeRequest, ready: ReadyPolicy) -> None:
        """Start the episode: the next image is the first that counts."""
        self._ready = ready
        self.runner.start(request, self.now(), self.steady_now(), self._gripper_closed)
        self.report("episode", OK, f"running '{request.episode_id}'", policy=request.policy)

    def destroy_node(self) -> None:
        """Wait for the thread before the node goes."""
        self._worker.close()
        super().destroy_node()

    # ---- inputs

    def _image_arrived(self, stamp: float) -> bool:
        return self.runner.image_arrived(stamp, self.steady_now())

    def _take_frame(self, frame: Frame) -> None:
        self.runner.add_image(frame)
        self.drain()

    def _on_joints(self, message: JointState) -> None:
        stamp = nanoseconds(message.header.stamp) * 1e-9
        try:
            self.runner.add_joints(stamp, message.name, message.position, self.steady_now())
            self._fine(topics.JOINT_STATES)
        except ShapeError as error:
            self._warn(topics.JOINT_STATES, str(error))
        self.drain()

    def _on_tool_pose(self, message: PoseStamped) -> None:
        pose = self._checked_pose(message, topics.TOOL_POSE)
        if pose is not None:
            self.runner.add_pose(nanoseconds(message.header.stamp) * 1e-9, pose, self.steady_now())
            self.drain()

    def _on_guard_target(self, message: PoseStamped) -> None:
        pose = self._checked_pose(message, topics.TARGET_POSE)
        if pose is not None:
            self.runner.add_guard_target(nanoseconds(message.header.stamp) * 1e-9, pose)

    def _checked_pose(self, message: PoseStamped, topic: str) -> Pose | None:
        """Return the pose of a message, or None and a report if it is not one in the base frame."""
        frame = message.header.frame_id
        try:
            if frame != self.robot.base_frame:
                raise ShapeError(f"{topic} in the frame '{frame}', expected '{self.robot.base_frame}'")
            pose = Pose.from_array(pose_values(message))
        except ShapeError as error:
            self._warn(topic, str(error))
            return None
        self._fine(topic)
        return pose

    def _warn(self, topic: str, text: str) -> None:
        self._failing.add(topic)
        self.report(topic, WARN, text)

    def _fine(self, topic: str) -> None:
        if topic in self._failing:
            self._failing.discard(topic)
            self.report(topic, OK, "usable")

    def _on_gripper(self, message: Bool) -> None:
        self._gripper_closed = bool(message.data)

    # ---- the loop

    def _republish(self) -> None:
        if self.runner.wish is not None:
            self.out.wish(self.runner.wish)

    def _watch(self) -> None:
        self.runner.tick(self.steady_now())
        self.drain()

    def _report_latencies(self) -> None:
        values = {k: v for name, taken in self._latencies.items() for k, v in taken.summary(name).items()}
        self.report("latency", OK, f"image to wish {values['image_to_wish_p50_ms']} ms (median)", **values)

    def _wake(self) -> None:
        """Have the worker's result delivered by the executor. Any thread."""
        if self.executor is not None:
            self.executor.create_task(self._deliver)

    def _deliver(self) -> None:
        self._worker.deliver()
        self.drain()

    def drain(self) -> None:
        """Turn what has happened into messages."""
        for event in self.runner.take_events():
            self._handle(event)
        wish = self.runner.wish
        if wish is not None and wish.gripper_close != self._wished:
            self.out.wish(wish)  # fingers do not wait for the next republishing
        self._wished = None if wish is None else wish.gripper_close

    def _handle(self, event: Event) -> None:
        if isinstance(event, Ask):
            self._ask(event)
        elif isinstance(event, Chosen):
            self._chosen(event)
        elif isinstance(event, StepEnded):
            self.out.step(replace(event.record, latency=self._latency))
        elif isinstance(event, Ended):
            self._ended(event)
        elif isinstance(event, Refused):
            self._refused += 1
            self._failing.add("observation")
            self.report("observation", WARN, event.reason, refused=self._refused, stamp=event.stamp)
        elif isinstance(event, Paused):
            level, silent = (WARN, ", ".join(event.silent)) if event.silent else (OK, "nothing")
            self.report("inputs", level, f"silent: {silent}")

    def _ask(self, ask: Ask) -> None:
        assert self._ready is not None
        policy = self._ready.policy
        self._fine("observation")

        def decide() -> tuple[Decision, float]:
            start = time.monotonic()
            decision = policy.decide(ask.observation)
            return decision, time.monotonic() - start

        self._worker.submit(decide, partial(self._decided, ask), self._policy_failed)
        self.out.observation(ask)

    def _decided(self, ask: Ask, result: tuple[Decision, float]) -> None:
        decision, duration = result
        self._latencies["decision"].add(duration)
        self.runner.decided(ask.number, decision, self.now())

    def _policy_failed(self, error: Exception) -> None:
        detail = str(error) if isinstance(error, QtoptError) else f"{type(error).__name__}: {error}"
        self.runner.fail(f"policy: {detail}")

    def _chosen(self, chosen: Chosen) -> None:
        wish = self.runner.wish
        if wish is not None:
            self.out.wish(wish)
            self._latency = time.monotonic() - chosen.ask.arrival
            self._latencies["image_to_wish"].add(self._latency)
        self._latencies["image_age"].add(self.now() - chosen.ask.observation.stamp)
        self.out.action(chosen)
        if chosen.ask.index == 0:
            self._publish_state("running", camera=camera_text(chosen.ask.observation))
        if chosen.reasons:
            self.report("limits", OK, f"clipped: {', '.join(chosen.reasons)}", step=chosen.ask.index)
        if self.parameter("debug_image", bool) and self.out.debug_wanted:
            self._show("debug_image", partial(self.out.debug_image, chosen))
        if self.out.markers_wanted:
            self._show("markers", partial(self.out.markers, chosen))

    def _show(self, what: str, draw: Callable[[], None]) -> None:
        """Have the worker draw: a picture that fails ends nothing."""

        def failed(error: Exception) -> None:
            self.report(what, WARN, f"{type(error).__name__}: {error}")

        self._worker.submit(draw, lambda _: None, failed)

    def _ended(self, event: Ended) -> None:
        self._publish_state("ended", steps=event.steps, reason=event.reason, detail=event.detail)
        level = ERROR if event.reason in ("error", "watchdog") else OK
        self.report("episode", level, f"{event.reason}: {event.detail}", steps=event.steps)

    def _publish_state(
        self, state: str, steps: int = 0, reason: str = "", detail: str = "", camera: str = ""
    ) -> None:
        digest = "" if self._ready is None else self._ready.digest
        self.out.episode(self.runner.request, state, steps, reason, detail, digest, camera)
