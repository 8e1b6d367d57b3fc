"""The simulator's node: when time goes on, resets, ground truth."""

import contextlib
import json
import sys
import time
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor, TimeoutException
from rclpy.task import Future
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from grasp_bringup.sim.cell_node import NANO, CellNode
from grasp_bringup.sim.lockstep import Lockstep, LockstepConfig
from grasp_bringup.sim.pace import Pace, SpeedMeter
from grasp_bringup.sim.world import CONTROL_PERIOD
from qtopt_policy import topics
from qtopt_policy.base_node import ERROR, LATEST_QOS, OK, RECORD_QOS, WARN, nanoseconds, spin, status
from qtopt_policy.errors import QtoptError

PICTURE_TICKS = 10  # 10 Hz of simulated time
REPORT_TICKS = 100
# [s] of wall time after which a clock that was not seen and an image that was not taken are published again;
# rarely enough not to push out of a slow consumer's queue what it has not taken yet.
RESEND = 0.25
PASSES = 4  # of the executor per tick, each for one message of each topic
NAP, SHORT_NAP = 0.005, 0.001  # [s] of waiting for a message; the executor's generator wants few values


class SimNode(CellNode):
    """Lets time go on: as `rtf` allows and, in lockstep, as the consumers keep up.

    Parameters (ROS), beside those of CellNode:
        rtf: real-time factor asked for; 0 means as fast as possible.
        lockstep: wait for the consumers (lockstep.py says how). Until all have been heard of, time runs no
            faster than the wall clock.
        lockstep_consumers: names of nodes.
        lockstep_servos: those of them that beat at every tick.
    """

    def __init__(self) -> None:
        super().__init__("sim_node")
        self.declare_parameter("rtf", 1.0)
        self.declare_parameter("lockstep", False)
        self.declare_parameter("lockstep_consumers", [""])
        self.declare_parameter("lockstep_servos", ["servo_node"])
        self._settling: Future | None = None
        self._settle_end = 0.0
        self._sent = 0.0
        self._resent = 0
        self._waits: dict[str, float] = {}

    def setup(self) -> None:
        """Build the cell and what keeps its time."""
        super().setup()
        consumers = tuple(filter(None, self.parameter("lockstep_consumers", list)))
        servos = tuple(filter(None, self.parameter("lockstep_servos", list)))
        config = LockstepConfig(consumers, servos=servos) if self.parameter("lockstep", bool) else None
        self._lockstep = Lockstep(config or LockstepConfig())
        # In lockstep nobody is ahead; without it messages must not pile up before a simulator that is late.
        self._passes = 1 if config else PASSES
        self._pace, self._meter = Pace(self.parameter("rtf", float)), SpeedMeter()
        for name in consumers:
            callback = partial(self._on_heartbeat, name)
            self.create_subscription(Header, f"{topics.HEARTBEAT}/{name}", callback, LATEST_QOS)
        self.create_subscription(Header, topics.IMAGE_TAKEN, self._on_image_taken, RECORD_QOS)
        self._truth = self.create_publisher(DiagnosticArray, topics.SIM_TRUTH, LATEST_QOS)
        # A group of its own: a callback that awaits would keep all others of its group from running.
        group = ReentrantCallbackGroup()
        self.create_service(Trigger, topics.SIM_RESET, self._on_reset, callback_group=group)

    # ---- consumers

    def _on_heartbeat(self, name: str, message: Header) -> None:
        self._lockstep.heartbeat(name, nanoseconds(message.stamp) * NANO)

    def _on_image_taken(self, message: Header) -> None:
        self._lockstep.image_taken(message.frame_id, nanoseconds(message.stamp) * NANO)

    def on_trajectory(self, message: JointTrajectory) -> None:
        """Follow a trajectory and note that the servo has seen its stamp."""
        super().on_trajectory(message)
        self._lockstep.planned(nanoseconds(message.header.stamp) * NANO)

    # ---- time

    def run(self) -> None:
        """Simulate until ROS shuts down."""
        executor = SingleThreadedExecutor()
        executor.add_node(self)
        while rclpy.ok():
            self.step(executor)

    def step(self, executor: SingleThreadedExecutor) -> None:
        """Simulate one tick if it is due, and handle messages; else wait for a message, briefly."""
        wall = time.monotonic()
        delay = self._delay(wall)
        if delay <= 0.0:
            self.tick(wall)
            for _ in range(self._passes):
                handle_ready(executor)
            return
        self._remind(wall)
        executor.spin_once(timeout_sec=NAP if delay >= NAP else SHORT_NAP)

    def _delay(self, wall: float) -> float:
        """Return how long the next tick has to wait at least [s]; 0: it is due."""
        waiting = self._lockstep.waiting_for(self.time, (self.ticks + 1) % PICTURE_TICKS == 0)
        for name in self._lockstep.waited(waiting, wall):
            text = f"lockstep: no sign of life from {name} for 10 s; going on without it"
            self.get_logger().error(text)
            self.report("lockstep", ERROR, text, let_go=name)
        if waiting:
            for name in waiting:
                self._waits[name] = self._waits.get(name, 0.0) + 1
            return NAP
        self._pace.factor = self._factor()
        return self._pace.wait(wall)

    def _factor(self) -> float:
        """Return the real-time factor that holds now."""
        rtf = self.parameter("rtf", float)
        if not self._lockstep.missing:
            return rtf
        return min(rtf, 1.0) if rtf > 0.0 else 1.0

    def tick(self, wall: float) -> None:
        """Simulate one tick and publish all that belongs to it."""
        self.advance()
        self.publish_state()  # before the picture, so that the others work while it is rendered
        if self.ticks % PICTURE_TICKS == 0:
            self.take_picture()
            self._lockstep.image_published(self.time)
            self._publish_truth()
        self._sent = wall
        self._pace.ticked(CONTROL_PERIOD, wall)
        if self._settling is not None and (self.world.settled() or self.time >= self._settle_end):
            self._settling.set_result(True)
            self._settling = None
        if self.ticks % REPORT_TICKS == 0:
            self._report_speed(wall)

    def _remind(self, wall: float) -> None:
        """Publish again what may have been lost on the way: /clock and images are best effort."""
        if wall - self._sent > RESEND:
            self._sent = wall
            self.publish_clock()
            if self._lockstep.untaken():
                self.publish_picture()
                self._resent += 1

    # ---- scenes

    async def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Replace the objects; answer when they have come to rest, in simulated time."""
        if self._settling is not None:
            response.success, response.message = False, "a reset is running"
            return response
        start = self.time
        try:
            self.place_scene()
        except QtoptError as error:
            response.success, response.message = False, str(error)
            return response
        self._settle_end = start + self.world.config.physics.settle_time
        self._settling = Future()
        await self._settling
        reply = self._scene_values() | {"settled_after": round(self.time - start, 2)}
        response.success, response.message = True, json.dumps(reply)
        return response

    def _scene_values(self) -> dict[str, Any]:
        assert self.world.scene is not None
        objects = len(self.world.scene.objects)
        return {
            "seed": self.parameter("seed", int),
            "split": self.parameter("split", str),
            "objects": objects,
        }

    # ---- reports

    def _publish_truth(self) -> None:
        truth = self.world.truth()
        poses = [pose.as_array().tolist() for pose in truth.object_poses]
        values: dict[str, object] = {
            "held": "" if truth.held is None else truth.held,
            "height": truth.height,
            "lifted": int(truth.lifted),
            "object_poses": json.dumps(poses),
            **self._scene_values(),
        }
        message = DiagnosticArray(status=[status("truth", OK, "", values)])
        message.header.stamp = self._stamp
        self._truth.publish(message)

    def _report_speed(self, wall: float) -> None:
        rtf = self._meter.measure(self.time, wall)
        waits, self._waits = self._waits, {}
        most = max(waits, key=lambda name: waits[name]) if waits else ""
        text = f"{rtf:.2f} times real time" + (f", waits most for {most}" if most else "")
        values = {"rtf": f"{rtf:.3f}", "time": self.time, "images": self.images, "resent": self._resent}
        self.report("speed", OK, text, **values)
        missing = self._lockstep.missing
        text = f"lockstep: nothing heard of {', '.join(missing)}" if missing else "all consumers keep up"
        self.report("lockstep", WARN if missing else OK, text, missing=", ".join(missing))


def handle_ready(executor: SingleThreadedExecutor, most: int = 32) -> None:
    """Handle the callbacks that are ready, one message of each topic and at most `most`, without waiting."""
    with contextlib.suppress(TimeoutException):
        for _ in range(most):
            handler, _, _ = executor.wait_for_ready_callbacks(timeout_sec=0.0)
            handler()
            if handler.exception() is not None:
                raise handler.exception()


def main() -> int:
    """Run the node."""
    return spin(SimNode, loop=SimNode.run)


if __name__ == "__main__":
    sys.exit(main())
