"""What every executor behind arm/target_pose must do, whatever moves the arm inside it."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time

from conformance.reaction import BEGIN, HELD, SILENT, Reactions
from conformance.rig import Rig
from qtopt_policy.base_node import nanoseconds, pose_message
from support.fake_driver import PERIOD

pytestmark = pytest.mark.graph


def test_target_is_reached_at_rest(rig: Rig) -> None:
    target = rig.away(0.03, 0.02, -0.02, 0.3)
    rig.wisher.target = target
    rig.wait_arrival(target)


def test_latest_target_wins(rig: Rig) -> None:
    rig.wisher.target = rig.far
    rig.wait_motion()
    target = rig.away(0.05, -0.02, 0.0)
    rig.wisher.target = target
    rig.wait_arrival(target)


def test_silence_of_wishes_ends_in_rest_on_the_way(rig: Rig, reactions: Reactions) -> None:
    limit = rig.executor.wish_timeout + rig.executor.stop_time
    assert reactions.best(rig, SILENT, limit) <= limit
    assert min(rig.tool.distance(end) for end in (rig.start, rig.far)) > 0.01


def test_held_guard_ends_in_rest_on_the_way(rig: Rig, reactions: Reactions) -> None:
    limit = rig.executor.stop_time
    assert reactions.best(rig, HELD, limit) <= limit
    assert min(rig.tool.distance(end) for end in (rig.start, rig.far)) > 0.01


def test_speed_limits_hold_through_changes_of_mind(rig: Rig) -> None:
    limits = rig.robot.limits
    for offset in ((0.2, 0.2, 0.1), (0.0, 0.2, 0.0), (0.2, 0.0, 0.1), (0.0, 0.0, 0.0)):
        rig.wisher.target = rig.away(*offset)
        rig.wait_motion(0.04)
    _, q = rig.commanded()
    steps = np.diff(np.array([rig.kinematics.forward(at).position for at in q]), axis=0)
    # The controller's splines bulge between the points: a twentieth more than the limit.
    assert np.linalg.norm(steps, axis=1).max() / PERIOD <= 1.05 * limits.max_tool_speed
    allowed = limits.joint_speed_fraction * rig.kinematics.velocity_limits
    assert (np.abs(np.diff(q, axis=0)) / PERIOD <= 1.05 * allowed).all()


def test_every_trajectory_ends_at_rest_within_the_horizon(rig: Rig) -> None:
    rig.wisher.target = rig.far
    rig.wait_motion()
    for message in rig.driver.trajectories:
        end = message.points[-1]
        length = end.time_from_start.sec + end.time_from_start.nanosec * 1e-9
        assert length <= rig.executor.horizon
        assert max(map(abs, end.velocities)) == 0.0


def test_death_of_the_executor_leaves_the_arm_at_rest(rig: Rig) -> None:
    rig.wisher.target = rig.far
    rig.wait_motion()
    rig.process.kill()
    here = rig.tool
    rig.wait_rest()
    # What was on its way when it died is still followed to its end.
    time = max(rig.executor.stop_time, rig.executor.horizon)
    assert rig.tool.distance(here) <= rig.robot.limits.max_tool_speed * time + 0.01
    assert rig.tool.distance(rig.far) > 0.1


def test_silent_joint_states_end_in_rest_on_the_way(rig: Rig) -> None:
    rig.wisher.target = rig.far
    rig.wait_motion()
    rig.driver.silent = True
    rig.wait_rest()
    assert rig.tool.distance(rig.far) > 0.02


@pytest.mark.parametrize("age", [10.0, -10.0])
def test_target_with_a_stamp_out_of_its_time_moves_nothing(rig: Rig, age: float) -> None:
    stamp = rig.wisher.get_clock().now().nanoseconds - round(age * 1e9)
    message = pose_message(rig.far, rig.robot.base_frame, Time(sec=stamp // 10**9, nanosec=stamp % 10**9))
    for _ in range(10):
        rig.wisher.publish_raw(message)
        rig.graph.spin(0.05)
    assert not rig.driver.trajectories


def test_target_in_another_frame_moves_nothing(rig: Rig) -> None:
    rig.wisher.frame = "somewhere"
    rig.wisher.target = rig.far
    rig.graph.spin(0.5)
    assert not rig.driver.trajectories


def test_trajectories_are_stamped_with_the_present(rig: Rig) -> None:
    rig.wisher.target = rig.away(0.03)
    rig.wait_arrival(rig.away(0.03))
    stamps = [nanoseconds(message.header.stamp) * 1e-9 for message in rig.driver.trajectories]
    assert stamps == sorted(stamps)
    assert rig.driver.path[0][0] < stamps[0]
    assert stamps[-1] < rig.driver.path[-1][0]


def test_motion_begins_within_its_time(rig: Rig, reactions: Reactions) -> None:
    limit = rig.executor.begin_time
    assert reactions.best(rig, BEGIN, limit) <= limit


def test_the_end_of_the_process_is_clean(rig: Rig) -> None:
    assert rig.process.stop().status == 0
