"""A space bar out of a terminal's key repeats, and the terminal."""

import os
import pty
import termios
from collections.abc import Iterator

import pytest

from grasp_bringup.dead_man import SpaceBar
from grasp_bringup.terminal import NoTerminalError, single_keys, typed


def test_the_bar_is_held_while_spaces_come_and_for_the_timeout_after() -> None:
    bar = SpaceBar(0.6)
    assert not bar.typed(b"", 0.0)
    assert bar.typed(b" ", 0.05)
    assert bar.typed(b"", 0.3)
    assert bar.typed(b"  ", 0.5)
    assert bar.typed(b"", 1.0)
    assert not bar.typed(b"", 1.15)


@pytest.mark.parametrize("keys", [b"x", b" x", b"x ", b"\x1b[A", b"\n"])
def test_any_other_key_lets_go_at_once(keys: bytes) -> None:
    bar = SpaceBar(0.6)
    assert bar.typed(b" ", 0.0)
    assert not bar.typed(keys, 0.05)
    assert not bar.typed(b"", 0.1)
    assert bar.typed(b" ", 0.15)


def test_what_was_typed_while_nobody_looked_counts_for_nothing() -> None:
    bar = SpaceBar(0.6)
    assert bar.typed(b" ", 0.0)
    assert not bar.typed(b"     ", 5.0)
    assert not bar.typed(b"", 5.05)
    assert bar.typed(b" ", 5.1)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: what a user types at, and what a program reads."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_keys_come_one_by_one_and_the_terminal_is_given_back(terminal: tuple[int, int]) -> None:
    user, program = terminal
    before = termios.tcgetattr(program)
    with single_keys(program):
        assert typed(program) == b""
        os.write(user, b" ")
        assert typed(program) == b" "
        os.write(user, b" x")
        assert typed(program) == b" x"
        assert typed(program) == b""
    assert termios.tcgetattr(program) == before


def test_the_terminal_is_given_back_after_an_error_too(terminal: tuple[int, int]) -> None:
    before = termios.tcgetattr(terminal[1])
    with pytest.raises(KeyboardInterrupt), single_keys(terminal[1]):
        raise KeyboardInterrupt
    assert termios.tcgetattr(terminal[1]) == before


def test_what_is_no_terminal_is_refused_with_how_to_start() -> None:
    reading, writing = os.pipe()
    with pytest.raises(NoTerminalError, match="ros2 run qtopt_grasping dead_man_node"), single_keys(reading):
        pass
    os.close(reading)
    os.close(writing)


def test_a_terminal_that_is_closed_is_told() -> None:
    user, program = pty.openpty()
    with single_keys(program):
        os.close(user)
        with pytest.raises(NoTerminalError, match="the terminal was closed"):
            typed(program)
    os.close(program)
