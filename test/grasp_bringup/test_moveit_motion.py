import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grasp_bringup.kinematics import Kinematics, kinematics_of
from grasp_bringup.moveit_inputs import MoveConfig, MoveInputs
from grasp_bringup.moveit_motion import POLL, MoveError, MoveLoop, Planned
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve

STILL = np.zeros(7)
LATE = 0.005  # [s] after a plan the thread that takes messages in runs again


@pytest.fixture(scope="module")
def robot() -> RobotConfig:
    return load_robot(resolve(Path("config/robots/sim.yaml")))


@pytest.fixture(scope="module")
def kinematics(robot: RobotConfig) -> Kinematics:
    return kinematics_of(robot)


class FakeArm:
    """Plans and moves at once, or does what it is told to."""

    def __init__(self) -> None:
        self.goals: list[Pose] = []
        self.stops = 0
        self.fresh = True
        self.status = "SUCCEEDED"
        self.while_planning: Callable[[], None] = lambda: None
        self.while_waiting: Callable[[], None] = lambda: None
        self.after_planning: Callable[[], None] = lambda: None
        self.runs = threading.Event()
        self.ends = threading.Event()
        self.ends.set()
        self.obeys = True

    def wait_for_state(self, since: int, timeout: float) -> bool:
        self.while_waiting()
        return self.fresh

    def plan(self, goal: Pose) -> Planned:
        self.goals.append(goal)
        self.while_planning()
        threading.Timer(LATE, self.after_planning).start()
        return Planned(object(), 0.01)

    def execute(self, planned: Planned) -> str:
        self.runs.set()
        assert self.ends.wait(5.0)
        return self.status

    def stop(self) -> None:
        self.stops += 1
        if self.obeys:
            self.status = "PREEMPTED"
            self.ends.set()


class Rig:
    """A loop around a FakeArm, on a clock that the test moves."""

    def __init__(self, robot: RobotConfig, kinematics: Kinematics, config: MoveConfig) -> None:
        self.robot, self.kinematics = robot, kinematics
        self.time = 100.0
        self.arm = FakeArm()
        self.arm.after_planning = self.joints_come_in
        self.inputs = MoveInputs(config, lambda: self.time)
        self.loop = MoveLoop(
            self.arm, self.inputs, kinematics, robot.limits, config, lambda: round(self.time * 1e9)
        )
        self.home = kinematics.forward(robot.home)
        self.joints()

    def joints(self) -> None:
        """Let a joint state come in."""
        self.inputs.joint_state(np.array(self.robot.home), STILL)

    def joints_come_in(self) -> None:
        """Let joint states come in until the loop goes on."""
        while self.loop.state == "planning":
            self.joints()
            time.sleep(LATE)

    def go_on(self, q: tuple[float, ...], speed: float) -> None:
        """Let 0.05 s pass in which everything arrives."""
        self.time += 0.05
        self.inputs.joint_state(np.array(q), STILL + speed)
        self.wish()

    def wish(self, x: float = 0.03, age: float = 0.0) -> Pose:
        pose = Pose(self.home.position + np.array([x, 0.0, 0.0]), self.home.quaternion)
        stamp = round((self.time - age) * 1e9)
        self.inputs.target(pose, stamp, round(self.time * 1e9))
        return pose

    def fired(self) -> set[str]:
        return set(self.inputs.findings()[0])

    def step_in_thread(self) -> threading.Thread:
        self.arm.ends.clear()
        thread = threading.Thread(target=self.loop.step)
        thread.start()
        assert self.arm.runs.wait(5.0)
        return thread


@pytest.fixture
def rig(robot: RobotConfig, kinematics: Kinematics) -> Rig:
    return Rig(robot, kinematics, MoveConfig())


def test_nothing_moves_without_a_target(rig: Rig) -> None:
    assert not rig.loop.step()
    assert not rig.arm.goals


def test_a_target_is_planned_once_however_often_it_is_repeated(rig: Rig) -> None:
    target = rig.wish()
    assert rig.loop.step()
    rig.wish()
    assert not rig.loop.step()
    assert len(rig.arm.goals) == 1
    assert rig.arm.goals[0].distance(target) < 1e-9
    assert not rig.fired()


