from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtopt_policy.camera import CameraModel
from qtopt_policy.drivers import DriverConfig
from qtopt_policy.episode_events import Ask, Chosen, Ended, Frame, Paused, Refused
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.grasp_action import CLOSE, MOVE, OPEN, TERMINATE, GraspAction
from qtopt_policy.image_codec import decode
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from support.fake_cell import FLOOR, LIMITS, MDP, START, FakeCell, PlannedPolicy, make_cell, make_robot
from support.policy_samples import make_camera


def move(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0, choice: int = MOVE) -> GraspAction:
    return GraspAction(np.array([x, y, z]), yaw, choice)


def cell_with(*actions: GraspAction, mdp: MdpConfig = MDP, **driver: float) -> FakeCell:
    robot = replace(make_robot(), driver=DriverConfig(**driver))  # type: ignore[arg-type]
    return make_cell(PlannedPolicy(list(actions)), mdp, robot)


def seen_by(cell: FakeCell) -> list[Observation]:
    assert isinstance(cell.policy, PlannedPolicy)
    return cell.policy.seen


def refusals(cell: FakeCell) -> list[Refused]:
    return [event for event in cell.events if isinstance(event, Refused)]


def test_terminate_ends_the_episode_with_a_terminal_record() -> None:
    cell = cell_with(move(0.02), move(0.0, 0.02))
    ended = cell.run_episode()
    assert (ended.reason, ended.steps) == ("terminate", 3)
    assert [record.end_cause for record in cell.records] == ["arrived", "arrived", "terminate"]
    assert [record.is_terminal for record in cell.records] == [False, False, True]


def test_the_last_step_ends_the_episode() -> None:
    cell = cell_with(*[move(0.01)] * 9)
    ended = cell.run_episode()
    assert (ended.reason, ended.steps) == ("max_steps", MDP.max_steps)
    assert [record.is_terminal for record in cell.records] == [False] * 4 + [True]


def test_terminate_in_the_last_step_is_a_terminate() -> None:
    cell = cell_with(*[move(0.01)] * 4)
    assert cell.run_episode().reason == "terminate"


def test_terminate_does_not_move_the_arm() -> None:
    cell = cell_with(GraspAction(np.array([0.0, 0.0, 0.0]), 0.0, TERMINATE))
    cell.run_episode()
    cell.run(1.0)
    assert cell.pose.distance(START) == 0.0
    assert not cell.records[0].altered
    assert cell.records[0].duration == 0.0


def test_the_first_image_is_stamped_after_the_start() -> None:
    cell = cell_with()
    cell.run(0.55)
    started = cell.time
    cell.run_episode()
    assert seen_by(cell)[0].stamp > started


@settings(deadline=None, max_examples=25)
@given(
    lag=st.sampled_from([0.0, 0.03, 0.15, 0.4]),
    period=st.sampled_from([0.03, 0.1, 0.2]),
    think=st.sampled_from([0.0, 0.02, 0.3]),
    seed=st.integers(0, 1000),
)
def test_every_image_is_stamped_after_the_end_of_the_step_before(
    lag: float, period: float, think: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    actions = [
        GraspAction(rng.uniform(-0.04, 0.04, 3), rng.uniform(-0.5, 0.5), int(rng.integers(3)))
        for _ in range(6)
    ]
    cell = cell_with(*actions)
    cell.image_lag, cell.image_period, cell.think = lag, period, think
    assert cell.run_episode().reason == "max_steps"
    ends = [record.image_stamp + record.duration for record in cell.records]
    stamps = [record.image_stamp for record in cell.records]
    assert all(stamp > end for stamp, end in zip(stamps[1:], ends[:-1], strict=True))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000))
