"""Collects episodes: connects the collector's procedure and its bags with topics, services and clocks."""

import sys
from pathlib import Path
from typing import Literal, cast

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool

from qtopt_collector.bags import schema
from qtopt_collector.collector import Collector, CollectorConfig
from qtopt_collector.collector_inputs_node import CellInputs
from qtopt_collector.collector_requests_node import RequestCaller
from qtopt_collector.recorder import Recorder
from qtopt_collector.switching import PolicyPlan
from qtopt_policy import topics
from qtopt_policy.base_node import (
    ERROR,
    LATCHED_QOS,
    LATEST_QOS,
    OK,
    RECORD_QOS,
    WARN,
    BaseNode,
    pose_message,
    spin,
    status,
)
from qtopt_policy.config import load_config
from qtopt_policy.errors import ConfigError, QtoptError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.exploration import Exploration
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

WATCH_PERIOD = 0.1  # [s] of the steady clock
LAST_WORDS = 1.0  # [s] of the steady clock in which requests are sent after the end

PARAMETERS: dict[str, bool | int | float | str | list[str]] = {
    "robot": "config/robots/sim.yaml",
    "mdp": "config/mdp.yaml",
    "camera": "wrist",
    "bags": "bags",
    "prefix": "episode",
    "episodes": 10,
    "seed": 1,
    "split": "train",
    "reset": "sim",
    "policy": "scripted",
    "epsilon": 0.0,
    "noise": 0.0,
    "explore": 1.0,
    "checkpoint": "",
    "deadline": 90.0,
    "benchmark": "",
    "watched": ["guard_node", "servo_node", "gripper_node", "policy_node"],
    "heartbeat_timeout": 2.5,
    "record_debug_image": True,
    "exit_when_done": False,
}


