from dataclasses import replace

import numpy as np
import pytest

from grasp_bringup.guard import Guard
from grasp_bringup.guard_types import GuardConfig
from grasp_bringup.wish import Wish
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.geometry import Pose, multiply, pointing_down
from support.arms import ARM_JOINTS
from support.guard_bench import KINEMATICS, LIMITS, START, START_Q, Bench, near, refusal


def test_wish_of_the_owner_within_the_limits_passes_unchanged() -> None:
    bench = Bench()
    verdict = bench.ask(near())
    assert verdict.target is not None
    assert verdict.target.distance(near()) < 1e-12
    assert verdict.limits == ()
    assert not bench.guard.state.holding


@pytest.mark.parametrize(
    ("target", "limit"),
    [
        (near(0.12), "step_length"),
        (near(yaw=1.0), "step_yaw"),
        (near(0.0, 0.0, -0.5), "step_length"),
    ],
)
def test_wish_beyond_a_step_is_clipped_and_counted_with_its_values(target: Pose, limit: str) -> None:
    bench = Bench()
    verdict = bench.ask(target)
    assert limit in verdict.limits
    assert verdict.target is not None
    assert verdict.target.distance(START) <= LIMITS.max_step_length + 1e-6
    assert verdict.target.angle(START) <= LIMITS.max_step_yaw + 1e-6
    assert bench.guard.fired[limit] == 1
    assert "asked" in bench.guard.details[limit]


def test_wish_out_of_the_box_ends_at_its_wall() -> None:
    bench = Bench()
    q = KINEMATICS.solve(pointing_down(np.array([0.14, 0.0, 0.2]), 0.0), START_Q).q
    bench.measure(q)
    verdict = bench.ask(pointing_down(np.array([0.19, 0.0, 0.2]), 0.0))
    assert verdict.limits == ("workspace",)
    assert verdict.target is not None
    assert verdict.target.position[0] == pytest.approx(0.15)


def test_wish_into_the_table_ends_at_the_clearance() -> None:
    bench = Bench()
    bench.measure(KINEMATICS.solve(pointing_down(np.array([0.0, 0.0, 0.05]), 0.0), START_Q).q)
    verdict = bench.ask(pointing_down(np.array([0.0, 0.0, 0.01]), 0.0))
    assert verdict.limits == ("table_clearance",)
    assert verdict.target is not None
    assert verdict.target.position[2] == pytest.approx(0.03)


def leaning(angle: float, axis: int = 1, yaw: float = 0.0) -> Pose:
    """Return the start pose tilted by `angle` [rad] about the base's x (0) or y (1)."""
    lean = np.array([0.0, 0.0, 0.0, np.cos(angle / 2.0)])
    lean[axis] = np.sin(angle / 2.0)
    return Pose(START.position, multiply(lean, pointing_down(START.position, yaw).quaternion))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("angle", [0.8, 0.15, -0.15])
def test_tilted_wish_is_refused(angle: float, axis: int) -> None:
    bench = Bench()
    assert refusal(bench.ask(leaning(angle, axis, yaw=0.3))) == "tilt"
    assert "rad from pointing straight down, at most 0.1 rad" in bench.guard.details["tilt"]
    assert bench.ask(leaning(0.08 * np.sign(angle), axis, yaw=0.3)).target is not None


@pytest.mark.parametrize("step", [0.08, 0.6])
def test_tilts_do_not_add_up_over_wishes(step: float) -> None:
    bench, q, tilt = Bench(), START_Q, 0.0
    for _ in range(4):
        bench.time += 0.01
        target = leaning(tilt + step)
        if bench.ask(target).target is not None:
            q, tilt = KINEMATICS.solve(target, q).q, tilt + step
            bench.measure(q)
    assert tilt < 0.1
    assert bench.guard.fired["tilt"] >= 3


def test_tool_that_leans_far_is_not_righted_in_one_step() -> None:
    bench = Bench()
    bench.measure(KINEMATICS.solve(leaning(0.7), START_Q).q)
    assert refusal(bench.ask(START)) == "tilt"
    assert "0.700 rad from the measured pose" in bench.guard.details["tilt"]