def test_records_follow_from_the_arm_s_poses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    actions = [GraspAction(rng.uniform(-0.04, 0.04, 3), rng.uniform(-0.5, 0.5), MOVE) for _ in range(4)]
    cell = cell_with(*actions)
    cell.run_episode()
    for record, after in zip(cell.records[:-1], cell.records[1:], strict=True):
        start = Pose.from_array(record.tool_pose)
        executed = GraspAction.from_array(record.executed)
        reached = executed.target(start, MDP.action_frame)
        following = Pose.from_array(after.tool_pose)  # after the step's end the tool creeps to its target
        assert reached.distance(following) <= MDP.position_tolerance
        assert not record.altered
        asked = GraspAction.from_array(record.asked)
        assert np.linalg.norm(asked.translation - executed.translation) <= MDP.position_tolerance + 1e-9


def test_the_wish_is_the_target_of_the_action_and_stays_until_the_next() -> None:
    cell = cell_with(move(0.03), move(-0.03))
    cell.start()
    while len(cell.records) < 1:
        cell.tick()
    wish = cell.runner.wish
    assert wish is not None
    target = move(0.03).target(Pose.from_array(cell.records[0].tool_pose), "tool")
    assert wish.target.distance(target) < 1e-12
    assert wish.gripper_close is None


def test_after_the_end_nothing_is_wished_for() -> None:
    cell = cell_with(move(0.03), move(choice=CLOSE))
    cell.run_episode()
    assert cell.runner.wish is None
    assert not cell.runner.active


def test_fingers_close_when_the_move_has_ended_and_stay_closed() -> None:
    cell = cell_with(move(0.03, choice=CLOSE), move(0.0, 0.02))
    cell.start()
    wishes: list[tuple[float, bool | None]] = []
    while cell.runner.active:
        cell.tick()
        if cell.runner.wish is not None:
            wishes.append((cell.pose.distance(cell.runner.wish.target), cell.runner.wish.gripper_close))
    first = next(distance for distance, close in wishes if close)
    assert first <= MDP.position_tolerance
    assert all(close for _, close in wishes[[close for _, close in wishes].index(True) :])
    assert cell.records[0].end_cause == "gripper_settled"
    assert [record.gripper_closed for record in cell.records] == [False, True, True]
    assert cell.records[1].aperture == pytest.approx(0.0)


def test_a_step_waits_for_slow_fingers_as_long_as_the_robot_file_says() -> None:
    cell = cell_with(move(choice=CLOSE), gripper_reaction_time=0.7)
    cell.aperture = 0.0  # closed already: they will not move
    cell.run_episode()
    assert cell.records[0].end_cause == "gripper_settled"
    assert cell.records[0].duration == pytest.approx(0.7, abs=0.05)


def test_open_opens() -> None:
    cell = cell_with(move(choice=CLOSE), move(choice=OPEN))
    cell.run_episode()
    assert [record.gripper_closed for record in cell.records] == [False, True, False]
    assert cell.records[2].aperture == pytest.approx(0.08)


def test_the_gripper_s_state_at_the_start_is_what_was_commanded_before() -> None:
    cell = cell_with()
    cell.start(gripper_closed=True)
    cell.run(0.5)
    assert cell.records[0].gripper_closed


@pytest.mark.parametrize("frame", ["base", "tool"])
def test_an_action_out_of_the_box_is_clipped_before_it_is_recorded(frame: str) -> None:
    mdp = MdpConfig(max_steps=5, action_frame="base" if frame == "base" else "tool")
    down = -0.04 if frame == "base" else 0.04
    cell = cell_with(*[move(z=down)] * 9, mdp=mdp)
    cell.run_episode()
    heights = [record.height_to_bottom + FLOOR for record in cell.records]
    assert min(heights) >= LIMITS.min_height - 1e-9
    assert not any(record.altered for record in cell.records)
    chosen = [event for event in cell.events if isinstance(event, Chosen)]
    assert chosen[-1].reasons == ("table_clearance",)
    last = GraspAction.from_array(cell.records[-1].asked)
    assert abs(last.translation[2]) < 0.04


