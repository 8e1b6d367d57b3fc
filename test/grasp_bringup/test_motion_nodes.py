"""guard_node, servo_node and gripper_node against a fake robot: each limit and the arm's reaction."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import Marker, MarkerArray

from grasp_bringup.gripper_node import GripperNode
from grasp_bringup.guard_node import GuardNode
from grasp_bringup.kinematics import Kinematics, kinematics_of
from grasp_bringup.servo_node import ServoNode
from qtopt_policy import topics
from qtopt_policy.base_node import OK, WARN, nanoseconds
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from support.fake_driver import FakeDriver, FakePad, FakeWisher, Listener
from support.graph import Graph, ros_graph
from support.robots import with_max_effort

pytestmark = pytest.mark.graph

# Steady time runs slowly, so that a loaded machine does not trip watchdogs that a test is not about.
CALM = [f"{node}:real_time_factor:=0.1" for node in ("guard_node", "servo_node", "gripper_node")]
PATIENT = [f"{node}:max_wish_age:=3.0" for node in ("guard_node", "servo_node")]
PATIENT.append("gripper_node:deadline:=10.0")
UNGUARDED = ["guard_node:require_arming:=false"]

Make = Callable[..., "Cell"]


class Cell:
    """The motion chain, a fake robot at home and a fake policy."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.robot: RobotConfig = load_robot(resolve(Path("config/robots/sim.yaml")))
        self.kinematics: Kinematics = kinematics_of(self.robot)
        self.home = self.kinematics.forward(self.robot.home)
        self.driver = graph.add(FakeDriver(self.robot.arm_joints, np.array(self.robot.home)))
        self.policy = graph.add(FakeWisher(self.robot.base_frame))
        self.listener = graph.add(Listener())
        self.guard = graph.start(GuardNode())
        graph.start(ServoNode())
        graph.start(GripperNode())
        self._owner = self.listener.create_client(SetParameters, "guard_node/set_parameters")
        graph.spin_until(lambda: len(self.listener.tool_poses) > 5, "arm/tool_pose")

    @property
    def tool(self) -> Pose:
        return self.kinematics.forward(self.driver.q)

    def own(self, owner: str = "policy") -> Any:
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=owner)
        request = SetParameters.Request(parameters=[Parameter(name="owner", value=value)])
        return self.graph.call(self._owner, request).results[0]

    def trigger(self, service: str) -> Any:
        return self.graph.ask(self.listener, Trigger, service)

    def arm(self, armed: bool) -> Any:
        return self.graph.ask(self.listener, SetBool, topics.ARM_ARM, data=armed)

    def near(self, x: float = 0.03, y: float = 0.0, z: float = 0.0) -> Pose:
        return pointing_down(self.home.position + np.array([x, y, z]), 0.0)

    def wait_arrival(self, target: Pose) -> None:
        self.graph.spin_until(lambda: self.tool.distance(target) < 0.002, f"tool at {target.position}")

    def wait_rest(self) -> None:
        self.graph.spin_until(lambda: self.driver.standing, "the arm's rest")

    def wait_reason(self, text: str) -> None:
        self.graph.spin_until(
            lambda: text in self.listener.arm_state.get("reason", ""),
            f"reason '{text}', last state {self.listener.arm_state}",
        )

    def wait_diagnostic(self, name: str) -> dict[str, str]:
        self.graph.spin_until(lambda: name in self.listener.diagnostics, f"diagnostic '{name}'")
        return self.listener.diagnostics[name]

    def moving_to(self, target: Pose) -> None:
        """Wish for `target` until the arm moves."""
        self.policy.target = target
        self.graph.spin_until(lambda: self.tool.distance(self.home) > 0.005, "motion")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    graphs: list[Any] = []

    def build(*parameters: str) -> Cell:
        context = ros_graph(tmp_path, [*CALM, *PATIENT, *parameters])
        graphs.append(context)
        return Cell(context.__enter__())

    yield build
    for context in graphs:
        context.__exit__(None, None, None)


