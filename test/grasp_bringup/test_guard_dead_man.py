"""The dead-man switch as a condition of the guard."""

import pytest

from grasp_bringup.guard_types import GuardConfig
from qtopt_policy.errors import ConfigError, UnknownNameError
from support.guard_bench import Bench, near, refusal

HELD = (0, 0, 0, 0, 0, 1)
RELEASED = (0, 0, 0, 0, 0, 0)


def make(require_arming: bool = False, dead_man: str = "joy") -> Bench:
    return Bench(GuardConfig(require_arming=require_arming, dead_man=dead_man))


def moving() -> Bench:
    """A guard whose switch is held and whose arm follows wishes."""
    bench = make()
    bench.press(*HELD)
    bench.time += 0.01
    assert bench.ask(near()).target is not None
    assert not bench.guard.state.holding
    return bench


def test_a_switch_that_nobody_has_touched_holds() -> None:
    bench = make()
    assert bench.guard.state.holding
    assert not bench.guard.state.stopped
    assert bench.guard.state.reason == "dead-man not heard of yet"
    assert refusal(bench.ask(near())) == "dead_man"


def test_without_the_option_no_switch_is_needed() -> None:
    bench = make(dead_man="none")
    assert bench.ask(near()).target is not None
    bench.press(*RELEASED)
    bench.live(1.0)
    assert bench.ask(near()).target is not None


def test_letting_go_holds_at_once_and_refuses_wishes() -> None:
    bench = moving()
    bench.press(*RELEASED)
    assert bench.guard.state.holding
    assert not bench.guard.state.stopped
    assert bench.guard.state.reason == "dead-man released (button 5)"
    assert bench.guard.fired["dead_man"] == 1
    assert refusal(bench.ask(near())) == "dead_man"
    assert bench.guard.details["dead_man"] == "dead-man released (button 5)"


def test_silence_of_the_switch_holds_after_its_timeout() -> None:
    bench = moving()
    for _ in range(4):
        bench.live(0.05)
        assert bench.ask(near()).target is not None
    bench.live(0.05)
    assert bench.guard.state.reason == "dead-man silent for 0.25 s"
    assert refusal(bench.ask(near())) == "dead_man"


def test_a_switch_that_goes_on_saying_held_keeps_the_arm_moving() -> None:
    bench = moving()
    for _ in range(40):
        bench.live(0.05)
        bench.press(*HELD)
        assert bench.ask(near()).target is not None
    assert "dead_man" not in bench.guard.fired


@pytest.mark.parametrize("silent", [False, True])
def test_pressed_again_the_arm_goes_on_with_a_new_wish_within_one_step(silent: bool) -> None:
    bench = moving()
    if silent:
        bench.live(0.3)
    else:
        bench.press(*RELEASED)
    bench.time += 0.01
    bench.beat()
    bench.press(*HELD)
    assert bench.guard.state.reason == "just pressed"
    assert refusal(bench.ask(near())) == "before_change"
    bench.time += 0.01
    assert refusal(bench.ask(near(0.1))) == "far_after_resume"
    assert bench.guard.state.holding
    assert bench.ask(near()).target is not None
    assert not bench.guard.state.holding
    assert bench.ask(near(0.1)).target is not None


def test_a_gap_that_the_guard_has_slept_through_counts_as_let_go() -> None:
    bench = moving()
    bench.time += 2.0  # no check has looked meanwhile
    bench.press(*HELD)
    assert bench.guard.state.reason == "just pressed"
    assert bench.guard.fired["dead_man"] == 1


def test_fingers_do_not_move_until_a_pose_wish_passes_again() -> None:
    bench = moving()
    assert bench.guard.gripper_wish("policy", bench.time)
    bench.press(*RELEASED)
    assert not bench.guard.gripper_wish("policy", bench.time)
    assert "dead-man" in bench.guard.details["gripper_refused"]
    bench.press(*HELD)
    assert not bench.guard.gripper_wish("policy", bench.time)
    bench.time += 0.01
    bench.ask(near())
    assert bench.guard.gripper_wish("policy", bench.time)


@pytest.mark.parametrize("buttons", [(), (1,), (1, 1, 1, 1, 1)])
def test_a_joystick_without_that_button_is_named(buttons: tuple[int, ...]) -> None:
    bench = moving()
    bench.press(*buttons)
    assert bench.guard.state.reason == f"dead-man has {len(buttons)} buttons, none with index 5"


def test_the_keyboard_is_the_first_button() -> None:
    bench = make(dead_man="keyboard")
    bench.press(1)
    bench.time += 0.01
    assert bench.ask(near()).target is not None


def test_a_stop_goes_before_and_survives_the_switch() -> None:
    bench = moving()
    bench.guard.stop("operator")
    bench.press(*RELEASED)
    bench.press(*HELD)
    assert bench.guard.state.reason == "operator"
    assert refusal(bench.ask(near())) == "before_change"
    bench.time += 0.01
    assert refusal(bench.ask(near())) == "stopped"
    bench.press(*RELEASED)
    assert bench.guard.resume(bench.now, bench.time) is None
    assert bench.guard.state.reason == "dead-man released (button 5)"


def test_arming_alone_moves_nothing_while_the_switch_is_released() -> None:
    bench = make(require_arming=True)
    assert refusal(bench.ask(near())) == "not_armed"
    bench.guard.arm(True, bench.now)
    bench.time += 0.01
    assert refusal(bench.ask(near())) == "dead_man"
    bench.press(*HELD)
    bench.time += 0.01
    assert bench.ask(near()).target is not None


def test_a_switch_that_is_not_there_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"dead_man 'pedal'.*joy, keyboard, none"):
        GuardConfig(dead_man="pedal")
    with pytest.raises(ConfigError, match="dead_man_button -1"):
        GuardConfig(dead_man_button=-1)
    with pytest.raises(ConfigError, match="dead_man_timeout"):
        GuardConfig(dead_man_timeout=0.0)