def test_contact_that_stops_the_arm_is_recorded_as_contact() -> None:
    cell = cell_with(move(z=0.04), move(z=0.04))
    cell.floor = 0.16
    cell.run_episode()
    assert cell.records[0].altered
    assert cell.records[0].contact
    assert cell.records[0].end_cause == "timeout"
    executed = GraspAction.from_array(cell.records[0].executed)
    assert executed.translation[2] == pytest.approx(0.02, abs=1e-6)


def test_a_step_whose_wish_was_withdrawn_is_not_contact() -> None:
    cell = cell_with(move(z=0.04), mdp=MdpConfig(max_steps=5, step_timeout=2.5))
    cell.floor = 0.16
    cell.start()
    cell.run(0.15)
    cell.image_period = None
    cell.run(3.0)
    assert cell.records[0].altered
    assert not cell.records[0].contact


def test_a_wish_that_the_guard_changed_is_altered_without_contact() -> None:
    cell = cell_with(move(z=0.04))
    cell.guard_floor = 0.16
    cell.run_episode()
    assert cell.records[0].altered
    assert not cell.records[0].contact


def test_a_guard_that_passes_nothing_is_not_contact() -> None:
    cell = cell_with(move(z=0.04))
    cell.guard_floor = 0.18
    cell.floor = 0.18
    cell.run_episode()
    assert cell.records[0].altered
    assert not cell.records[0].contact


def test_state_is_interpolated_at_the_image_s_stamp() -> None:
    cell = cell_with()
    runner = cell.runner
    cell.start()
    for stamp, x, opening in ((100.10, 0.40, 0.01), (100.14, 0.44, 0.03)):
        if runner.image_arrived(100.13, stamp):
            runner.add_image(frame_of(cell, 100.13))
        runner.add_joints(stamp, ["finger_joint1"], [opening], stamp)
        runner.add_pose(stamp, pointing_down([x, 0.0, 0.2], 0.0), stamp)
    (ask,) = [event for event in runner.take_events() if isinstance(event, Ask)]
    assert ask.observation.tool_pose.position[0] == pytest.approx(0.43)
    assert ask.observation.aperture == pytest.approx(2 * 0.025)
    assert ask.observation.height_to_bottom == pytest.approx(0.2 - FLOOR)


def frame_of(cell: FakeCell, stamp: float) -> Frame:
    return Frame(stamp, stamp, np.zeros((64, 64, 3), dtype=np.uint8), cell.camera)


def test_an_image_waits_for_the_state_after_it() -> None:
    cell = cell_with()
    runner = cell.runner
    cell.start()
    runner.add_joints(100.10, ["finger_joint1"], [0.01], 100.1)
    runner.add_pose(100.10, START, 100.1)
    assert runner.image_arrived(100.12, 100.12)
    runner.add_image(frame_of(cell, 100.12))
    assert runner.take_events() == []
    runner.add_pose(100.13, START, 100.13)
    assert runner.take_events() == []
    runner.add_joints(100.13, ["finger_joint1"], [0.01], 100.13)
    assert len(runner.take_events()) == 1


@pytest.mark.parametrize("slow", ["pose_period", "joint_period"])
def test_a_state_too_far_from_the_image_is_refused_by_name_and_number(slow: str) -> None:
    cell = cell_with(move(0.01))
    setattr(cell, slow, 0.23)
    cell.run(0.46)
    ended = cell.run_episode()
    reason = refusals(cell)[0].reason
    assert ("tool pose" if slow == "pose_period" else "joint state") in reason
    assert "max_skew 0.05" in reason
    assert ended.reason == "terminate"
    for record in cell.records:  # only images stamped together with a sample are near enough to both
        assert round((record.image_stamp - 100.0) * 100) % 23 == 0


def test_a_camera_that_stops_stops_the_asking_and_then_the_episode() -> None:
    cell = cell_with(*[move(0.01)] * 9)
    cell.start()
    cell.run(0.25)
    assert cell.runner.wish is not None
    cell.image_period = None
    cell.run(0.9)
    assert cell.runner.wish is not None
    cell.run(0.3)
    assert cell.runner.wish is None
    assert cell.runner.active
    assert Paused(("image",)) in cell.events
    cell.run(6.0)
    assert (cell.ended[0].reason, cell.runner.active) == ("watchdog", False)
    assert "no image for" in cell.ended[0].detail


