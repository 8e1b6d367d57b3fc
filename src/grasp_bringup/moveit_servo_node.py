"""Watches over MoveIt Servo: collision scene, POSE mode, pause at a stop, status codes as diagnostics."""

import sys
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from std_srvs.srv import SetBool

from grasp_bringup.motion_node import MotionNode
from grasp_bringup.moveit_scene import scene_boxes
from grasp_bringup.moveit_scene_node import scene_ids, scene_message
from grasp_bringup.moveit_servo import (
    POSE,
    SCENE,
    SCENE_MADE,
    SERVO,
    ServoRequest,
    ServoScene,
    status_of,
)
from qtopt_policy import topics
from qtopt_policy.base_node import ERROR, LATCHED_QOS, OK, RECORD_QOS, WARN, as_dict, spin
from qtopt_policy.errors import ConfigError, MissingDependencyError
from qtopt_policy.urdf import expand

try:
    from moveit_msgs.msg import PlanningScene, ServoStatus
    from moveit_msgs.srv import ServoCommandType
except ImportError as error:
    raise MissingDependencyError(
        f"arm:=moveit_servo needs MoveIt: {error}; apt install ros-$ROS_DISTRO-moveit"
    ) from error

PERIOD = 0.1  # [s] of the steady clock
LEVELS = {"ok": OK, "warn": WARN, "error": ERROR}


class MoveItServoNode(MotionNode):
    """Connects ServoRequest and ServoScene with MoveIt Servo's services and topics.

    Servo is asked for POSE mode, without which it does not move, when it has said that it has the scene.

    Parameters (ROS): `robot`, and
        rtf: speed of the simulation against wall time; anything but 1 is refused.
    """

    def __init__(self) -> None:
        super().__init__("moveit_servo_node")
        self.declare_parameter("rtf", 1.0)

    def setup(self) -> None:
        """Connect to MoveIt Servo.

        Raises:
            ConfigError: another real-time factor than 1, or as moveit_scene.scene_boxes.
        """
        rtf = self.parameter("rtf", float)
        if rtf != 1.0:
            raise ConfigError(f"rtf {rtf}: must be 1: MoveIt Servo moves by the wall clock")
        robot = self.robot()
        boxes = scene_boxes(robot, expand(robot.urdf, robot.xacro_args))
        self._message = scene_message(boxes, robot.base_frame)
        self._mode, self._scene = ServoRequest(POSE), ServoScene(box.name for box in boxes)
        self._sender = self.create_publisher(PlanningScene, SCENE, RECORD_QOS)
        self.create_subscription(PlanningScene, SCENE_MADE, self._on_scene, RECORD_QOS)
        self._type = self.create_client(ServoCommandType, f"{SERVO}/switch_command_type")
        self._pause = ServoRequest(False)
        self._pausing = self.create_client(SetBool, f"{SERVO}/pause_servo")
        self.create_subscription(ServoStatus, f"{SERVO}/status", self._on_status, RECORD_QOS)
        self.create_subscription(DiagnosticArray, topics.ARM_STATE, self._on_arm_state, LATCHED_QOS)
        self.create_timer(PERIOD, self._check, clock=self.steady_clock)
        self.report("mode", WARN, "waiting for MoveIt Servo")

    def _check(self) -> None:
        steady, ready = self.steady_now(), self._type.service_is_ready()
        if self._scene.must_send(ready and self._sender.get_subscription_count() > 0, steady):
            self._sender.publish(self._message)
        missing = self._scene.missing(steady)
        names = ", ".join(missing)
        self.report(
            "scene", WARN if missing else OK, f"lacks {names}" if names else "complete", missing=names
        )
        if self._mode.must_ask(ready and not missing, steady):
            request = ServoCommandType.Request(command_type=POSE)
            self._type.call_async(request).add_done_callback(self._on_answer)
        self._ask_pause()
        self._report_mode()

    def _report_mode(self) -> None:
        if not self._pause.settled:
            text = "pause" if self._pause.wanted else "move"
            self.report("mode", WARN, f"MoveIt Servo has not agreed to {text}")
        elif self._pause.wanted:
            self.report("mode", OK, "paused: the guard has stopped the arm")
        elif self._mode.settled:
            self.report("mode", OK, "takes poses")
        else:
            self.report("mode", WARN, "takes no poses yet")

    def _ask_pause(self) -> None:
        if self._pause.must_ask(self._pausing.service_is_ready(), self.steady_now()):
            wanted = bool(self._pause.wanted)
            future = self._pausing.call_async(SetBool.Request(data=wanted))
            future.add_done_callback(partial(self._on_pause, wanted))

    def _on_pause(self, asked: bool, future: Any) -> None:
        self._pause.answered(asked, bool(future.result().success))

    def _on_scene(self, message: PlanningScene) -> None:
        self._scene.made(scene_ids(message), self.steady_now())

    def _on_answer(self, future: Any) -> None:
        self._mode.answered(POSE, bool(future.result().success))

    def _on_arm_state(self, message: DiagnosticArray) -> None:
        """Pause at a stop; a mere hold is the guard's silence, at which Servo halts by itself."""
        for entry in message.status:
            self._pause.want(as_dict(entry).get("stopped") == "1")
            self._ask_pause()

    def _on_status(self, message: ServoStatus) -> None:
        status = status_of(message.code, message.message)
        self.report("status", LEVELS[status.level], status.name, code=status.code, text=status.text)


def main() -> int:
    """Run the node."""
    return spin(MoveItServoNode)


if __name__ == "__main__":
    sys.exit(main())
