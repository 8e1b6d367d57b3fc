"""moveit_node's arm with the strict double of moveit_py: each failure has its name, none ends the node."""

import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.executors import DOUBLE
from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.moveit_config import moveit_parameters, write_parameters
from grasp_bringup.moveit_inputs import MoveConfig, MoveInputs
from grasp_bringup.moveit_motion import MoveLoop
from grasp_bringup.moveit_scene import Box, scene_boxes
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand
from support.fake_driver import PERIOD, FakeDriver
from support.graph import DEADLINE, ros_graph

pytestmark = pytest.mark.graph

MODULES = ("moveit", "shape_msgs", "grasp_bringup.moveit_node", "grasp_bringup.moveit_scene_node")


def wait_rest(driver: FakeDriver) -> None:
    """Wait for the end of the move before: its executor's word may come before the driver's last step."""
    end = time.monotonic() + DEADLINE
    while not driver.standing:
        assert time.monotonic() < end, f"the arm still moves after {DEADLINE} s"
        time.sleep(0.02)


class Rig:
    """A MoveLoop around MoveItArm and a fake robot that another thread spins."""

    def __init__(self, folder: Path) -> None:
        self.faults: Any = importlib.import_module("moveit.core.faults")
        self._node: Any = importlib.import_module("grasp_bringup.moveit_node")
        self.robot = load_robot(resolve(Path("config/robots/sim.yaml")))
        self.kinematics = kinematics_of(self.robot)
        parameters = moveit_parameters(self.robot) | {"use_sim_time": False}
        self._file = write_parameters(parameters, folder / "moveit.yaml")
        self.arms: dict[str, Any] = {}

    def arm(self, planner: str) -> Any:
        """Return the arm with that planner; it is made once."""
        if planner not in self.arms:
            config = MoveConfig(planner=planner)
            self.arms[planner] = self._node.MoveItArm(self.robot, self._file, "", config)
        return self.arms[planner]

    def move(self, driver: FakeDriver, planner: str, x: float, fault: str = "") -> tuple[set[str], float]:
        """Make one move by `x` [m]; return what fired and how far the tool is from the target then [m]."""
        late = {"joint_timeout": 30.0, "wish_timeout": 30.0, "max_wish_age": 30.0, "state_timeout": 1.0}
        config = MoveConfig(planner=planner, **late)
        wait_rest(driver)
        inputs = MoveInputs(config, lambda: driver.get_clock().now().nanoseconds * 1e-9)

        def clock() -> int:
            return int(driver.get_clock().now().nanoseconds)

        loop = MoveLoop(self.arm(planner), inputs, self.kinematics, self.robot.limits, config, clock)
        inputs.joint_state(driver.q, np.zeros(7))
        timer = driver.create_timer(PERIOD, lambda: inputs.joint_state(driver.q, np.zeros(7)))
        start = self.kinematics.forward(driver.q)
        target = Pose(start.position + np.array([x, 0.0, 0.0]), start.quaternion)
        inputs.target(target, clock(), clock())
        if fault:
            self.faults.ask(fault)
        try:
            assert loop.step()
        finally:
            self.faults.clear()
            driver.destroy_timer(timer)
        return set(inputs.findings()[0]), self.kinematics.forward(driver.q).distance(target)


@pytest.fixture(scope="module")
def double() -> Iterator[None]:
    """Put the double where moveit_py would be."""
    sys.path.insert(0, str(DOUBLE))
    yield
    sys.path.remove(str(DOUBLE))
    for name in [name for name in sys.modules if name.startswith(MODULES)]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def cell(double: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, FakeDriver]]:
    folder = tmp_path_factory.mktemp("moveit")
    before = dict(os.environ)
    with ros_graph(folder) as graph:
        rig = Rig(folder)
        driver = graph.add(FakeDriver(rig.robot.arm_joints, np.array(rig.robot.home)))
        ended = threading.Event()

        def spin() -> None:
            while not ended.is_set():
                graph.spin(0.05)

        thread = threading.Thread(target=spin)
        thread.start()
        try:
            yield rig, driver
        finally:
            for arm in rig.arms.values():
                arm.release()
            ended.set()
            thread.join()
    os.environ.clear()
    os.environ.update(before)


