import pytest

from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.grasp_action import CLOSE, MOVE, OPEN
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.step_rule import Measurement, StepMonitor

TARGET = pointing_down((0.5, 0.0, 0.2), 0.0)
CONFIG = MdpConfig()


def sample(stamp: float, *, pose: Pose = TARGET, speed: float = 0.0, aperture: float = 0.08) -> Measurement:
    return Measurement(stamp, pose, speed, aperture)


def started(choice: int, start: float = 0.0, reaction_time: float = 0.1) -> StepMonitor:
    return StepMonitor(CONFIG, TARGET, choice, start, reaction_time)


def test_a_move_ends_when_it_has_arrived() -> None:
    assert started(MOVE).update(sample(0.1)) == "arrived"


@pytest.mark.parametrize(
    "measured",
    [
        sample(0.1, pose=pointing_down((0.504, 0.0, 0.2), 0.0)),
        sample(0.1, pose=pointing_down((0.5, 0.0, 0.2), 0.05)),
        sample(0.1, speed=0.006),
    ],
    ids=["far", "turned", "fast"],
)
def test_a_move_goes_on_until_near_aligned_and_slow(measured: Measurement) -> None:
    assert started(MOVE).update(measured) is None


def test_a_move_that_never_arrives_ends_by_its_timeout() -> None:
    monitor = started(MOVE, 10.0)
    away = pointing_down((0.6, 0.0, 0.2), 0.0)
    assert monitor.update(sample(10.99, pose=away)) is None
    assert monitor.update(sample(11.0, pose=away)) == "timeout"


@pytest.mark.parametrize(("choice", "command"), [(CLOSE, True), (OPEN, False)])
def test_the_fingers_are_commanded_after_the_move(choice: int, command: bool) -> None:
    monitor = started(choice)
    monitor.update(sample(0.1, speed=0.1))
    assert monitor.gripper_command is None
    assert monitor.update(sample(0.2)) is None
    assert monitor.gripper_command is command


def test_a_close_ends_when_the_fingers_rest() -> None:
    monitor = started(CLOSE)
    causes = [monitor.update(sample(0.01 * i, aperture=max(0.03, 0.08 - 0.002 * i))) for i in range(60)]
    ended = causes.index("gripper_settled")
    assert 0.25 <= 0.01 * ended <= 0.45  # the fingers stop at 0.25 s, and have rested 0.1 s later
    assert set(causes[:ended]) == {None}


def test_fingers_that_never_rest_end_by_their_timeout() -> None:
    monitor = started(CLOSE)
    causes = [monitor.update(sample(0.01 * i, aperture=0.08 if i % 2 else 0.07)) for i in range(120)]
    assert causes.index("gripper_timeout") == 100
    assert "gripper_settled" not in causes


@pytest.mark.parametrize("choice", [CLOSE, OPEN])
def test_fingers_that_begin_to_move_late_are_waited_for(choice: int) -> None:
    monitor = started(choice, reaction_time=0.5)
    step = 0.002 if choice == OPEN else -0.002
    apertures = [0.04 + step * min(max(i - 40, 0), 15) for i in range(90)]
    causes = [monitor.update(sample(0.01 * i, aperture=aperture)) for i, aperture in enumerate(apertures)]
    ended = causes.index("gripper_settled")
    assert 0.01 * ended == pytest.approx(0.65, abs=0.011)  # they move from 0.4 to 0.55 s


@pytest.mark.parametrize("reaction_time", [0.1, 0.5])
def test_fingers_that_do_not_move_end_the_step_after_their_reaction_time(reaction_time: float) -> None:
    monitor = started(CLOSE, reaction_time=reaction_time)
    causes = [monitor.update(sample(0.01 * i)) for i in range(90)]
    assert 0.01 * causes.index("gripper_settled") == pytest.approx(reaction_time, abs=0.011)


def test_a_plain_move_leaves_the_fingers_alone() -> None:
    monitor = started(MOVE)
    monitor.update(sample(0.1))
    assert monitor.gripper_command is None