def test_wish_of_another_than_the_owner_is_refused() -> None:
    assert refusal(Bench(owner="collector").ask(near())) == "not_owner"


def test_nobody_moves_the_arm_without_an_owner() -> None:
    bench = Bench(owner="none")
    assert refusal(bench.ask(near())) == "not_owner"
    assert bench.guard.state.reason == "no owner"


def test_wish_in_another_frame_is_refused_by_name() -> None:
    bench = Bench()
    assert refusal(bench.ask(near(), frame="tcp")) == "frame"
    assert "'tcp'" in bench.guard.details["frame"]


@pytest.mark.parametrize(
    ("values", "name"),
    [([np.nan, 0, 0, 1, 0, 0, 0], "not_finite"), ([0, 0, 0.2, 0, 0, 0, 0], "zero_quaternion")],
)
def test_wish_that_is_no_pose_is_refused(values: list[float], name: str) -> None:
    bench = Bench()
    wish = Wish("policy", "base_link", bench.now, np.array(values, dtype=np.float64))
    assert refusal(bench.guard.wish(wish, bench.now, bench.time)) == name


@pytest.mark.parametrize(("age", "name"), [(0.3, "stale"), (-0.3, "future"), (100.0, "stale")])
def test_wish_with_a_stamp_out_of_its_time_is_refused(age: float, name: str) -> None:
    assert refusal(Bench().ask(near(), age=age)) == name


def test_change_of_owner_holds_until_a_wish_stamped_after_it() -> None:
    bench = Bench()
    bench.ask(near())
    bench.guard.set_owner("collector", bench.now)
    assert bench.guard.state.reason == "owner changed"
    assert refusal(bench.ask(near(), "collector")) == "before_change"
    bench.time += 0.01
    assert bench.ask(near(), "collector").target is not None
    assert not bench.guard.state.holding


def test_unknown_owner_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'me'.*collector, none, policy"):
        Bench().guard.set_owner("me", 0)


def test_unarmed_arm_gets_nothing_but_the_wish_is_checked_and_logged() -> None:
    bench = Bench(GuardConfig())
    verdict = bench.ask(near(0.12))
    assert refusal(verdict) == "not_armed"
    assert bench.guard.fired["step_length"] == 1
    assert "dry run" in bench.guard.details["not_armed"]
    assert bench.guard.state.reason == "not armed"


def test_new_guard_is_disarmed_and_without_owner() -> None:
    guard = Guard(KINEMATICS, LIMITS, "base_link")
    assert not guard.state.armed
    assert guard.state.owner == "none"


def test_arming_lets_only_near_wishes_stamped_later_begin() -> None:
    bench = Bench(GuardConfig())
    bench.guard.arm(True, bench.now)
    assert refusal(bench.ask(near())) == "before_change"
    bench.time += 0.01
    assert refusal(bench.ask(near(0.1))) == "far_after_resume"
    assert bench.ask(near()).target is not None
    assert bench.ask(near(0.1)).target is not None


def test_disarming_ends_motion_at_once() -> None:
    bench = Bench()
    bench.ask(near())
    bench.guard.arm(False, bench.now)
    assert refusal(bench.ask(near())) == "not_armed"


def test_stop_refuses_everything_until_resumed() -> None:
    bench = Bench()
    bench.guard.stop("operator")
    assert refusal(bench.ask(near())) == "stopped"
    assert not bench.guard.gripper_wish("policy", bench.time)
    assert bench.guard.resume(bench.now, bench.time) is None
    bench.time += 0.01
    assert bench.ask(near()).target is not None


def test_after_a_resume_a_far_wish_is_refused_and_a_near_one_accepted() -> None:
    bench = Bench()
    bench.guard.stop("operator")
    bench.guard.resume(bench.now, bench.time)
    bench.time += 0.01
    assert refusal(bench.ask(near(0.1))) == "far_after_resume"
    assert "0.100 m" in bench.guard.details["far_after_resume"]
    assert bench.ask(near(0.06)).target is not None