def test_moveit_hears_the_clock_of_its_namespace(
    cell: tuple[Rig, FakeDriver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = cell[0].robot
    file = write_parameters(moveit_parameters(robot) | {"use_sim_time": True}, tmp_path / "moveit.yaml")
    planning: Any = importlib.import_module("moveit.planning")
    monkeypatch.setattr(planning.Driver, "wait_newer", lambda *arguments: True)  # no joint state comes there
    node: Any = importlib.import_module("grasp_bringup.moveit_node")
    arm = node.MoveItArm(robot, file, "left", MoveConfig())
    try:
        heard = {subscription.topic_name for subscription in arm._moveit.driver.node.subscriptions}
    finally:
        arm.release()
    assert heard == {"/left/clock", "/left/joint_states"}


@pytest.mark.parametrize("planner", ["lin", "ik"])
@pytest.mark.parametrize("x", [0.03, -0.03])
def test_a_move_ends_at_its_target(cell: tuple[Rig, FakeDriver], planner: str, x: float) -> None:
    rig, driver = cell
    fired, distance = rig.move(driver, planner, x)
    assert fired == set()
    assert distance < 0.002


@pytest.mark.parametrize(
    ("planner", "fault", "name"),
    [
        ("lin", "no_state", "stale_state"),
        ("lin", "no_goal", "no_goal"),
        ("lin", "no_plan", "no_plan"),
        ("lin", "plan_raises", "moveit_error"),
        ("lin", "too_fast", "too_fast"),
        ("lin", "repeated_stamp", "bad_plan"),
        ("lin", "not_finite", "bad_plan"),
        ("lin", "aborted", "execution"),
        ("lin", "execute_raises", "execution"),
        ("ik", "no_ik", "no_ik"),
        ("ik", "other_branch", "joint_jump"),
        ("ik", "no_timing", "no_timing"),
        ("ik", "repeated_stamp", "bad_plan"),
        ("ik", "not_finite", "bad_plan"),
        ("ik", "path_invalid", "path_invalid"),
    ],
)
def test_every_failure_has_its_name_and_the_next_move_goes_well(
    cell: tuple[Rig, FakeDriver], planner: str, fault: str, name: str
) -> None:
    rig, driver = cell
    wait_rest(driver)
    begun = driver.q
    far = 0.03 if fault == "too_fast" else 0.01  # on a short way no speed is reached
    fired, _ = rig.move(driver, planner, far, fault)
    assert fired == {name}
    if fault != "aborted":
        assert np.abs(driver.q - begun).max() < 1e-6
    back = -0.01 if rig.kinematics.forward(driver.q).position[0] > 0.5 else 0.01
    assert rig.move(driver, planner, back)[0] == set()


def test_lines_are_asked_for_with_one_attempt_in_a_fifth_of_a_second(cell: tuple[Rig, FakeDriver]) -> None:
    rig, driver = cell
    rig.move(driver, "lin", 0.01)
    request = rig.arm("lin")._component.requests[-1]
    assert request.planner_id == "LIN"
    assert request.planning_attempts == 1
    assert request.planning_time <= 0.2


def test_the_scene_is_given_to_moveit_in_the_base_frame(cell: tuple[Rig, FakeDriver]) -> None:
    rig, _ = cell
    boxes = scene_boxes(rig.robot, expand(rig.robot.urdf, rig.robot.xacro_args))
    assert rig.arm("lin").add_boxes(boxes) == ()
    objects = rig.arm("lin")._monitor.objects
    assert set(objects) == {box.name for box in boxes}
    assert {message.header.frame_id for message in objects.values()} == {rig.robot.base_frame}


def test_a_refused_object_is_named(cell: tuple[Rig, FakeDriver]) -> None:
    rig, _ = cell
    rig.faults.ask("scene_refused", 1)
    box = Box("post", (0.1, 0.1, 0.1), (1.0, 0.0, 0.0))
    assert rig.arm("lin").add_boxes((box,)) == ("post",)


def test_every_fault_of_the_double_is_tested(double: None) -> None:
    faults: Any = importlib.import_module("moveit.core.faults")
    cases = next(
        mark.args[1]
        for mark in test_every_failure_has_its_name_and_the_next_move_goes_well.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    )
    elsewhere = {"scene_refused", "teardown_crash", "deaf"}  # above, in conformance, in test_moveit_motion
    assert {case[1] for case in cases} | elsewhere == set(faults.NAMES)
