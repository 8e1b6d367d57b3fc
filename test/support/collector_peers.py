"""Stand-ins for the nodes around collector_node, each under the name of the real one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, Header
from std_srvs.srv import Trigger

from qtopt_collector.bags import messages, schema
from qtopt_collector.bags.convert import episode_signals
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.base_node import (
    LATCHED_QOS,
    LATEST_QOS,
    RECORD_QOS,
    SENSOR_QOS,
    nanoseconds,
    pose_message,
    pose_values,
    status,
)
from qtopt_policy.geometry import Pose, pointing_down
from support.episodes import make_camera, make_info, make_steps
from support.graph import Graph

APERTURE_OF_OBJECT = 0.03  # [m]
GRIP_FORCE = 7.0  # [N]


class Peer(Node):  # type: ignore[misc]
    """A node with a heartbeat.

    Attributes:
        dead: its heartbeat has stopped.
    """

    def __init__(self, name: str, parameters: dict[str, object] | None = None) -> None:
        super().__init__(name)
        self.dead = False
        for key, value in (parameters or {}).items():
            self.declare_parameter(key, value)
        self._beats = self.create_publisher(Header, f"{topics.HEARTBEAT}/{name}", LATEST_QOS)
        self.create_timer(0.05, self._beat)

    def _beat(self) -> None:
        if not self.dead:
            self._beats.publish(Header(stamp=self.get_clock().now().to_msg(), frame_id=self.get_name()))

    def stamp(self) -> int:
        return int(self.get_clock().now().nanoseconds)


class FakeGuard(Peer):
    """Guard, executor and driver in one: the tool is at once where the owner's wish says.

    Attributes:
        owners: all that owned the arm, in order.
        holding: an object lies between the fingers.
    """

    def __init__(self) -> None:
        super().__init__("guard_node", {topics.OWNER_PARAMETER: "none"})
        self.owners: list[str] = []
        self.pose = pointing_down([0.45, 0.05, 0.03], 0.4)
        self.closed, self.holding = False, False
        self.wishes: list[Pose] = []
        self._joints = self.create_publisher(JointState, topics.JOINT_STATES, RECORD_QOS)
        self._tool = self.create_publisher(PoseStamped, topics.TOOL_POSE, RECORD_QOS)
        self._target = self.create_publisher(PoseStamped, topics.TARGET_POSE, LATEST_QOS)
        self._gripper = self.create_publisher(Bool, topics.GRIPPER_CLOSE, LATEST_QOS)
        self._state = self.create_publisher(DiagnosticArray, topics.ARM_STATE, LATCHED_QOS)
        self.create_subscription(PoseStamped, topics.COLLECTOR_TARGET, self._on_wish, LATEST_QOS)
        self.create_subscription(Bool, topics.COLLECTOR_GRIPPER, self._on_gripper, LATEST_QOS)
        self.add_post_set_parameters_callback(self._on_owner)
        self.create_timer(0.01, self._publish)

    def _on_owner(self, parameters: list[Parameter]) -> None:
        self.owners += [parameter.value for parameter in parameters]
        values: dict[str, object] = {"owner": self.owners[-1], "armed": 1, "stopped": 0, "reason": ""}
        self._state.publish(DiagnosticArray(status=[status("arm", b"\0", "", values)]))

    def _on_wish(self, message: PoseStamped) -> None:
        if self.owners and self.owners[-1] == "collector":
            self.pose = Pose.from_array(pose_values(message))
            self.wishes.append(self.pose)
            self._target.publish(message)

    def _on_gripper(self, message: Bool) -> None:
        if self.owners and self.owners[-1] == "collector":
            self.command(message.data)

    def command(self, close: bool) -> None:
        self.closed = close
        self.holding = self.holding and close
        self._gripper.publish(Bool(data=close))

    def _publish(self) -> None:
        stamp = self.get_clock().now().to_msg()
        opening = (APERTURE_OF_OBJECT if self.holding else 0.0) if self.closed else 0.08
        joints = JointState(
            name=["joint1", "finger_joint1"], position=[0.1, opening / 2.0], effort=[0.0, -GRIP_FORCE]
        )
        joints.header.stamp = stamp
        self._joints.publish(joints)
        self._tool.publish(pose_message(self.pose, "base_link", stamp))


class FakePolicy(Peer):
    """Plays a random episode when asked to.

    Attributes:
        guard: whose gripper it closes at the end.
        ids: of the episodes run.
        dies: it dies after its first step.
        refuses: what it answers to a request, "" to accept.
    """

    def __init__(self, guard: FakeGuard) -> None:
        values = {"episode.id": "", "policy.name": "", "policy.epsilon": 0.0, "policy.noise": 0.0, "seed": 0}
        super().__init__("policy_node", values)
        self.guard = guard
        self.ids: list[str] = []
        self.dies, self.refuses = False, ""
        self._queue: list[tuple[str, object]] = []
        kinds = {topics.OBSERVATION: CompressedImage, topics.ACTION: JointState, topics.STEP: DiagnosticArray}
        self._out: dict[str, Any] = {
            topic: self.create_publisher(kind, topic, RECORD_QOS) for topic, kind in kinds.items()
        }
        self._out[topics.EPISODE] = self.create_publisher(DiagnosticArray, topics.EPISODE, LATCHED_QOS)
        self.create_service(Trigger, topics.RUN_EPISODE, self._on_run)
        self.create_service(Trigger, topics.CANCEL_EPISODE, self._on_cancel)
        self.create_timer(0.05, self._play)

    def _on_run(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.refuses:
            response.success, response.message = False, json.dumps({"reason": self.refuses})
            return response
        name = str(self.get_parameter("episode.id").value)
        self.ids.append(name)
        camera = make_camera()
        steps = make_steps(3, camera, seed=len(self.ids), start=self.stamp() * 1e-9)
        episode = Episode(replace(make_info(name), episode_id=name), steps, camera)
        own = [s for s in episode_signals(episode, "base_link") if s.topic in self._out]
        text = json.dumps(camera.to_mapping())
        self._queue = [self._state(name, "started"), self._state(name, "running", camera=text)]
        self._queue += [(signal.topic, signal.message) for signal in own]
        self._queue.append(self._state(name, "ended", reason="terminate", steps="3"))
        response.success, response.message = True, json.dumps({"episode_id": name})
        return response

    def _on_cancel(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, self._queue = bool(self._queue), []
        return response

    def _state(self, name: str, state: str, **known: str) -> tuple[str, object]:
        values = dict.fromkeys(topics.EPISODE_KEYS, "") | {
            "episode_id": name,
            "state": state,
            "policy": "fake",
        }
        return topics.EPISODE, messages.diagnostics("episode", values | known, self.stamp())

    def _play(self) -> None:
        if not self._queue or self.dead:
            return
        topic, message = self._queue.pop(0)
        self._out[topic].publish(schema.serialize(message, schema.SPECS[topic].kind))
        if topic == topics.STEP and self.dies:
            self.dead = True
        if len(self._queue) == 1:
            self.guard.holding = True
            self.guard.command(True)


class FakeSim(Peer):
    """Scenes without objects and a camera that sees whether something is held.

    Attributes:
        scenes: split and seed of each reset.
    """

    def __init__(self, guard: FakeGuard) -> None:
        super().__init__("sim_node", {"seed": 0, "split": ""})
        self.guard = guard
        self.scenes: list[tuple[str, int]] = []
        self._camera = make_camera(48, 64)
        self._images = self.create_publisher(Image, topics.IMAGE, SENSOR_QOS)
        self._infos = self.create_publisher(CameraInfo, topics.CAMERA_INFO, SENSOR_QOS)
        self._truths = self.create_publisher(DiagnosticArray, topics.SIM_TRUTH, LATEST_QOS)
        self.create_service(Trigger, topics.SIM_RESET, self._on_reset)
        self.create_timer(0.05, self._publish)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        split, seed = (self.get_parameter(name).value for name in ("split", "seed"))
        self.scenes.append((split, seed))
        response.success, response.message = True, "{}"
        return response

    def _publish(self) -> None:
        stamp = self.get_clock().now().to_msg()
        pixels = np.full((48, 64, 3), 100, dtype=np.uint8)
        left = 10 if self.guard.holding else 40
        pixels[20:30, left : left + 10] = (220, 40, 40)
        image = Image(height=48, width=64, encoding="rgb8", step=192, data=pixels.tobytes())
        image.header.stamp = stamp
        self._images.publish(image)
        info = messages.camera_info(self._camera, nanoseconds(stamp), "camera")
        self._infos.publish(schema.serialize(info, schema.CAMERA_INFO))
        values: dict[str, object] = {"lifted": int(self.guard.holding)}
        truth = DiagnosticArray(status=[status("truth", b"\0", "", values)])
        truth.header.stamp = stamp
        self._truths.publish(truth)


class Peers:
    """All nodes around the collector."""

    def __init__(self, graph: Graph, others: Sequence[str] = ("servo_node", "gripper_node")) -> None:
        self.guard = graph.add(FakeGuard())
        self.policy = graph.add(FakePolicy(self.guard))
        self.sim = graph.add(FakeSim(self.guard))
        self.others = [graph.add(Peer(name)) for name in others]