class CollectorNode(BaseNode):
    """Runs a Collector.

    Parameters (ROS), read once at the start:
        robot, mdp: paths of the YAML files.
        camera: active camera (its images are compared before and after a drop).
        bags: folder of the bags. prefix: of the episodes' names.
        episodes, seed, split, deadline, benchmark, reset: see CollectorConfig.
        policy: name of a policy, or `auto` or `turns` (switching.py).
        epsilon: share of random actions of an exploring episode. noise: standard deviation of what is added
            to the moves of an exploring episode, in shares of their bounds. explore: share of the episodes
            that explore.
        checkpoint: file of the learned policy's weights, "" for none.
        watched: nodes without whose heartbeat nothing goes on (sim_node is added with reset=sim).
        heartbeat_timeout: silence after which such a node counts as dead [s].
        record_debug_image: record the picture of each decision too.
        exit_when_done: end the process after the last episode.
    """

    def __init__(self) -> None:
        super().__init__("collector_node")
        for name, value in PARAMETERS.items():
            self.declare_parameter(name, value, ParameterDescriptor(read_only=True))
        self._active = False
        self._collector: Collector | None = None
        self._ended: float | None = None
        self._told = ""

    def setup(self) -> None:
        """Mend what an earlier run left torn, and connect everything."""
        robot = load_robot(resolve(Path(self.parameter("robot", str))))
        mdp = load_config(resolve(Path(self.parameter("mdp", str))), MdpConfig)
        self._base_frame = robot.base_frame
        config = self._config()
        has_weights = bool(self.parameter("checkpoint", str))
        plan = PolicyPlan(self.parameter("policy", str), self._exploration(), has_weights)
        self._recorder = self._open_recorder()
        plan.recall(self._recorder.history())
        self._collector = Collector(robot, mdp, config, plan, self._recorder)
        self.cell = self._collector.cell
        watched = {*self.parameter("watched", list), *(["sim_node"] if config.reset == "sim" else [])}
        self._inputs = CellInputs(
            self,
            self.cell,
            self._recorder,
            robot.gripper.joints[0],
            robot.camera_topics(self.parameter("camera", str)),
            sorted(watched),
            self.parameter("record_debug_image", bool),
            self._collector.fail,
        )
        self._requests = RequestCaller(self)
        self._target = self.create_publisher(PoseStamped, topics.COLLECTOR_TARGET, LATEST_QOS)
        self._gripper = self.create_publisher(Bool, topics.COLLECTOR_GRIPPER, LATEST_QOS)
        self._outcome = self.create_publisher(DiagnosticArray, topics.OUTCOME, LATCHED_QOS)
        self._drop_image = self.create_publisher(CompressedImage, topics.DROP_IMAGE, RECORD_QOS)
        self.create_timer(1.0 / topics.REPUBLISH_RATE, self._tick)
        self.create_timer(WATCH_PERIOD, self._go_on, clock=self.steady_clock)

    def _exploration(self) -> Exploration:
        epsilon, noise, explore = (self.parameter(name, float) for name in ("epsilon", "noise", "explore"))
        return Exploration(epsilon, noise, explore)

    def _config(self) -> CollectorConfig:
        reset = self.parameter("reset", str)
        if reset not in ("sim", "none"):
            raise ConfigError(f"reset '{reset}'. Valid choices: none, sim")
        return CollectorConfig(
            episodes=self.parameter("episodes", int),
            seed=self.parameter("seed", int),
            split=self.parameter("split", str),
            reset=cast(Literal["sim", "none"], reset),
            deadline=self.parameter("deadline", float),
            benchmark=self.parameter("benchmark", str),
        )

    def _open_recorder(self) -> Recorder:
        recorder = Recorder(Path(self.parameter("bags", str)), self.parameter("prefix", str))
        for result in recorder.repaired:
            steps = "no" if result.steps is None else result.steps
            text = f"{result.bag} was torn ({result.reason}): {result.action}, {steps} complete steps"
            self.get_logger().warning(text)
            self.report(f"repair {result.bag.name}", WARN, text)
        return recorder

    # ---- lifecycle

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to collect."""
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the episode that runs: its bag is closed as aborted, the policy's ends, nobody owns the arm."""
        self._active = False
        self._interrupt()
        if self._collector is not None:
            self._pass_on(self._collector)
        return super().on_deactivate(state)

    def destroy_node(self) -> None:
        """Close the open bag before the node goes."""
        self._interrupt()
        super().destroy_node()

    def _interrupt(self) -> None:
        if self._collector is not None and not self._collector.finished:
            self._collector.interrupt()

    @property
    def through(self) -> bool:
        """Whether the process may end."""
        if self._ended is None or not self.parameter("exit_when_done", bool):
            return False
        return self.steady_now() > self._ended + LAST_WORDS

    @property
    def failure(self) -> str:
        """Why the collection was given up, "" where it was not."""
        return self._collector.failure if self._collector is not None else ""

    # ---- outputs

    def _tick(self) -> None:
        self._go_on()
        wish = self._collector.wish if self._collector is not None else None
        if wish is None or not self._active:
            return
        now = self.get_clock().now().to_msg()
        self._target.publish(pose_message(wish.target, self._base_frame, now))
        if wish.gripper_close is not None:
            self._gripper.publish(Bool(data=wish.gripper_close))

    def _go_on(self) -> None:
        """Advance the procedure; also while the clock stands, so that a death is noticed."""
        collector = self._collector
        if collector is None or not self._active:
            return
        steady = self.steady_now()
        self.cell.silent = self._inputs.silent(steady - self.parameter("heartbeat_timeout", float))
        collector.tick(self.now(), steady)
        self._pass_on(collector)
        if collector.finished and self._ended is None:
            self._ended = steady

    def _pass_on(self, collector: Collector) -> None:
        requests, self.cell.requests = self.cell.requests, []
        for request in requests:
            self._requests.take(request)
        self._requests.pump()
        pictures, collector.books.pictures = collector.books.pictures, []
        for picture in pictures:
            self._drop_image.publish(schema.serialize(picture, schema.COMPRESSED_IMAGE))
        outcomes, collector.books.outcomes = collector.books.outcomes, []
        for values in outcomes:
            known: dict[str, object] = {**values}
            message = DiagnosticArray(status=[status("outcome", OK, values["reason"], known)])
            message.header.stamp = self.get_clock().now().to_msg()
            self._outcome.publish(message)
        self._tell(collector)

    def _tell(self, collector: Collector) -> None:
        """Say what it is doing, once per change."""
        if collector.phase == self._told:
            return
        self._told = collector.phase
        waits = collector.phase.startswith("waiting")
        level = ERROR if collector.failure else WARN if waits else OK
        self.report("collection", level, collector.phase, collected=collector.collected)
        if collector.failure:  # rclpy wants each severity at a place of its own
            self.get_logger().error(collector.phase)
        elif waits:
            self.get_logger().warning(collector.phase)
        else:
            self.get_logger().info(collector.phase)


def collect(node: CollectorNode) -> None:
    """Spin until ROS shuts down or the collection is through.

    Raises:
        QtoptError: the collection was given up.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while rclpy.ok() and not node.through:
        executor.spin_once(timeout_sec=0.5)
    if node.through and node.failure:
        raise QtoptError(node.failure)


def main() -> int:
    """Run the node."""
    return spin(CollectorNode, loop=collect)


if __name__ == "__main__":
    sys.exit(main())
