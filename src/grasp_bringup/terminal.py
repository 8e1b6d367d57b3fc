"""Keys from a terminal one by one, as they are typed."""

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from qtopt_policy.errors import QtoptError

CHUNK = 4096  # [bytes] read at once: all that a terminal keeps


class NoTerminalError(QtoptError):
    """There is no terminal to type at, or no longer."""


@contextmanager
def single_keys(descriptor: int) -> Iterator[None]:
    """Let each key through at once and unseen; give the terminal back as it was, without what is left unread.

    Raises:
        NoTerminalError: the file descriptor is no terminal.
    """
    try:
        before = termios.tcgetattr(descriptor)
    except termios.error as error:
        raise NoTerminalError(
            "standard input is no terminal: start it by hand, as ros2 run qtopt_grasping dead_man_node"
        ) from error
    try:
        tty.setcbreak(descriptor, termios.TCSAFLUSH)
        yield
    finally:
        with suppress(termios.error):  # it was closed: nothing to give back
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def typed(descriptor: int) -> bytes:
    """Return what has been typed since the last call, without waiting.

    Raises:
        NoTerminalError: the terminal was closed.
    """
    if not select.select([descriptor], [], [], 0.0)[0]:
        return b""
    try:
        keys = os.read(descriptor, CHUNK)
    except OSError as error:
        raise NoTerminalError(f"the terminal was closed: {error}") from error
    if not keys:
        raise NoTerminalError("the terminal was closed: end of input")
    return keys
