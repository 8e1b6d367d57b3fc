"""The dead-man switch: the arm moves only while somebody holds a button. No ROS."""

from collections.abc import Sequence

from grasp_bringup.watchdog import Watchdog
from qtopt_policy.topics import DEAD_MAN

# What the switch is: none, a button of a joystick, or the space bar of a terminal (dead_man_node).
DEAD_MEN = ("none", "joy", "keyboard")
KEYBOARD_BUTTON = 0  # of what dead_man_node publishes, which has no other
SPACE = ord(" ")


class DeadMan:
    """Whether the switch is held, by the messages of sensor_msgs/Joy.

    Args:
        button: index of the button; None: no switch is needed.
        timeout: a switch that has been silent for longer [s] counts as released.
    """

    def __init__(self, button: int | None, timeout: float) -> None:
        self._button = button
        self._buttons: tuple[int, ...] = ()
        self._messages = Watchdog(timeout)

    def feed(self, buttons: Sequence[int], steady: float) -> None:
        """Take a message that came at the steady time `steady` [s]."""
        self._buttons = tuple(buttons)
        self._messages.feed(steady)

    def released(self, steady: float) -> str:
        """Return why the arm must not move, "" while the switch is held or where none is needed."""
        if self._button is None:
            return ""
        if not self._messages.awake:
            return f"{DEAD_MAN} not heard of yet"
        if not self._messages.alive(steady):
            return f"{DEAD_MAN} silent for {self._messages.timeout} s"
        if len(self._buttons) <= self._button:
            return f"{DEAD_MAN} has {len(self._buttons)} buttons, none with index {self._button}"
        return "" if self._buttons[self._button] == 1 else f"{DEAD_MAN} released (button {self._button})"


class SpaceBar:
    """A button made of a terminal's key repeats: a terminal tells that a key is down, never that it is up.

    Args:
        repeat_timeout: the bar counts as held for so long after each space [s]. It must outlast the delay
            before a keyboard's first repeat.
    """

    def __init__(self, repeat_timeout: float) -> None:
        self._spaces = Watchdog(repeat_timeout)
        self._looked: float | None = None

    def typed(self, keys: bytes, steady: float) -> bool:
        """Take what has been typed until `steady` [s], maybe nothing; return whether the bar is held.

        Any key but the space bar releases at once. Call it at 20 Hz: what has waited for longer than the
        timeout was typed by somebody who may have let go since, and counts for nothing.
        """
        late = self._looked is not None and steady - self._looked > self._spaces.timeout
        self._looked = steady
        if late or keys.strip(b" "):
            self._spaces.rest()
        elif keys:
            self._spaces.feed(steady)
        return self._spaces.alive(steady)
