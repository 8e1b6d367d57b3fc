"""What every node has: lifecycle with `autostart`, heartbeat, diagnostics, a clean end."""

import gc
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PoseStamped, Quaternion
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Header

from qtopt_policy import topics
from qtopt_policy.errors import QtoptError
from qtopt_policy.geometry import Array, Pose
from qtopt_policy.ticker import Ticker

SENSOR_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
CLOCK_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=32, reliability=ReliabilityPolicy.BEST_EFFORT)
LATEST_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE)
RECORD_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

T = TypeVar("T")

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)


def status(name: str, level: bytes, message: str, values: dict[str, object]) -> DiagnosticStatus:
    """Build one DiagnosticStatus; values become strings."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, hardware_id="", values=pairs)


def as_dict(message: DiagnosticStatus) -> dict[str, str]:
    """Return the key-value pairs of a DiagnosticStatus."""
    return {pair.key: pair.value for pair in message.values}


def nanoseconds(stamp: Time) -> int:
    """Return a message's stamp as whole nanoseconds (exact, unlike seconds as a float)."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def time_message(stamp: int) -> Time:
    """Return the message of a stamp in [ns]."""
    return Time(sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000)


def pose_message(pose: Pose, frame: str, stamp: Time) -> PoseStamped:
    """Build a PoseStamped."""
    message = PoseStamped()
    message.header.stamp, message.header.frame_id = stamp, frame
    message.pose.position = Point(**dict(zip("xyz", pose.position.tolist(), strict=True)))
    message.pose.orientation = Quaternion(**dict(zip("xyzw", pose.quaternion.tolist(), strict=True)))
    return message


def pose_values(message: PoseStamped) -> Array:
    """Return x y z qx qy qz qw as they came, unchecked, shape (7,)."""
    p, q = message.pose.position, message.pose.orientation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w], dtype=np.float64)