def test_silence_of_wishes_holds_and_the_next_wish_goes_on() -> None:
    bench = Bench()
    bench.ask(near())
    bench.live(0.2)
    assert not bench.guard.state.holding
    bench.live(0.1)
    assert bench.guard.state.reason == "no wish of policy"
    assert bench.guard.fired["wish_timeout"] == 1
    assert bench.ask(near()).target is not None


def test_lost_heartbeat_holds_and_refuses_wishes() -> None:
    bench = Bench()
    bench.ask(near())
    for _ in range(6):
        bench.live(0.05, beats=False)
        verdict = bench.ask(near())
    assert refusal(verdict) == "heartbeat_timeout"
    assert bench.guard.state.reason == "no heartbeat of policy"


def test_silent_joint_stops_by_its_name_and_needs_a_resume() -> None:
    bench = Bench()
    for _ in range(5):
        bench.time += 0.05
        bench.guard.joint_state(["joint1"], [0.0], [], [], bench.now, bench.time)
        bench.guard.check(bench.time, clock_stalled=False)
    assert bench.guard.state.stopped
    assert "joint2" in bench.guard.state.reason
    assert "joint1," not in bench.guard.state.reason
    found = bench.guard.resume(bench.now, bench.time)
    assert found is not None
    assert "joint2" in found.detail
    bench.measure()
    assert bench.guard.resume(bench.now, bench.time) is None


def test_clock_that_stands_still_holds_until_the_next_wish() -> None:
    bench = Bench()
    bench.ask(near())
    bench.guard.check(bench.time, clock_stalled=True)
    assert "/clock" in bench.guard.state.reason
    assert bench.guard.fired["clock_timeout"] == 1
    assert bench.ask(near()).target is not None
    assert not bench.guard.state.holding


def rush(bench: Bench, joint: int, speed: float, duration: float) -> None:
    for _ in range(round(duration / 0.01) + 1):
        bench.time += 0.01
        bench.measure(START_Q, np.where(np.arange(7) == joint, speed, 0.0))


def test_overspeed_of_the_tool_stops() -> None:
    bench = Bench()
    rush(bench, joint=0, speed=0.95, duration=0.06)
    assert bench.guard.state.stopped
    assert "m/s" in bench.guard.details["tool_speed"]


def test_overspeed_of_a_joint_stops_by_its_name() -> None:
    bench = Bench()
    rush(bench, joint=6, speed=2.0, duration=0.06)
    assert bench.guard.state.stopped
    assert "joint7" in bench.guard.details["joint_speed"]


def test_instants_of_overspeed_do_not_stop() -> None:
    bench = Bench()
    for _ in range(10):
        rush(bench, joint=6, speed=2.0, duration=0.02)
        rush(bench, joint=6, speed=1.0, duration=0.0)
    assert not bench.guard.state.stopped


def drift(bench: Bench, joint: int, speed: float, duration: float, period: float = 0.01) -> None:
    """Turn one joint, from the start, with joint states that tell no velocity."""
    q = START_Q.copy()
    for _ in range(round(duration / period)):
        bench.time += period
        q[joint] += speed * period
        bench.measure(q)


@pytest.mark.parametrize("period", [0.001, 0.01, 0.033])
@pytest.mark.parametrize(("joint", "speed", "name"), [(0, 0.95, "tool_speed"), (6, -2.0, "joint_speed")])
def test_overspeed_stops_without_velocities_too(joint: int, speed: float, name: str, period: float) -> None:
    bench = Bench()
    drift(bench, joint, 0.0, 0.2, period)
    drift(bench, joint, speed, 0.2, period)
    assert bench.guard.state.stopped
    assert bench.guard.fired[name]


def test_speed_within_the_limits_and_leaps_do_not_stop_without_velocities() -> None:
    bench = Bench()
    for _ in range(4):
        drift(bench, joint=6, speed=1.2, duration=0.2)
        drift(bench, joint=6, speed=0.0, duration=0.2)  # begins with a leap back, too short to count
    assert not bench.guard.state.stopped


