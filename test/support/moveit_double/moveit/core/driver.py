"""The double's connection to the robot: joint states in, trajectories out; its thread and context."""

import contextlib
import time
from threading import Condition, Event, Thread
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from moveit.core import faults
from moveit.core.robot_model import RobotModel
from moveit.core.robot_trajectory import RobotTrajectory, duration

Array = NDArray[np.float64]

BRAKE = 0.1  # [s] in which the controller comes to rest after a cancelled goal
GOAL_TOLERANCE, GOAL_TIME = 0.02, 1.0  # [rad, s]
CONNECTED = 5.0  # [s] for which a controller is waited for, as an action client waits for its server


class Driver:
    """Joint states and the controller's topic, as MoveItCpp's node and the FollowJointTrajectory action."""

    def __init__(
        self,
        model: RobotModel,
        name: str,
        namespace: str,
        parameters: dict[str, Any],
        remappings: dict[str, str],
    ) -> None:
        self.model = model
        self.stop = Event()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, args=[])
        rules = [word for pair in remappings.items() for word in ("-r", ":=".join(pair))]
        sim = Parameter("use_sim_time", value=bool(parameters["use_sim_time"]))
        self.node = Node(
            name,
            namespace=namespace,
            context=self._context,
            cli_args=["--ros-args", *rules],
            use_global_arguments=False,
            parameter_overrides=[sim],
        )
        manager = parameters["moveit_simple_controller_manager"]
        controller = manager["controller_names"][0]
        assert manager[controller]["joints"] == list(model.joints)
        self._command = self.node.create_publisher(
            JointTrajectory, f"{controller}/joint_trajectory", QoSProfile(depth=10)
        )
        topic = parameters["planning_scene_monitor_options"]["joint_state_topic"]
        self.node.create_subscription(JointState, topic, self._on_joints, qos_profile_sensor_data)
        self.changed = Condition()
        self.q: Array | None = None
        self.stamp, self.speed = 0, 0.0
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = Thread(target=_spin, args=(self._executor,), daemon=True)
        self._thread.start()

    def now(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)

    def _on_joints(self, message: JointState) -> None:
        values = dict(zip(message.name, message.position, strict=True))
        if faults.due("no_state") or not set(self.model.joints) <= set(values):
            return
        q = np.array([values[name] for name in self.model.joints])
        stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        with self.changed:
            if self.q is not None and stamp > self.stamp:
                self.speed = float(np.abs(q - self.q).max()) / ((stamp - self.stamp) * 1e-9)
            self.q, self.stamp = q, stamp
            self.changed.notify_all()

    def wait_newer(self, stamp: int, timeout: float) -> bool:
        """Wait for a state stamped `stamp` [ns] or later."""
        with self.changed:
            return self.changed.wait_for(lambda: self.q is not None and self.stamp >= stamp, timeout)

    def follow(self, trajectory: RobotTrajectory) -> str:
        """Let the controller follow a trajectory; return how it ended."""
        self.stop.clear()
        if not self._connected():
            return "ABORTED"
        message = trajectory.get_robot_trajectory_msg().joint_trajectory
        begun = self._publish(message)
        end = begun + round(trajectory.duration * 1e9)
        while (now := self.now()) < end:
            if self.stop.is_set():
                self._brake(trajectory, (now - begun) * 1e-9)
                return "PREEMPTED"
            if faults.due("aborted"):
                self._brake(trajectory, (now - begun) * 1e-9)
                return "ABORTED"
            time.sleep(0.002)
        return "SUCCEEDED" if self._arrives(trajectory.path[-1]) else "ABORTED"

    def _connected(self) -> bool:
        end = time.monotonic() + CONNECTED
        while self._command.get_subscription_count() == 0:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def _arrives(self, goal: Array) -> bool:
        with self.changed:
            return self.changed.wait_for(
                lambda: self.q is not None and float(np.abs(self.q - goal).max()) <= GOAL_TOLERANCE, GOAL_TIME
            )

    def _publish(self, message: JointTrajectory) -> int:
        now = self.node.get_clock().now()
        message.header.stamp = now.to_msg()
        self._command.publish(message)
        return int(now.nanoseconds)

    def _brake(self, trajectory: RobotTrajectory, elapsed: float) -> None:
        """Come to rest from the set point with constant deceleration."""
        q = [np.interp(elapsed, trajectory.times, column) for column in trajectory.path.T]
        v = np.array([np.interp(elapsed, trajectory.times, column) for column in trajectory.speeds.T])
        end = np.array(q) + v * BRAKE / 2
        point = JointTrajectoryPoint(
            positions=end.tolist(), velocities=[0.0] * len(end), time_from_start=duration(BRAKE)
        )
        self._publish(JointTrajectory(joint_names=list(self.model.joints), points=[point]))

    def close(self) -> None:
        """End node, thread and context."""
        self._executor.shutdown(timeout_sec=1.0)
        self._thread.join(1.0)
        self.node.destroy_node()
        self._context.try_shutdown()


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()