def test_the_latest_target_wins_between_moves(rig: Rig) -> None:
    rig.wish(0.02)
    last = rig.wish(0.05)
    rig.loop.step()
    assert [goal.distance(last) < 1e-9 for goal in rig.arm.goals] == [True]


def test_a_far_target_is_approached_step_by_step(rig: Rig) -> None:
    target = rig.wish(0.2)
    rig.loop.step()
    step = rig.arm.goals[0].distance(rig.home)
    assert step == pytest.approx(rig.robot.limits.max_step_length)
    rig.inputs.joint_state(rig.kinematics.solve(rig.arm.goals[0], rig.robot.home).q, STILL)
    assert rig.loop.step()
    assert rig.arm.goals[1].distance(target) == pytest.approx(0.2 - 2 * step, abs=1e-4)


def test_a_target_where_the_tool_is_needs_no_move(rig: Rig) -> None:
    rig.wish(0.0)
    assert not rig.loop.step()


@pytest.mark.parametrize(("age", "name"), [(1.0, "stale"), (-1.0, "future")])
def test_a_target_out_of_its_time_is_dropped_by_name(rig: Rig, age: float, name: str) -> None:
    rig.wish(age=age)
    assert not rig.loop.step()
    assert rig.fired() == {name}


def test_a_target_without_joint_states_is_dropped_by_name(rig: Rig) -> None:
    rig.time += 1.0
    rig.wish()
    assert not rig.loop.step()
    assert rig.fired() == {"no_joint_state"}


def test_a_missing_robot_state_has_its_name_and_moves_nothing(rig: Rig) -> None:
    rig.arm.fresh = False
    rig.arm.while_waiting = lambda: rig.go_on(rig.robot.home, 0.0)
    rig.wish()
    rig.loop.step()
    assert rig.fired() == {"stale_state"}
    assert not rig.arm.goals


def test_an_arm_in_motion_is_not_planned_for(rig: Rig) -> None:
    rig.inputs.joint_state(np.array(rig.robot.home), STILL + 0.3)
    rig.arm.while_waiting = lambda: rig.go_on(rig.robot.home, 0.3)
    rig.wish()
    rig.loop.step()
    assert rig.fired() == {"not_at_rest"}
    assert not rig.arm.goals


def test_a_hold_while_planning_stops_before_the_motion(rig: Rig) -> None:
    rig.arm.while_planning = lambda: rig.inputs.hold("test")
    rig.wish()
    rig.loop.step()
    assert rig.fired() == {"stopped"}
    assert not rig.arm.runs.is_set()


def test_a_hold_that_a_new_target_follows_still_stops_the_old_move(rig: Rig) -> None:
    def hold_and_wish() -> None:
        rig.inputs.hold("test")
        rig.wish(0.01)

    rig.arm.while_planning = hold_and_wish
    rig.wish()
    rig.loop.step()
    assert rig.fired() == {"stopped"}
    assert not rig.arm.runs.is_set()


def test_a_target_that_grows_old_while_planning_stops_before_the_motion(rig: Rig) -> None:
    def plan_slowly() -> None:
        rig.time += 0.3

    rig.arm.while_planning = plan_slowly
    rig.wish()
    rig.loop.step()
    assert rig.fired() == {"wish_timeout", "stopped"}
    assert not rig.arm.runs.is_set()


def test_a_hold_that_waited_for_the_plan_stops_before_the_motion(rig: Rig) -> None:
    """The thread that takes messages in was blocked, and is slow to run again."""

    def come_in() -> None:
        time.sleep(2 * POLL)
        rig.inputs.hold("test")
        rig.joints_come_in()

    rig.arm.after_planning = come_in
    rig.wish()
    rig.loop.step()
    assert rig.fired() == {"stopped"}
    assert not rig.arm.runs.is_set()


def test_a_plan_as_long_as_the_joint_timeout_is_executed(rig: Rig) -> None:
    """Nobody was silent: nothing could come in. The target comes in first, while the joint state is old."""

    def plan_slowly() -> None:
        rig.time += 0.22

    def come_in() -> None:
        rig.wish()
        rig.joints_come_in()

    rig.arm.while_planning, rig.arm.after_planning = plan_slowly, come_in
    rig.wish()
    rig.loop.step()
    assert not rig.fired()
    assert rig.arm.runs.is_set()


