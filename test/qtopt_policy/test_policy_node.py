"""policy_node in a real graph, with a fake robot."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, Header
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray

from qtopt_policy import topics
from qtopt_policy.base_node import LATCHED_QOS, RECORD_QOS, as_dict, nanoseconds, pose_values
from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.checkpoint import describe, save_checkpoint
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import ACTION_NAMES, CLOSE, GraspAction
from qtopt_policy.image_codec import Encoded, decode
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.registry import make_network
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision, Policy
from qtopt_policy.policies.registry import make_policy
from qtopt_policy.policy_node import PolicyNode
from qtopt_policy.preprocess import preprocess
from support.fake_cell import PlannedPolicy
from support.fake_robot import FakeRobot
from support.graph import Graph, ros_graph
from support.pictures import sim_robot
from support.policy_samples import make_camera

pytestmark = pytest.mark.graph

MOVES = [
    GraspAction(np.array([0.03, 0.0, 0.0]), 0.2, 0),
    GraspAction(np.array([0.0, 0.02, 0.02]), 0.0, CLOSE),
]


class Recorder(Node):  # type: ignore[misc]
    """Keeps what policy_node publishes."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.episodes: list[dict[str, str]] = []
        self.details: list[str] = []
        self.episode_stamps: list[int] = []
        self.steps: list[dict[str, str]] = []
        self.observations: list[CompressedImage] = []
        self.actions: list[JointState] = []
        self.targets: list[PoseStamped] = []
        self.closes: list[bool] = []
        self.taken: list[int] = []
        self.diagnostics: dict[str, tuple[bytes, str, dict[str, str]]] = {}
        keep = self.create_subscription
        keep(DiagnosticArray, topics.EPISODE, self._on_episode, LATCHED_QOS)
        keep(DiagnosticArray, topics.STEP, lambda m: self.steps.append(as_dict(m.status[0])), RECORD_QOS)
        keep(CompressedImage, topics.OBSERVATION, self.observations.append, RECORD_QOS)
        keep(JointState, topics.ACTION, self.actions.append, RECORD_QOS)
        keep(PoseStamped, topics.POLICY_TARGET, self.targets.append, RECORD_QOS)
        keep(Bool, topics.POLICY_GRIPPER, lambda m: self.closes.append(m.data), RECORD_QOS)
        keep(Header, topics.IMAGE_TAKEN, lambda m: self.taken.append(nanoseconds(m.stamp)), RECORD_QOS)
        keep(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, RECORD_QOS)

    def _on_episode(self, message: DiagnosticArray) -> None:
        self.episodes.append(as_dict(message.status[0]))
        self.details.append(message.status[0].message)
        self.episode_stamps.append(nanoseconds(message.header.stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for entry in message.status:
            self.diagnostics[entry.name] = (entry.level, entry.message, as_dict(entry))


class Bench:
    """policy_node, a fake robot and a recorder."""

    def __init__(
        self, graph: Graph, policy: Policy | None, make: Callable[..., Policy] = make_policy
    ) -> None:
        self.graph = graph
        self.robot = graph.add(FakeRobot())
        self.recorder = graph.add(Recorder())
        self.node = graph.start(PolicyNode(lambda *a, **k: policy) if policy else PolicyNode(make))
        clients = self.recorder.create_client
        self._parameters = clients(SetParametersAtomically, "policy_node/set_parameters_atomically")
        self._run, self._cancel = (
            clients(Trigger, topics.RUN_EPISODE),
            clients(Trigger, topics.CANCEL_EPISODE),
        )

    def set(self, **values: Any) -> Any:
        """Set parameters; `__` stands for a dot."""
        parameters = [Parameter(k.replace("__", "."), value=v).to_parameter_msg() for k, v in values.items()]
        return self.graph.call(
            self._parameters, SetParametersAtomically.Request(parameters=parameters)
        ).result

    def run(self) -> tuple[bool, dict[str, str]]:
        response = self.graph.call(self._run, Trigger.Request())
        return response.success, json.loads(response.message)

    def cancel(self) -> tuple[bool, dict[str, str]]:
        response = self.graph.call(self._cancel, Trigger.Request())
        return response.success, json.loads(response.message)

    def start(self, episode_id: str = "e1", **values: Any) -> None:
        """Start an episode as soon as the node has heard of the robot."""
        assert self.set(episode__id=episode_id, **values).successful
        self.wait(lambda: self.run()[0], "an accepted episode")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self.graph.spin_until(condition, what)

    def state(self, episode_id: str = "e1") -> str:
        states = [entry["state"] for entry in self.recorder.episodes if entry["episode_id"] == episode_id]
        return states[-1] if states else ""

    def wait_end(self, episode_id: str = "e1") -> dict[str, str]:
        self.wait(lambda: self.state(episode_id) == "ended", f"the end of {episode_id}")
        return self.recorder.episodes[-1]

    def diagnosed(self, name: str) -> tuple[bytes, str, dict[str, str]]:
        self.wait(lambda: f"policy_node: {name}" in self.recorder.diagnostics, f"diagnostic {name}")
        return self.recorder.diagnostics[f"policy_node: {name}"]

    def level_is(self, name: str, level: bytes) -> bool:
        return self.recorder.diagnostics.get(f"policy_node: {name}", (None,))[0] == level


Open = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open a bench; arguments are ROS parameters of policy_node as `name=value`."""
    opened: list[Any] = []

    def start(policy: Policy | None = None, **parameters: str) -> Bench:
        rules = [f"policy_node:{name}:={value}" for name, value in parameters.items()]
        opened.append(ros_graph(tmp_path, rules))
        return Bench(opened[-1].__enter__(), policy)

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def test_an_episode_from_the_request_to_its_end(bench: Open) -> None:
    policy = PlannedPolicy(MOVES)
    cell = bench(policy)
    cell.start(seed=7)
    ended = cell.wait_end()
    recorder = cell.recorder
    assert [entry["state"] for entry in recorder.episodes] == ["started", "running", "ended"]
    assert (ended["reason"], ended["steps"], ended["policy"], ended["seed"]) == (
        "terminate",
        "3",
        "planned",
        "7",
    )
    assert tuple(ended) == topics.EPISODE_KEYS
    cell.wait(lambda: len(recorder.steps) == 3, "three steps")
    assert [step["index"] for step in recorder.steps] == ["0", "1", "2"]
    assert all(tuple(step) == topics.STEP_KEYS for step in recorder.steps)
    assert recorder.steps[-1]["is_terminal"] == "1"
    assert cell.robot.closed


def test_the_policy_sees_what_is_published_and_the_camera_took(bench: Open) -> None:
    policy = PlannedPolicy(MOVES)
    cell = bench(policy)
    cell.start()
    cell.wait_end()
    cell.wait(lambda: len(cell.recorder.observations) == 3, "three observations")
    size = MdpConfig().image_size
    for seen, message in zip(policy.seen, cell.recorder.observations, strict=True):
        published = decode(Encoded(message.format, bytes(message.data)))
        np.testing.assert_array_equal(seen.image, published)
        stamp = nanoseconds(message.header.stamp)
        taken = next(picture for sent, picture in cell.robot.pictures.items() if abs(sent - stamp) < 1000)
        whole = CameraModel(96, 96, 90.0, 90.0, 47.5, 47.5, "tool", Pose.identity())
        np.testing.assert_array_equal(seen.image, preprocess(taken, whole, None, size)[0])


def test_actions_are_named_stamped_and_lead_to_the_targets(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    cell.start()
    cell.wait_end()
    cell.wait(lambda: len(cell.recorder.actions) == 3, "three actions")
    recorder = cell.recorder
    for action, observation in zip(recorder.actions, recorder.observations, strict=True):
        assert tuple(action.name) == ACTION_NAMES
        assert action.header.stamp == observation.header.stamp
        assert action.header.frame_id == "tool"
    first = recorder.steps[0]
    target = GraspAction.from_array(json.loads(first["asked"])).target(
        Pose.from_array(json.loads(first["tool_pose"])), "tool"
    )
    assert Pose.from_array(pose_values(recorder.targets[0])).distance(target) < 1e-9
    assert recorder.targets[0].header.frame_id == "base_link"


def test_wishes_are_repeated_with_fresh_stamps_until_the_end_and_then_stop(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    cell.start()
    cell.wait_end()
    stamps = [nanoseconds(message.header.stamp) for message in cell.recorder.targets]
    assert stamps == sorted(set(stamps))
    gaps = np.diff(stamps) * 1e-9
    assert np.median(gaps) < 1.5 / topics.REPUBLISH_RATE
    cell.graph.spin(0.1)  # what was under way
    count = len(cell.recorder.targets)
    cell.graph.spin(0.3)
    assert len(cell.recorder.targets) == count


def test_the_episode_s_camera_is_the_network_s(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    cell.start()
    cell.wait_end()
    running = next(entry for entry in cell.recorder.episodes if entry["state"] == "running")
    camera = CameraModel.from_mapping(json.loads(running["camera"]), "episode")
    assert (camera.height, camera.width) == MdpConfig().image_size
    assert camera.mount == "tool"
    assert camera.fx == pytest.approx(90.0 * 64 / 96)


def test_every_image_is_confirmed(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    cell.start()
    cell.wait_end()
    first, last = cell.recorder.taken[0], cell.recorder.taken[-1]
    sent = [stamp for stamp in cell.robot.pictures if first <= stamp <= last]
    assert cell.recorder.taken == sent


def test_cancel_ends_an_episode_at_once(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES * 10))
    cell.start()
    cell.wait(lambda: bool(cell.recorder.targets), "a wish")
    assert cell.cancel() == (True, {"episode_id": "e1"})
    assert cell.wait_end()["reason"] == "operator"
    assert cell.cancel() == (False, {"reason": "no episode is running"})


def test_parameters_are_refused_during_an_episode_and_taken_after_it(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES * 10))
    cell.start()
    refused = cell.set(seed=3, policy__epsilon=0.5)
    assert not refused.successful
    assert refused.reason == "policy.epsilon, seed: refused, episode 'e1' is running"
    assert cell.run() == (False, {"reason": "episode 'e1' is running"})
    cell.cancel()
    assert cell.set(seed=3, policy__epsilon=0.5).successful


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"policy__name": "clever"}, r"unknown policy.name 'clever'. Valid choices: cem, random, scripted"),
        ({"policy__epsilon": 1.5, "seed": 4}, "policy.epsilon 1.5: must be in [0, 1]"),
        ({"search__elites": 200, "seed": 4}, "elites 200: must be 1 to samples (128)"),
    ],
)
def test_wrong_parameters_are_refused_as_a_whole(bench: Open, values: dict[str, Any], reason: str) -> None:
    cell = bench(PlannedPolicy(MOVES))
    result = cell.set(**values)
    assert not result.successful
    assert result.reason.startswith(reason)
    assert cell.node.parameter("seed", int) == 1


def test_an_episode_needs_an_id_a_camera_and_the_robot_s_state(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    robot = cell.robot
    robot.has_info = robot.has_pose = False
    robot.joints = lambda finger: (["joint7"], [0.0])
    assert cell.run() == (False, {"reason": "parameter episode.id is empty"})
    cell.set(episode__id="e1")
    assert cell.run() == (False, {"reason": "no usable camera/camera_info yet"})
    robot.has_info = True
    cell.wait(lambda: cell.run()[1]["reason"].startswith("no arm/tool_pose yet"), "a refusal for the pose")
    robot.has_pose = True
    cell.wait(lambda: "joint state of 'finger_joint1'" in cell.run()[1]["reason"], "one for the joint")


def test_a_policy_that_fails_ends_its_episode_and_not_the_node(bench: Open) -> None:
    class Failing(PlannedPolicy):
        def decide(self, observation: Observation) -> Decision:
            if observation.image.any():
                raise ValueError("no idea")
            return super().decide(observation)

    cell = bench(Failing(MOVES))
    cell.start()
    assert cell.wait_end()["reason"] == "error"
    assert cell.recorder.details[-1] == "policy: ValueError: no idea"
    cell.start("e2")
    assert cell.wait_end("e2")["reason"] == "error"


def test_a_camera_that_stops_stops_the_wishes_and_aborts_the_episode(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES * 10), real_time_factor="5.0")
    cell.start()
    cell.wait(lambda: bool(cell.recorder.targets), "a wish")
    cell.robot.alter = lambda message: False
    ended = cell.wait_end()
    assert ended["reason"] == "watchdog"
    assert "no image" in cell.recorder.details[-1]
    wished = nanoseconds(cell.recorder.targets[-1].header.stamp)
    assert (cell.recorder.episode_stamps[-1] - wished) * 1e-9 * 5.0 > 3.0  # silent long before the end
    cell.wait(lambda: cell.diagnosed("episode")[0] == b"\x02", "an error in the diagnostics")


def broken(change: dict[str, Any]) -> Callable[[Image], bool]:
    def alter(message: Image) -> bool:
        for name, value in change.items():
            setattr(message, name, value)
        return True

    return alter


def test_bad_images_are_named_and_never_decided_on(bench: Open) -> None:
    policy = PlannedPolicy(MOVES * 10)
    cell = bench(policy, real_time_factor="5.0")
    cell.start("probe")  # as soon as there is a camera
    cell.cancel()
    cell.robot.alter = broken({"encoding": "16UC7"})
    cell.start()
    assert cell.wait_end()["reason"] == "watchdog"
    level, text, values = cell.diagnosed("image")
    assert level == b"\x01"
    assert "image encoding '16UC7' is not supported" in text
    assert int(values["refused"]) >= 1
    assert policy.seen == []


def test_an_input_that_is_mended_is_reported_as_fine_again(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    cell.robot.alter = broken({"width": 0})
    cell.robot.joints = lambda finger: (["finger_joint1"], [float("nan")])
    for name in ("image", "joint_states"):
        cell.wait(partial(cell.level_is, name, b"\x01"), f"a warning of {name}")
    cell.robot.alter = lambda message: True
    cell.robot.joints = lambda finger: (["finger_joint1"], [finger])
    for name in ("image", "joint_states"):
        cell.wait(partial(cell.level_is, name, b"\x00"), f"{name} to be fine")


def test_images_without_a_state_nearby_are_refused_with_the_skew(bench: Open) -> None:
    policy = PlannedPolicy(MOVES)
    cell = bench(policy)
    cell.start("probe")
    cell.cancel()
    cell.robot.joint_period = 23  # no image is stamped together with one
    cell.start("e1")
    cell.wait(partial(cell.level_is, "observation", b"\x01"), "a refusal")
    assert "max_skew 0.05 s" in cell.diagnosed("observation")[1]
    assert policy.seen == []
    cell.robot.joint_period = 1
    cell.wait(partial(cell.level_is, "observation", b"\x00"), "a usable image")


def test_a_camera_of_another_frame_is_reported(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    cell.robot.camera_frame = "elbow_camera"
    level, text, _ = cell.diagnosed("camera_info")
    assert level == b"\x01"
    assert "'elbow_camera'" in text
    assert "'wrist_camera_optical_frame'" in text


def test_latencies_are_in_the_diagnostics(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    cell.start()
    cell.wait_end()
    cell.wait(lambda: cell.diagnosed("latency")[2]["image_to_wish_count"] == "2", "counted decisions")
    values = cell.diagnosed("latency")[2]
    for name in ("image_to_wish", "decision", "image_age"):
        assert 0.0 <= float(values[f"{name}_p50_ms"]) <= float(values[f"{name}_p99_ms"])


def test_decisions_are_drawn_for_who_looks(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    small: list[CompressedImage] = []
    whole: list[Image] = []
    cell.recorder.create_subscription(
        CompressedImage, "policy/debug_image/compressed", small.append, RECORD_QOS
    )
    cell.recorder.create_subscription(Image, topics.DEBUG_IMAGE, whole.append, RECORD_QOS)
    cell.start()
    cell.wait_end()
    cell.wait(lambda: len(small) == len(whole) == 3, "three pictures")
    assert decode(Encoded(small[0].format, bytes(small[0].data))).shape == (256, 256, 3)
    assert (whole[0].height, whole[0].width, whole[0].encoding) == (256, 256, "rgb8")
    stamps = [message.header.stamp for message in cell.recorder.observations]
    assert [message.header.stamp for message in small] == stamps


def test_decisions_are_markers_for_who_looks(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES))
    found: list[MarkerArray] = []
    cell.recorder.create_subscription(MarkerArray, topics.POLICY_MARKERS, found.append, RECORD_QOS)
    cell.start()
    cell.wait_end()
    cell.wait(lambda: len(found) == len(cell.recorder.steps) == 3, "three decisions")
    markers = {marker.ns: marker for marker in found[0].markers}
    assert {marker.header.frame_id for marker in markers.values()} == {"base_link"}
    assert markers["move"].header.stamp == cell.recorder.observations[0].header.stamp
    start, end = markers["move"].points
    tool = Pose.from_array(json.loads(cell.recorder.steps[0]["tool_pose"]))
    np.testing.assert_allclose([start.x, start.y, start.z], tool.position, atol=1e-6)
    target = pose_values(cell.recorder.targets[0])
    np.testing.assert_allclose([end.x, end.y, end.z], target[:3], atol=1e-6)
    assert markers["choice"].text.startswith("move")
    assert markers["candidates"].action == Marker.DELETE  # this policy searches nothing


def test_the_registry_s_policies_run(bench: Open) -> None:
    cell = bench()
    cell.start(policy__name="random", policy__epsilon=0.3, policy__noise=0.2, seed=5)
    cell.wait(lambda: len(cell.recorder.steps) >= 2, "two steps")
    cell.cancel()
    assert cell.wait_end()["policy"] == "epsilon(noisy(random, 0.2), 0.3)"
    assert float(cell.recorder.steps[0]["q"]) != float(cell.recorder.steps[0]["q"])  # NaN


def test_deactivation_ends_the_episode(bench: Open) -> None:
    cell = bench(PlannedPolicy(MOVES * 10))
    cell.start()
    cell.node.trigger_deactivate()
    assert cell.wait_end()["reason"] == "operator"
    assert cell.run() == (False, {"reason": "policy_node is not active"})


def checkpoint(folder: Path, mount: Mount, steps: int) -> Path:
    mdp, robot = MdpConfig(), sim_robot()
    net = make_network("compact", mdp.action_spec(), mdp.observation_spec())
    path = folder / f"{mount}_{steps}.safetensors"
    save_checkpoint(path, net, describe(net, mdp, robot, [make_camera(mount=mount)], steps))
    return path


@pytest.mark.parametrize(
    ("mount", "steps", "values", "text"),
    [
        ("base", 9, {}, "trained for camera mount base, but this robot uses tool"),
        ("tool", 0, {}, "untrained weights do not drive"),
        ("tool", 9, {}, "allow_outside_envelope"),  # the fake robot's camera is another one
        ("tool", 9, {"checkpoint": "/nowhere"}, "/nowhere: there is no such checkpoint"),
        ("tool", 9, {"checkpoint": ""}, "policy cem needs a checkpoint"),
    ],
)
def test_weights_that_do_not_fit_never_move_the_arm(
    bench: Open, tmp_path: Path, mount: Mount, steps: int, values: dict[str, str], text: str
) -> None:
    cell = bench()
    path = checkpoint(tmp_path, mount, steps)
    cell.start(**{"policy__name": "cem", "checkpoint": str(path)} | values)
    assert cell.wait_end()["reason"] == "error"
    assert text in cell.recorder.details[-1]
    assert cell.recorder.targets == []


@pytest.mark.parametrize(
    ("mount", "steps", "text"),
    [
        ("base", 9, "trained for camera mount base, but this robot uses tool"),
        ("tool", 0, "untrained weights do not drive"),
        (None, 0, "there is no such checkpoint"),
    ],
)
@pytest.mark.parametrize("policy", ["cem", "scripted"])
def test_weights_given_at_the_start_must_fit_before_anything_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, mount: Mount | None, steps: int, text: str
) -> None:
    path = tmp_path / "nope.safetensors" if mount is None else checkpoint(tmp_path, mount, steps)
    told: list[str] = []
    rules = [f"policy_node:checkpoint:={path}", f"policy_node:policy.name:={policy}"]
    with ros_graph(tmp_path, rules) as graph:
        node = graph.add(PolicyNode())
        monkeypatch.setattr(type(node.get_logger()), "fatal", lambda _, message: told.append(message))
        assert not node.start()
    assert len(told) == 1
    assert str(path) in told[0]
    assert text in told[0]


def test_weights_given_at_the_start_are_read_once(tmp_path: Path) -> None:
    made: list[str] = []

    def make(name: str, *_: object, **__: object) -> Policy:
        made.append(name)
        return PlannedPolicy(MOVES)

    path = checkpoint(tmp_path, "tool", 9)
    with ros_graph(tmp_path, [f"policy_node:checkpoint:={path}"]) as graph:
        cell = Bench(graph, None, make)
        assert made == ["cem"]
        cell.start(policy__name="cem", policy__epsilon=0.0)
        cell.wait_end()
    assert made == ["cem"]


def test_parameters_set_the_search(bench: Open, tmp_path: Path) -> None:
    cell = bench()
    found: list[MarkerArray] = []
    cell.recorder.create_subscription(MarkerArray, topics.POLICY_MARKERS, found.append, RECORD_QOS)
    cell.set(search__iterations=1, search__samples=16, search__elites=4)
    cell.set(allow_untrained=True, allow_outside_envelope=True)
    cell.start(policy__name="cem", checkpoint=str(checkpoint(tmp_path, "tool", 0)))
    cell.wait(lambda: bool(found), "a decision")
    cell.cancel()
    cell.wait_end()
    markers = {marker.ns: marker for marker in found[0].markers}
    assert len(markers["candidates"].points) == 16


@pytest.mark.parametrize(("mode", "taken"), [("newest", True), ("better", False), ("never", False)])
def test_changed_weights_drive_the_next_episode_if_asked_for(
    bench: Open, tmp_path: Path, mode: str, taken: bool
) -> None:
    cell = bench(hot_reload=mode)
    path = checkpoint(tmp_path, "tool", 9)
    cell.set(allow_outside_envelope=True)
    before = _digest_of(cell, "e1", path)
    checkpoint(tmp_path, "tool", 10).replace(path)
    assert (_digest_of(cell, "e2", path) != before) is taken


def _digest_of(cell: Bench, episode: str, weights: Path) -> str:
    """Return the digest that an episode with these weights tells at its end."""
    cell.start(episode, policy__name="cem", checkpoint=str(weights))
    cell.wait(lambda: cell.state(episode) == "running", f"{episode} to run")
    cell.cancel()
    return cell.wait_end(episode)["checkpoint"]


def test_untrained_weights_drive_where_it_is_allowed(bench: Open, tmp_path: Path) -> None:
    cell = bench()
    path = checkpoint(tmp_path, "tool", 0)
    cell.set(allow_untrained=True, allow_outside_envelope=True)
    cell.start(policy__name="cem", checkpoint=str(path))
    cell.wait(lambda: len(cell.recorder.steps) >= 1, "a step")
    cell.cancel()
    ended = cell.wait_end()
    assert len(ended["checkpoint"]) == 64
    assert 0.0 < float(cell.recorder.steps[0]["q"]) < 1.0