def test_a_camera_that_comes_back_goes_on() -> None:
    cell = cell_with(*[move(0.01)] * 9)
    cell.start()
    cell.run(0.25)
    cell.image_period = None
    cell.run(2.0)
    cell.image_period = 0.1
    cell.run(6.0)
    assert cell.ended[0].reason == "max_steps"
    assert Paused(()) in cell.events


@pytest.mark.parametrize("source", ["pose_period", "joint_period"])
def test_a_state_that_stops_ends_the_episode(source: str) -> None:
    cell = cell_with(*[move(0.01)] * 9)
    cell.start()
    cell.run(0.25)
    setattr(cell, source, 1000.0)
    cell.run(8.0)
    assert cell.ended[0].reason == "watchdog"
    assert ("tool pose" if source == "pose_period" else "joint state") in cell.ended[0].detail


def test_images_that_are_never_usable_end_the_episode_with_the_reason() -> None:
    cell = cell_with(*[move(0.01)] * 9)
    cell.camera = make_wrong_camera(cell)
    cell.start()
    cell.run(8.0)
    assert cell.ended[0].reason == "watchdog"
    assert "camera_info says" in cell.ended[0].detail


def make_wrong_camera(cell: FakeCell) -> CameraModel:
    return cell.camera.resized(32, 32)


def test_a_cancelled_episode_ends_at_once_and_forgets_its_step() -> None:
    cell = cell_with(*[move(0.04)] * 9)
    cell.start()
    cell.run(0.15)
    assert cell.runner.phase == "moving"
    cell.runner.cancel()
    cell.run(1.0)
    assert [event.reason for event in cell.ended] == ["operator"]
    assert cell.records == []
    assert cell.runner.wish is None


def test_a_late_decision_of_a_cancelled_episode_is_ignored() -> None:
    cell = cell_with(*[move(0.04)] * 9)
    cell.think = 0.5
    cell.start()
    cell.run(0.2)
    assert cell.runner.phase == "deciding"
    cell.runner.cancel()
    cell.start("e2")
    cell.run(0.4)
    assert not [event for event in cell.events if isinstance(event, Chosen)]
    cell.run(5.0)
    assert {record.episode_id for record in cell.records} == {"e2"}


def test_the_network_sees_the_bytes_that_are_published() -> None:
    policy = PlannedPolicy([])
    mdp = MdpConfig(max_steps=2, image_size=(160, 160))
    cell = make_cell(policy, mdp)
    cell.camera = make_camera((160, 160))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)
    cell.start()
    cell.runner.add_joints(100.1, ["finger_joint1"], [0.01], 100.1)
    cell.runner.add_pose(100.1, START, 100.1)
    cell.runner.add_image(Frame(100.1, 0.0, image, cell.camera))
    (ask,) = [event for event in cell.runner.take_events() if isinstance(event, Ask)]
    assert ask.encoded.format == "jpeg"
    np.testing.assert_array_equal(ask.observation.image, decode(ask.encoded))
    assert (ask.observation.image != image).any()


def test_two_episodes_follow_each_other() -> None:
    cell = cell_with(move(0.01))
    cell.run_episode()
    cell.run_episode()
    assert [record.index for record in cell.records] == [0, 1, 0, 1]
    assert len(cell.ended) == 2


def test_a_policy_that_fails_ends_the_episode_with_its_message() -> None:
    cell = cell_with(move(0.01))
    cell.start()
    cell.run(0.05)
    cell.runner.fail("ValueError: no")
    (ended,) = [event for event in cell.runner.take_events() if isinstance(event, Ended)]
    assert ended.reason == "error"
    assert ended.detail == "ValueError: no"