def test_joint_states_that_end_while_planning_stop_before_the_motion(rig: Rig) -> None:
    rig.arm.after_planning = lambda: None
    rig.wish()
    rig.loop.step()
    assert rig.fired() == {"stale_state"}
    assert not rig.arm.runs.is_set()


def test_old_joint_states_count_again_after_a_plan(rig: Rig) -> None:
    rig.wish()
    rig.loop.step()
    rig.time += 0.3
    rig.wish()
    assert rig.fired() == {"no_joint_state"}


def test_a_hold_stops_the_motion_within_the_poll(rig: Rig) -> None:
    took: list[float] = []
    while len(took) < 3 and (not took or min(took) > 1.5 * POLL):  # the machine may keep a thread waiting
        rig.arm.runs.clear()
        rig.wish()
        thread = rig.step_in_thread()
        begun = time.monotonic()
        rig.inputs.hold("test")
        while not rig.arm.stops and time.monotonic() < begun + 5.0:
            time.sleep(0.0005)
        took.append(time.monotonic() - begun)
        thread.join(5.0)
        assert rig.arm.stops >= 1
        assert rig.fired() == {"stopped"}
        rig.arm.stops = 0
    assert min(took) <= 1.5 * POLL, f"hold to stop [s]: {took}"


def test_silent_joint_states_stop_the_motion(rig: Rig) -> None:
    rig.wish()
    thread = rig.step_in_thread()
    rig.time += 0.21
    thread.join(5.0)
    assert rig.arm.stops >= 1
    assert {"joint_timeout", "stopped"} <= rig.fired()


def test_an_execution_that_does_not_end_is_stopped(rig: Rig) -> None:
    rig.wish()
    thread = rig.step_in_thread()
    while thread.is_alive() and rig.time < 110.0:
        rig.time += 0.1
        rig.joints()
        rig.wish()
        time.sleep(0.01)
    assert {"overdue"} <= rig.fired()


def test_an_execution_that_does_not_stop_is_given_up_and_no_other_begun(rig: Rig) -> None:
    rig.arm.obeys = False
    rig.wish()
    thread = rig.step_in_thread()
    rig.inputs.hold("test")
    while thread.is_alive() and rig.time < 110.0:
        rig.time += 0.3
        time.sleep(0.03)
    assert "stuck" in rig.fired()
    rig.joints()
    rig.wish()
    assert not rig.loop.step()
    assert rig.loop.state.startswith("stuck")
    rig.arm.ends.set()
    rig.loop.close()


def test_a_failed_execution_has_the_controllers_word(rig: Rig) -> None:
    rig.arm.status = "ABORTED"
    rig.wish()
    rig.loop.step()
    assert rig.inputs.findings()[1] == {"execution": "ABORTED"}


@pytest.mark.parametrize(
    ("error", "name"), [(MoveError("no_plan", "x"), "no_plan"), (RuntimeError("x"), "moveit_error")]
)
def test_a_failed_plan_is_tried_again_after_a_pause(rig: Rig, error: Exception, name: str) -> None:
    def fail() -> None:
        raise error

    rig.arm.while_planning = fail
    rig.wish()
    assert rig.loop.step()
    assert rig.fired() == {name}
    assert not rig.loop.step()
    rig.time += 0.6
    rig.joints()
    rig.wish()
    assert rig.loop.step()
    assert len(rig.arm.goals) == 2


def test_another_target_needs_no_pause_after_a_failure(rig: Rig) -> None:
    rig.arm.status = "ABORTED"
    rig.wish(0.02)
    rig.loop.step()
    rig.wish(0.03)
    assert rig.loop.step()


def test_after_a_hold_the_same_target_is_a_new_wish(rig: Rig) -> None:
    rig.wish()
    rig.loop.step()
    rig.inputs.hold("test")
    rig.loop.step()
    rig.wish()
    assert rig.loop.step()


def test_closing_stops_a_running_motion(rig: Rig) -> None:
    rig.arm.ends.clear()
    rig.wish()
    rig.loop.start()
    assert rig.arm.runs.wait(5.0)
    rig.loop.close()
    assert rig.arm.stops >= 1


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"planner": "ompl"}, "valid are lin, ik"),
        ({"planning_time": 0.5}, "at most 0.2"),
        ({"wish_timeout": 0.0}, "wish_timeout"),
    ],
)
def test_a_bad_threshold_is_refused_by_name(values: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        MoveConfig(**values)  # type: ignore[arg-type]
