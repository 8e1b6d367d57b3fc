import math

import pytest

from grasp_bringup.gripper import RETRY_PAUSE, GripperCore, GripperResult, ServerAnswer
from qtopt_policy.errors import ConfigError
from qtopt_policy.robot import GripperConfig

CONFIG = GripperConfig(joints=("finger_joint1",))
REACTION = 0.1


def run(core: GripperCore, positions: list[float], start: float = 0.0) -> GripperResult | None:
    """Feed one position per 10 ms and return the first result."""
    for i, position in enumerate(positions):
        now = start + 0.01 * (i + 1)
        core.joint_state(position, now)
        result = core.check(now)
        if result is not None:
            return result
    return None


def closing(end: float, speed: float = 0.1) -> list[float]:
    return [max(end, 0.04 - speed * 0.01 * i) for i in range(300)]


def started(close: bool = True) -> GripperCore:
    core = GripperCore(CONFIG, 1.0, REACTION)
    core.joint_state(0.04 if close else 0.0, 0.0)
    core.commanded(close, 0.0)
    return core


def test_only_edges_are_commands() -> None:
    core = GripperCore(CONFIG, 1.0, REACTION)
    assert core.is_edge(False)
    core.commanded(False, 0.0)
    assert not core.is_edge(False)
    assert core.is_edge(True)
    core.commanded(True, 1.0)
    assert not core.is_edge(True)


def test_commanded_positions_are_those_of_the_robot() -> None:
    core = GripperCore(CONFIG, 1.0, REACTION)
    assert core.position(True) == CONFIG.closed_position
    assert core.position(False) == CONFIG.open_position


def test_fingers_that_meet_reach_their_command() -> None:
    result = run(started(), closing(0.0))
    assert result is not None
    assert result.outcome == "reached"
    assert result.duration == pytest.approx(0.5, abs=0.05)
    assert not result.suspicious


def test_fingers_on_an_object_stall_at_its_width() -> None:
    result = run(started(), closing(0.015))
    assert result is not None
    assert (result.outcome, result.suspicious) == ("stalled", False)
    assert result.aperture == pytest.approx(0.03)


def test_fingers_that_begin_to_move_late_are_waited_for() -> None:
    core = GripperCore(CONFIG, 1.0, reaction_time=0.3)
    core.joint_state(0.04, 0.0)
    core.commanded(True, 0.0)
    result = run(core, [0.04] * 14 + closing(0.0)[1:])
    assert result is not None
    assert (result.outcome, result.aperture) == ("reached", 0.0)
    assert result.reaction == pytest.approx(0.15)


def test_fingers_that_do_not_move_have_no_reaction() -> None:
    result = run(started(), [0.04] * 50)
    assert result is not None
    assert (result.outcome, result.reaction) == ("stalled", None)


def test_what_the_fingers_did_before_the_command_is_no_reaction() -> None:
    core = GripperCore(CONFIG, 1.0, REACTION)
    core.commanded(True, 1.0)
    for stamp, position in ((0.98, 0.02), (0.99, 0.03), (1.01, 0.03), (1.12, 0.03)):
        core.joint_state(position, stamp)
    result = core.check(1.12)
    assert result is not None
    assert (result.outcome, result.reaction) == ("stalled", None)


def test_fingers_that_move_too_long_miss_the_deadline() -> None:
    result = run(started(), closing(0.0, speed=0.03))
    assert result is not None
    assert (result.outcome, result.suspicious) == ("deadline", True)
    assert result.duration == pytest.approx(1.0, abs=0.02)


def test_fingers_without_joint_states_miss_the_deadline() -> None:
    core = GripperCore(CONFIG, 1.0, REACTION)
    core.commanded(True, 0.0)
    assert core.check(0.99) is None
    result = core.check(1.0)
    assert result is not None
    assert result.outcome == "deadline"
    assert math.isnan(result.aperture)


def test_late_joint_states_do_not_look_like_a_rest() -> None:
    core = started()
    core.joint_state(0.039, 0.01)
    assert core.check(0.5) is None
    core.joint_state(0.0, 0.51)
    assert core.check(0.52) is None