def test_joint_whose_speed_cannot_be_known_yet_is_named_as_unchecked() -> None:
    bench = Bench()
    speeds = bench.guard.measured.speeds
    assert speeds.unchecked == ARM_JOINTS
    drift(bench, joint=0, speed=0.1, duration=0.1)
    assert speeds.unchecked == ()
    assert speeds.untold == ARM_JOINTS
    assert speeds.latest[0] == pytest.approx(0.1)
    bench.time -= 50.0  # a simulator started anew
    drift(bench, joint=0, speed=0.1, duration=0.02)
    assert speeds.unchecked == ARM_JOINTS
    bench.time += 0.01
    velocity = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    bench.measure(velocity=velocity)
    assert (speeds.latest == velocity).all()
    assert speeds.unchecked == speeds.untold == ()


def test_one_joint_without_velocity_does_not_hide_the_others() -> None:
    bench = Bench()
    velocity = np.array([np.nan, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0])
    for _ in range(15):
        bench.time += 0.01
        bench.measure(velocity=velocity)
    assert bench.guard.state.stopped
    assert "joint7" in bench.guard.state.reason


def test_tool_pose_has_the_stamp_of_its_joint_state() -> None:
    bench = Bench()
    bench.time += 0.01
    measured = bench.measure()
    assert measured is not None
    assert measured[1] == bench.now
    assert measured[0].distance(START) < 1e-4


def test_bad_joint_state_is_counted_and_dropped() -> None:
    bench = Bench()
    bad = START_Q.copy()
    bad[3] = np.nan
    bench.time += 0.01
    assert bench.measure(bad) is None
    assert "joint4" in bench.guard.details["joint_state"]
    assert bench.guard.measured.tool_pose is not None


def test_wish_before_the_first_joint_state_names_the_missing_joints() -> None:
    guard = Guard(KINEMATICS, LIMITS, "base_link", GuardConfig(require_arming=False))
    guard.set_owner("policy", 0)
    guard.heartbeat("policy", 0.0)
    guard.joint_state(["joint1", "joint3"], [0.0, 0.0], [], [], 1, 0.0)
    verdict = guard.wish(Wish("policy", "base_link", 1, near().as_array()), 1, 0.0)
    assert refusal(verdict) == "no_joint_state"
    assert "joint2" in guard.details["no_joint_state"]
    assert "joint3" not in guard.details["no_joint_state"]


def test_gripper_wish_counts_only_after_a_pose_wish_of_the_same_owner() -> None:
    bench = Bench()
    assert not bench.guard.gripper_wish("policy", bench.time)
    bench.ask(near())
    assert bench.guard.gripper_wish("policy", bench.time)
    assert not bench.guard.gripper_wish("collector", bench.time)
    bench.guard.set_owner("collector", bench.now)
    assert not bench.guard.gripper_wish("collector", bench.time)
    assert bench.guard.fired["gripper_refused"] == 3


def test_impossible_threshold_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="joint_timeout"):
        replace(GuardConfig(), joint_timeout=0.0)


def test_silence_of_the_executor_stops_the_arm_until_it_beats_again_and_is_resumed() -> None:
    bench = Bench()
    bench.guard.executor_heartbeat(bench.time)
    bench.live(0.9)
    assert not bench.guard.state.stopped
    bench.live(0.3)
    assert "no heartbeat of the executor for 1.0 s" in bench.guard.state.reason
    refused = bench.guard.resume(bench.now, bench.time)
    assert refused is not None
    assert refused.name == "executor_timeout"
    bench.guard.executor_heartbeat(bench.time)
    bench.live(0.05)
    assert bench.guard.state.stopped  # it has come back: that alone moves nothing
    assert bench.guard.resume(bench.now, bench.time) is None
    assert not bench.guard.state.stopped


def test_an_executor_that_was_never_heard_of_is_not_missed() -> None:
    bench = Bench()
    bench.live(3.0)
    assert not bench.guard.state.stopped


def test_joint_state_far_beyond_the_limits_of_a_joint_is_dropped() -> None:
    bench = Bench()
    pose = bench.guard.measured.tool_pose
    bench.time += 0.01
    assert bench.measure(START_Q + 1e3) is None
    assert bench.guard.measured.tool_pose == pose
    assert "bounds" in bench.guard.details["joint_state"]