class BaseNode(LifecycleNode):
    """A lifecycle node that starts itself when `autostart` is set.

    Subclasses declare their parameters in `__init__` (after `super().__init__`), make publishers, timers
    and subscriptions in `setup`, and report with `report`. Watchdogs use `steady_clock` and divide their
    time by `real_time_factor`.

    Parameters (ROS):
        autostart: configure and activate at once.
        real_time_factor: declared speed of `/clock` against wall time; 1 on a robot.

    Attributes:
        watch_qos: whether rclpy warns of publishers and subscriptions that do not fit each other. Its
            handlers are most of what an executor waits on, and double what each message costs; in
            simulation, where the project starts both ends, they are left out.
        simulated: whether time is that of a simulator (`use_sim_time` at the start).
        clock_qos: of the subscription to /clock.
    """

    watch_qos = True
    clock_qos = CLOCK_QOS

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.simulated = self.parameter("use_sim_time", bool)
        self._tickers: list[Ticker] = []
        self.watch_qos = self.watch_qos and not self.simulated
        self.declare_parameter("autostart", True)
        self.declare_parameter("real_time_factor", 1.0)
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._statuses: dict[str, DiagnosticStatus] = {}
        self._heartbeat = self.create_publisher(Header, f"{topics.HEARTBEAT}/{name}", LATEST_QOS)
        self._diagnostics = self.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, RECORD_QOS)
        self.create_timer(1.0 / topics.REPUBLISH_RATE, self.beat)
        self.create_timer(1.0, self._publish_diagnostics, clock=self.steady_clock)

    def create_publisher(self, *args: Any, **options: Any) -> Any:
        """Create a publisher as rclpy does, with QoS warnings only where `watch_qos` is set."""
        callbacks = PublisherEventCallbacks(use_default_callbacks=self.watch_qos)
        options.setdefault("event_callbacks", callbacks)
        return super().create_publisher(*args, **options)

    def create_subscription(self, kind: Any, topic: str, callback: Any, qos: Any, **options: Any) -> Any:
        """Create a subscription as rclpy does, with QoS warnings only where `watch_qos` is set.

        rclpy's own one for /clock gets a queue, so that an executor that is late takes time tick by tick, in
        step with the other topics (sim/lockstep.py), and drives the timers in simulated time.
        """
        callbacks = SubscriptionEventCallbacks(use_default_callbacks=self.watch_qos)
        options.setdefault("event_callbacks", callbacks)
        if topic == "/clock":
            qos, callback = self.clock_qos, partial(self._on_clock, callback)
        return super().create_subscription(kind, topic, callback, qos, **options)

    def create_timer(self, period: float, callback: Callable[[], None], **options: Any) -> Any:
        """Create a timer as rclpy does; one in simulated time is called when the clock's message comes.

        That saves rclpy's way through the executor for each call, and no call is ever overlooked: whoever
        has handled a time has also made the calls that were due then.
        """
        if not self.simulated or "clock" in options:
            return super().create_timer(period, callback, **options)
        ticker = Ticker(round(period * 1e9), callback)
        self._tickers.append(ticker)
        return ticker

    def _on_clock(self, take: Callable[[ClockMessage], None], message: ClockMessage) -> None:
        take(message)
        now = nanoseconds(message.clock)
        for ticker in self._tickers:
            ticker.tick(now)

    def setup(self) -> None:
        """Create publishers, subscriptions, services and timers. Raises QtoptError on bad parameters."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Call `setup`; an error of ours is logged by its message and fails the transition."""
        try:
            self.setup()
        except QtoptError as error:
            self.get_logger().fatal(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            # rclpy turns what a transition raises into a return code without a word.
            self.get_logger().fatal(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def start(self) -> bool:
        """Configure and activate if `autostart`; return False if that failed."""
        if not self.parameter("autostart", bool):
            return True
        success = TransitionCallbackReturn.SUCCESS
        return bool(self.trigger_configure() == success and self.trigger_activate() == success)

    def parameter(self, name: str, kind: type[T]) -> T:
        """Return the value of a declared parameter, checked to be of `kind`."""
        value = self.get_parameter(name).value
        if not isinstance(value, kind):
            raise QtoptError(
                f"{self.get_name()}: parameter {name}: expected {kind.__name__}, found {value!r}"
            )
        return value

    def now(self) -> float:
        """Return ROS time in [s] (simulated time with use_sim_time)."""
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def steady_now(self) -> float:
        """Return steady wall time in [s] multiplied by the declared real-time factor."""
        factor = self.parameter("real_time_factor", float)
        return float(self.steady_clock.now().nanoseconds) * 1e-9 * factor

    def report(self, name: str, level: bytes, message: str, **values: object) -> None:
        """Set one entry of this node's diagnostics; published at 1 Hz, at once when its level rises.

        Its name has the node's namespace: all graphs of a domain share the topic.
        """
        full = f"{self.get_fully_qualified_name()[1:]}: {name}"
        before = self._statuses.get(full)
        self._statuses[full] = status(full, level, message, values)
        if level != OK and (before is None or before.level != level):
            self._publish_diagnostics()

    def beat(self) -> None:
        """Publish a heartbeat: the ROS time that this node has seen."""
        self._heartbeat.publish(Header(stamp=self.get_clock().now().to_msg(), frame_id=self.get_name()))

    def _publish_diagnostics(self) -> None:
        stamp = self.get_clock().now().to_msg()
        message = DiagnosticArray(status=list(self._statuses.values()))
        message.header.stamp = stamp
        self._diagnostics.publish(message)


N = TypeVar("N", bound=BaseNode)


def make_executor(simulated: bool) -> Executor:
    """Return what runs one node: in simulation rclpy's EventsExecutor, where it has one (from Kilted on).

    It takes less than half the time per message, which is most of what the nodes of a simulation do. rclpy
    calls it experimental, so robots get the well-tried one. It knows no guard conditions, and it runs by
    `spin_once` with a timeout only: its `spin` was seen to run in circles without handling anything.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor() if simulated else SingleThreadedExecutor()


def run(node: BaseNode) -> None:
    """Run a node until ROS shuts down."""
    executor = make_executor(node.simulated)
    executor.add_node(node)
    try:
        while rclpy.ok():
            executor.spin_once(timeout_sec=1.0)
    finally:
        executor.remove_node(node)
        executor.shutdown()


def spin(factory: Callable[[], N], loop: Callable[[N], None] = run) -> int:
    """Run one node until it is told to stop; return the exit status. The body of every `main`.

    Args:
        factory: makes the node.
        loop: what runs the node; a simulator brings its own.
    """
    rclpy.init(args=sys.argv)
    node: N | None = None
    try:
        node = factory()
        if not node.start():
            return 1
        gc.collect()
        gc.freeze()  # what stays need not be searched for garbage again: that takes tens of milliseconds
        loop(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except QtoptError as error:
        sys.stderr.write(f"{node.get_name() if node else 'node'}: {error}\n")
        return 1
    except Exception:
        if rclpy.ok():
            raise
        return 0  # a callback published while ROS was shutting down
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        node = None
        gc.unfreeze()
        gc.collect()  # what refers to itself keeps its participant, and its shared memory, past the end
    return 0