def test_fingers_that_do_not_open_are_suspicious() -> None:
    result = run(started(close=False), [0.0] * 100)
    assert result is not None
    assert (result.outcome, result.suspicious) == ("stalled", True)


def test_result_comes_once() -> None:
    core = started()
    assert run(core, closing(0.0)) is not None
    assert run(core, [0.0] * 200, start=5.0) is None


def test_new_command_starts_a_new_deadline() -> None:
    core = started()
    run(core, closing(0.0)[:20])
    core.commanded(False, 0.2)
    result = run(core, [0.02 + 0.001 * min(i, 20) for i in range(100)], start=0.2)
    assert result is not None
    assert (result.close, result.outcome) == (False, "reached")


def test_deadline_shorter_than_a_rest_is_refused() -> None:
    with pytest.raises(ConfigError, match="deadline"):
        GripperCore(CONFIG, 0.1, REACTION)
    with pytest.raises(ConfigError, match=r"deadline 1\.0 s: must be above 1\.1 s"):
        GripperCore(CONFIG, 1.0, 1.0)


def served(close: bool = True) -> GripperCore:
    core = GripperCore(CONFIG, 1.0, REACTION)
    core.joint_state(0.04 if close else 0.0, 0.0)
    core.commanded(close, 0.0, served=True)
    return core


def test_a_stall_that_the_server_tells_ends_the_command_at_once() -> None:
    core = served()
    core.joint_state(0.02, 0.05)
    core.answered(ServerAnswer(True, stalled=True, effort=12.0, detail="aborted"))
    result = core.check(0.06)
    assert result is not None
    assert (result.outcome, result.stalled, result.effort) == ("stalled", True, 12.0)
    assert result.aperture == pytest.approx(0.04)
    assert not result.suspicious


def test_a_goal_that_the_server_reached_is_no_stall() -> None:
    core = served()
    core.answered(ServerAnswer(True, reached=True))
    result = core.check(0.5)
    assert result is not None
    assert (result.outcome, result.stalled) == ("reached", False)


def test_resting_fingers_wait_for_the_server_until_the_deadline() -> None:
    core = served()
    for i in range(1, 60):
        core.joint_state(0.015, 0.01 * i)
        assert core.check(0.01 * i) is None
    result = core.check(1.0)
    assert result is not None
    assert (result.outcome, result.stalled, result.suspicious) == ("deadline", None, True)


def test_a_server_that_tells_nothing_leaves_the_verdict_to_the_fingers() -> None:
    core = served()
    core.answered(ServerAnswer(True, detail="aborted"))
    result = run(core, closing(0.015))
    assert result is not None
    assert (result.outcome, result.stalled, result.detail) == ("stalled", None, "aborted")
    core = served()
    core.answered(ServerAnswer(True, detail="aborted"))
    result = run(core, closing(0.0))
    assert result is not None
    assert (result.outcome, result.stalled) == ("reached", None)


def test_a_refused_command_is_given_again_after_a_pause() -> None:
    core = served()
    core.answered(ServerAnswer(accepted=False, detail="rejected"))
    result = core.check(0.1)
    assert result is not None
    assert (result.outcome, result.suspicious) == ("refused", True)
    assert not core.is_edge(True, 0.2)
    assert core.is_edge(True, 0.1 + RETRY_PAUSE)


def test_a_served_command_without_a_result_is_given_again_after_a_pause() -> None:
    core = served(close=False)
    result = core.check(1.0)
    assert result is not None
    assert (result.close, result.outcome) == (False, "deadline")
    assert not core.is_edge(False, 1.1)
    assert core.is_edge(False, 1.0 + RETRY_PAUSE)


def test_a_command_on_a_topic_is_not_given_again() -> None:
    result = run(core := started(), closing(0.0, speed=0.03))
    assert result is not None
    assert result.outcome == "deadline"
    assert not core.is_edge(True)


def test_an_answer_to_an_earlier_command_does_not_end_the_next() -> None:
    core = served()
    core.answered(ServerAnswer(True, stalled=True))
    core.commanded(False, 0.2, served=True)
    assert core.check(0.3) is None
