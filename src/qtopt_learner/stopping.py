"""Ctrl-C and SIGTERM, answered where the work can be put down without loss."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stops_between(answered: bool = True) -> Iterator[Callable[[], bool]]:
    """Let a block finish the step that it is at; yields whether it is to stop, for it to ask between steps.

    A second signal interrupts the block at once. Whoever started the process may have it ignore one of them,
    as nohup and shells in the background do: that stays so. Beside the main thread, which alone gets
    signals, nothing is changed.

    Args:
        answered: False leaves the signals what they were.

    Raises:
        KeyboardInterrupt: a second signal came.
    """
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    own = answered and threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS if own}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