def test_wishes_of_the_owner_bring_the_arm_to_their_target(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.policy.target = cell.near()
    cell.graph.spin(0.5)
    assert not cell.driver.trajectories
    assert not cell.listener.targets
    assert cell.own().successful
    cell.wait_arrival(cell.near())
    cell.wait_rest()
    assert cell.listener.arm_state == {
        "owner": "policy",
        "armed": "1",
        "stopped": "0",
        "holding": "0",
        "reason": "",
    }


def test_workspace_and_target_are_markers_for_who_looks(make: Make) -> None:
    cell = make(*UNGUARDED)
    found: dict[str, Marker] = {}

    def keep(message: MarkerArray) -> None:
        found.update({marker.ns: marker for marker in message.markers})

    cell.listener.create_subscription(MarkerArray, topics.ARM_MARKERS, keep, 10)
    cell.graph.spin_until(lambda: "workspace" in found, "the workspace")
    assert found["target"].action == Marker.DELETE  # the arm holds
    limits = cell.robot.limits
    corners = np.array([[p.x, p.y, p.z] for p in found["workspace"].points])
    np.testing.assert_allclose(corners.max(axis=0), limits.workspace_max)
    np.testing.assert_allclose(corners.min(axis=0), (*limits.workspace_min[:2], limits.min_height))
    cell.own()
    cell.policy.target = cell.near()
    cell.graph.spin_until(lambda: found["target"].action == Marker.ADD, "the target")
    origin = found["target"].points[0]
    np.testing.assert_allclose([origin.x, origin.y, origin.z], cell.near().position, atol=1e-6)
    assert len(found["target"].colors) == len(found["target"].points) == 6


def test_tool_pose_carries_the_stamp_of_a_joint_state(make: Make) -> None:
    cell = make(*UNGUARDED)
    stamps = {nanoseconds(message.header.stamp) for message in cell.listener.tool_poses}
    assert stamps <= set(cell.driver.stamps)
    assert len(stamps) == len(cell.listener.tool_poses)


def test_every_trajectory_ends_at_rest_within_a_tenth_of_a_second(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    cell.policy.target = cell.near()
    cell.wait_arrival(cell.near())
    for message in cell.driver.trajectories:
        assert list(message.joint_names) == list(cell.robot.arm_joints)
        assert message.points[-1].time_from_start.nanosec <= 100_000_000
        assert max(map(abs, message.points[-1].velocities)) == 0.0


def test_far_wish_is_shortened_to_a_leash_and_reported(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    goal = cell.near(0.12, 0.1, 0.05)
    cell.policy.target = goal
    cell.wait_arrival(goal)
    first = cell.listener.targets[0].pose.position
    way = np.linalg.norm(np.array([first.x, first.y, first.z]) - cell.home.position)
    assert way <= cell.robot.limits.max_step_length + 1e-3
    assert int(cell.wait_diagnostic("guard_node: step_length")["count"]) > 0


def test_wish_into_the_floor_ends_above_it(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    limits = cell.robot.limits
    floor = pointing_down(np.array([*cell.home.position[:2], -0.2]), 0.0)
    cell.policy.target = floor
    end = pointing_down(np.array([*cell.home.position[:2], limits.min_height]), 0.0)
    cell.wait_arrival(end)
    cell.wait_rest()
    lowest = min(cell.kinematics.forward(q).position[2] for _, q in cell.driver.path)
    assert lowest >= limits.min_height - 2e-4
    cell.wait_diagnostic("guard_node: table_clearance")


def test_silence_holds_the_arm_on_its_way(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    goal = cell.near(0.14, 0.14, 0.1)
    cell.moving_to(goal)
    cell.policy.target = None
    cell.wait_reason("no wish of policy")
    cell.wait_rest()
    assert cell.tool.distance(goal) > 0.05


def test_lost_heartbeat_holds_the_arm_though_wishes_go_on(make: Make) -> None:
    # 0.4 s on the wall: the default would let the arm arrive first.
    cell = make(*UNGUARDED, "guard_node:heartbeat_timeout:=0.04")
    cell.own()
    goal = cell.near(0.14, 0.14, 0.1)
    cell.moving_to(goal)
    cell.policy.beating = False
    cell.wait_reason("no heartbeat of policy")
    cell.wait_rest()
    assert cell.tool.distance(goal) > 0.05
    cell.policy.beating = True
    cell.wait_arrival(goal)


def test_silent_joint_states_stop_the_arm_until_it_is_resumed(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    cell.moving_to(cell.near(0.14, 0.14, 0.1))
    cell.driver.silent = True
    cell.wait_reason("no joint state of joint1")
    cell.wait_rest()
    refused = cell.trigger(topics.ARM_RESUME)
    assert not refused.success
    assert "joint1" in refused.message
    cell.driver.silent = False
    heard = len(cell.listener.tool_poses)
    cell.graph.spin_until(lambda: len(cell.listener.tool_poses) > heard, "joint states")
    assert cell.driver.standing
    assert cell.trigger(topics.ARM_RESUME).success
    cell.policy.target = Pose(cell.tool.position + np.array([0.0, 0.0, 0.03]), cell.home.quaternion)
    cell.wait_arrival(cell.policy.target)


def test_stop_ends_motion_and_after_a_resume_only_a_near_wish_begins(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    goal = cell.near(0.14, 0.14, 0.1)
    cell.moving_to(goal)
    assert cell.trigger(topics.ARM_STOP).success
    cell.wait_rest()
    rest = cell.tool
    assert rest.distance(goal) > cell.robot.limits.max_step_length
    assert cell.listener.arm_state["stopped"] == "1"
    assert cell.trigger(topics.ARM_RESUME).success
    cell.wait_diagnostic("guard_node: far_after_resume")
    assert cell.tool.distance(rest) < 1e-6
    cell.policy.target = Pose(rest.position + np.array([0.0, 0.0, 0.03]), rest.quaternion)
    cell.wait_arrival(cell.policy.target)


def test_unarmed_robot_makes_a_dry_run_and_moves_once_armed(make: Make) -> None:
    cell = make()
    cell.own()
    cell.policy.target = cell.near()
    assert "dry run" in cell.wait_diagnostic("guard_node: not_armed")["values"]
    assert not cell.listener.targets
    assert cell.tool.distance(cell.home) < 1e-9
    assert cell.arm(True).success
    cell.wait_arrival(cell.near())
    assert cell.arm(False).success
    count = len(cell.listener.targets)
    cell.policy.target = cell.near(-0.03)
    cell.graph.spin(0.3)
    assert len(cell.listener.targets) == count


def test_change_of_owner_takes_the_arm_away(make: Make) -> None:
    cell = make(*UNGUARDED)
    collector = cell.graph.add(FakeWisher(cell.robot.base_frame, "collector", topics.COLLECTOR_TARGET))
    cell.own()
    cell.policy.target = cell.near()
    cell.wait_arrival(cell.near())
    cell.own("collector")
    cell.graph.spin_until(lambda: cell.listener.arm_state["reason"] == "owner changed", "hold")
    collector.target = cell.near(-0.03)
    cell.wait_arrival(cell.near(-0.03))


def test_unknown_owner_is_refused_with_the_valid_ones(make: Make) -> None:
    cell = make(*UNGUARDED)
    result = cell.own("me")
    assert not result.successful
    assert "none, policy, collector" in result.reason


def test_wish_in_another_frame_is_refused_with_a_diagnostic(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    cell.policy.frame = "tcp"
    cell.policy.target = cell.near()
    assert "'tcp'" in cell.wait_diagnostic("guard_node: frame")["values"]
    assert cell.listener.levels["guard_node: frame"] == WARN
    assert not cell.listener.targets


def test_fingers_are_commanded_on_edges_only(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    cell.policy.target = cell.near()
    cell.policy.close = False
    cell.graph.spin_until(lambda: cell.listener.closes.count(False) > 5, "open wishes")
    cell.policy.close = True
    cell.graph.spin_until(lambda: cell.listener.closes.count(True) > 10, "close wishes")
    assert cell.driver.gripper_commands == [0.04, 0.0]
    cell.graph.spin_until(
        lambda: cell.listener.diagnostics.get("gripper_node: result", {}).get("command") == "close",
        "result of closing",
    )
    assert cell.listener.diagnostics["gripper_node: result"]["outcome"] == "reached"


def test_fingers_that_do_not_open_are_reported(make: Make) -> None:
    cell = make(*UNGUARDED)
    cell.own()
    cell.driver.finger = 0.0
    cell.driver.stuck = True
    cell.policy.target = cell.near()
    cell.policy.close = False
    assert cell.wait_diagnostic("gripper_node: result")["outcome"] == "stalled"
    assert cell.listener.levels["gripper_node: result"] == WARN


def test_the_arm_moves_only_while_the_dead_man_button_is_held(make: Make) -> None:
    cell = make(*UNGUARDED, "guard_node:dead_man:=joy", "guard_node:dead_man_button:=1")
    pad = cell.graph.add(FakePad())
    cell.own()
    goal = cell.near(0.14, 0.14, 0.1)
    cell.policy.target = goal
    cell.wait_reason("dead-man not heard of yet")
    pad.buttons = [0, 0]
    cell.wait_reason("dead-man released (button 1)")
    assert "dead-man" in cell.wait_diagnostic("guard_node: dead_man")["values"]
    assert cell.tool.distance(cell.home) < 1e-9
    pad.buttons = [0, 1]
    cell.wait_diagnostic("guard_node: far_after_resume")
    cell.moving_to(cell.near())
    cell.policy.target = goal
    pad.buttons = [0, 0]
    cell.wait_reason("dead-man released (button 1)")
    assert cell.listener.arm_state["stopped"] == "0"
    cell.wait_rest()
    cell.policy.target = Pose(cell.tool.position + np.array([0.0, 0.0, 0.03]), cell.home.quaternion)
    pad.buttons = [0, 1]
    cell.wait_arrival(cell.policy.target)
    pad.buttons = None
    cell.wait_reason("dead-man silent for 0.25 s")


def test_a_joint_that_pushes_too_hard_stops_the_arm_until_it_is_resumed(make: Make, tmp_path: Path) -> None:
    robot = with_max_effort(tmp_path, [30.0] * 7)
    cell = make(*UNGUARDED, f"guard_node:robot:={robot}")
    cell.own()
    cell.driver.effort = np.full(7, 20.0)
    cell.moving_to(cell.near())
    cell.driver.effort = np.array([20.0, -35.5, *[20.0] * 5])
    cell.wait_reason("joint2 at effort -35.50, limit 30")
    assert cell.listener.arm_state["stopped"] == "1"
    assert not cell.trigger(topics.ARM_RESUME).success
    cell.driver.effort = np.full(7, 20.0)
    cell.graph.spin_until(lambda: bool(cell.trigger(topics.ARM_RESUME).success), "a resume")
    assert "joint2 35.50" in cell.wait_diagnostic("guard_node: efforts")["peaks"]
    cell.wait_arrival(cell.near())


def test_a_limit_of_effort_that_cannot_be_checked_is_reported(make: Make, tmp_path: Path) -> None:
    robot = with_max_effort(tmp_path, [30.0] * 7)
    cell = make(*UNGUARDED, f"guard_node:robot:={robot}")
    cell.own()
    cell.policy.target = cell.near()
    cell.wait_arrival(cell.near())
    cell.wait_diagnostic("guard_node: efforts")
    assert cell.listener.levels["guard_node: efforts"] == WARN
    assert "joint1, joint2" in cell.listener.messages["guard_node: efforts"]


def test_what_overspeed_is_found_by_is_reported(make: Make) -> None:
    cell = make()  # its driver tells no velocities
    found = "no velocity of joint1, joint2, "
    told = cell.listener.messages
    cell.graph.spin_until(lambda: told.get("guard_node: speeds", "").startswith(found), "a report of speeds")
    assert "differences of positions" in told["guard_node: speeds"]
    assert cell.listener.levels["guard_node: speeds"] == OK


def test_tool_frame_that_the_urdf_lacks_fails_the_start_by_name(tmp_path: Path) -> None:
    text = (
        resolve(Path("config/robots/sim.yaml")).read_text().replace("tool_frame: tcp", "tool_frame: hand_tip")
    )
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text)
    with ros_graph(tmp_path, [f"guard_node:robot:={wrong}"]) as graph:
        assert not graph.add(GuardNode()).start()
