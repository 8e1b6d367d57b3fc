"""A dead-man switch out of a keyboard: the space bar of the terminal that it is started in.

ros2 run qtopt_grasping dead_man_node
"""

import sys

from sensor_msgs.msg import Joy

from grasp_bringup.dead_man import SpaceBar
from grasp_bringup.terminal import NoTerminalError, single_keys, typed
from qtopt_policy import topics
from qtopt_policy.base_node import OK, WARN, BaseNode, spin
from qtopt_policy.errors import ConfigError

TERMINAL = 0  # file descriptor of standard input
PERIOD = 1.0 / topics.REPUBLISH_RATE  # [s] of the steady clock
HELP = "hold the space bar: the arm may move. Any other key, or letting go: it holds. Ctrl-C ends."


class DeadManNode(BaseNode):
    """Publishes the space bar as the one button of a joystick.

    Parameters (ROS):
        repeat_timeout: the space bar counts as held for so long after each repeat [s]; longer than the
            keyboard's delay before the first one.
    """

    def __init__(self) -> None:
        super().__init__("dead_man_node")
        self.declare_parameter("repeat_timeout", 0.6)

    def setup(self) -> None:
        """Begin to listen to the keyboard."""
        timeout = self.parameter("repeat_timeout", float)
        if not timeout > 0.0:
            raise ConfigError(f"repeat_timeout {timeout}: must be above 0")
        self._bar = SpaceBar(timeout)
        self._held = False
        self._joy = self.create_publisher(Joy, topics.JOY, 10)
        self.create_timer(PERIOD, self._tick, clock=self.steady_clock)
        self.get_logger().info(HELP)

    def _tick(self) -> None:
        held = self._bar.typed(typed(TERMINAL), self.steady_now())
        message = Joy(buttons=[int(held)])  # its index is KEYBOARD_BUTTON
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self.get_name()
        self._joy.publish(message)
        self.report("switch", OK if held else WARN, "held" if held else "released", held=int(held))
        if held != self._held:
            self.get_logger().info("held" if held else "released")
        self._held = held


def main() -> int:
    """Run the node."""
    try:
        with single_keys(TERMINAL):
            return spin(DeadManNode)
    except NoTerminalError as error:
        sys.stderr.write(f"dead_man_node: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
