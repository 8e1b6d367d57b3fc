import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_bringup.kinematics import Kinematics, kinematics_of
from grasp_bringup.servo import ServoConfig, ServoCore, ServoSample
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Array, Pose, pointing_down, quaternion_about_z
from qtopt_policy.limits import Limits, clip
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.arms import ARM_JOINTS, HOME, arm_urdf

PERIOD = 0.01
KINEMATICS = Kinematics(arm_urdf(), "base_link", "tcp", ARM_JOINTS)
# The test arm's fingertips end 25 mm below its tool point.
LIMITS = Limits((-0.3, -0.3, 0.0), (0.3, 0.3, 0.5), tip_offset=0.025)
START = pointing_down(np.array([0.0, 0.0, 0.2]), 0.0)
START_Q = KINEMATICS.solve(START, HOME).q


def make_servo(limits: Limits = LIMITS) -> ServoCore:
    servo = ServoCore(KINEMATICS, limits, PERIOD)
    servo.reset(START_Q)
    return servo


def moved(x: float, y: float, z: float, yaw: float = 0.0) -> Pose:
    return pointing_down(START.position + np.array([x, y, z]), yaw)


def run(servo: ServoCore, ticks: int) -> list[ServoSample]:
    return [servo.tick() for _ in range(ticks)]


def positions(samples: list[ServoSample]) -> Array:
    return np.array([KINEMATICS.forward(sample.q).position for sample in samples])


def speeds(samples: list[ServoSample]) -> Array:
    result: Array = np.linalg.norm(np.diff(positions(samples), axis=0), axis=1) / PERIOD
    return result


offsets = st.tuples(*[st.floats(-0.07, 0.07)] * 3, st.floats(-0.5, 0.5))
# Targets and the number of ticks for which each is wanted: also shorter than a move takes.
plans = st.lists(st.tuples(st.one_of(st.none(), offsets), st.integers(1, 40)), min_size=1, max_size=6)
Plan = list[tuple[tuple[float, float, float, float] | None, int]]


def follow(plan: Plan) -> list[ServoSample]:
    servo = make_servo()
    samples = [servo.tick()]
    for offset, ticks in plan:
        servo.set_target(None if offset is None else moved(*offset))
        samples += run(servo, ticks)
    servo.set_target(None)
    return samples + run(servo, 15)


@pytest.mark.parametrize(
    "offset", [(0.04, 0, 0), (0, 0.04, 0), (0, 0, -0.03), (0.02, 0.02, 0.02), (0, -0.03, 0)]
)
def test_short_move_arrives_and_rests_within_the_time_of_a_step(offset: tuple[float, float, float]) -> None:
    servo = make_servo()
    servo.set_target(moved(*offset))
    samples = run(servo, 35)
    assert KINEMATICS.forward(samples[-1].q).distance(moved(*offset)) < 0.003
    assert speeds(samples[-2:]).max() < 0.005


def test_move_with_yaw_arrives_at_position_and_angle() -> None:
    servo = make_servo()
    servo.set_target(moved(0.02, -0.02, 0.01, 0.5))
    end = KINEMATICS.forward(run(servo, 80)[-1].q)
    assert end.distance(moved(0.02, -0.02, 0.01)) < 1e-4
    assert end.angle(moved(0.02, -0.02, 0.01, 0.5)) < 1e-3


@settings(max_examples=60, deadline=None)
@given(plans)
def test_tool_never_exceeds_its_speed(plan: Plan) -> None:
    assert speeds(follow(plan)).max() <= LIMITS.max_tool_speed


@settings(max_examples=60, deadline=None)
@given(plans)
def test_tool_never_turns_faster_than_its_limit(plan: Plan) -> None:
    poses = [KINEMATICS.forward(sample.q) for sample in follow(plan)]
    turns = [a.angle(b) / PERIOD for a, b in itertools.pairwise(poses)]
    assert max(turns) <= LIMITS.max_tool_yaw_speed


@settings(max_examples=60, deadline=None)
@given(plans)
def test_joint_speed_acceleration_and_jerk_stay_within_their_limits(plan: Plan) -> None:
    config = ServoConfig()
    q = np.array([sample.q for sample in follow(plan)])
    speed, acceleration, jerk = (np.diff(q, n=n, axis=0) / PERIOD**n for n in (1, 2, 3))
    assert (np.abs(speed) <= LIMITS.joint_speed_fraction * KINEMATICS.velocity_limits + 1e-9).all()
    assert np.abs(acceleration).max() <= config.max_acceleration + 1e-6
    assert np.abs(jerk).max() <= 2.0 * config.max_acceleration / config.jerk_time + 1e-3


@settings(max_examples=60, deadline=None)
@given(plans)
def test_every_plan_ends_at_rest(plan: Plan) -> None:
    samples = follow(plan)
    np.testing.assert_allclose(samples[-1].q, samples[-2].q, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(offsets)
def test_path_is_straight_and_does_not_overshoot(offset: tuple[float, float, float, float]) -> None:
    servo = make_servo()
    target = moved(*offset)
    servo.set_target(target)
    start, end = START.position, target.position
    length = max(float(np.linalg.norm(end - start)), 1e-9)
    along = (end - start) / length
    walked = positions(run(servo, 100)) - start
    assert np.abs(walked - np.outer(walked @ along, along)).max() < 2e-4
    assert (walked @ along).max() <= length + 1e-4


def test_hold_comes_to_rest_within_the_settling_time_and_stays() -> None:
    servo = make_servo()
    servo.set_target(moved(0.07, 0, 0))
    run(servo, 15)
    servo.set_target(None)
    before = run(servo, round(servo.settling_time / PERIOD))[-1]
    np.testing.assert_allclose(run(servo, 50)[-1].q, before.q, atol=1e-12)
    assert servo.settling_time <= 0.12


def test_latest_target_wins() -> None:
    servo = make_servo()
    servo.set_target(moved(0.07, 0, 0))
    run(servo, 10)
    servo.set_target(moved(0, 0.05, 0))
    assert KINEMATICS.forward(run(servo, 80)[-1].q).distance(moved(0, 0.05, 0)) < 1e-4


def test_same_calls_give_bitwise_the_same_motion() -> None:
    plan: Plan = [((0.05, 0.02, -0.03, 0.3), 9), (None, 4), ((-0.05, 0.0, 0.03, -0.4), 20)]
    first, second = follow(plan), follow(plan)
    assert all((a.q == b.q).all() and (a.ddq == b.ddq).all() for a, b in zip(first, second, strict=True))


def test_shapes_stop_above_the_table_even_if_the_target_lies_in_it() -> None:
    servo = make_servo()
    servo.set_target(moved(0, 0, -0.3))
    samples = run(servo, 300)
    lowest = min(KINEMATICS.lowest_point(sample.q) for sample in samples)
    assert lowest >= 0.5 * LIMITS.table_clearance - 2e-4
    assert "table_clearance" in samples[-1].reasons


def test_arm_leaves_the_table_when_asked_to_go_up() -> None:
    low = KINEMATICS.solve(pointing_down(np.array([0.0, 0.0, 0.02]), 0.0), START_Q).q
    servo = make_servo()
    servo.reset(low)
    servo.set_target(START)
    assert KINEMATICS.forward(run(servo, 150)[-1].q).distance(START) < 1e-4


def test_joint_positions_stay_off_their_limits_for_a_target_out_of_reach() -> None:
    far = Limits((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0), surface_height=-2.0)
    servo = make_servo(far)
    servo.set_target(Pose(np.array([1.5, 0.8, 0.2]), START.quaternion))
    samples = run(servo, 1500)
    q = np.array([sample.q for sample in samples])
    assert (q >= KINEMATICS.lower + 0.019).all()
    assert (q <= KINEMATICS.upper - 0.019).all()
    assert "unreachable" in samples[-1].reasons


def test_fast_yaw_is_slowed_by_the_joints_limit_and_says_so() -> None:
    servo = make_servo()
    servo.set_target(moved(0, 0, 0, 0.5))
    assert "joint_speed" in {reason for sample in run(servo, 10) for reason in sample.reasons}


def test_reset_with_velocity_goes_on_smoothly() -> None:
    servo = make_servo()
    speed = np.array([0.2, 0.0, 0.0, 0.1, 0.0, 0.0, -0.3])
    servo.reset(START_Q, speed)
    first = servo.tick()
    assert np.abs((first.q - START_Q) / PERIOD - speed).max() < 0.05
    np.testing.assert_allclose(run(servo, 20)[-1].dq, 0.0, atol=1e-12)


def test_impossible_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match="jerk_time"):
        ServoConfig(jerk_time=0.0)


SIM = load_robot(resolve(Path("config/robots/sim.yaml")))


@pytest.fixture(scope="module")
def sim_arm() -> Kinematics:
    return kinematics_of(SIM)


def test_a_turn_out_of_reach_does_not_move_the_tool_point(sim_arm: Kinematics) -> None:
    servo = ServoCore(sim_arm, SIM.limits)
    servo.reset(np.array(SIM.home))
    q, reasons = np.array(SIM.home), set()
    for _ in range(30):  # always on, past what wrist and redundancy have: nobody limits the yaw here
        pose = sim_arm.forward(q)
        servo.set_target(Pose(SIM.start_pose.position, (pose @ pointing_up(0.5)).quaternion))
        for _ in range(40):
            sample = servo.tick()
            q = sample.q
            reasons |= set(sample.reasons)
            assert SIM.start_pose.distance(sim_arm.forward(q)) < 0.005
    assert "unreachable" in reasons


@pytest.mark.parametrize("turn", [0.5, -0.5])
def test_moves_that_all_turn_one_way_leave_a_way_home(sim_arm: Kinematics, turn: float) -> None:
    rng = np.random.default_rng(0)
    servo = ServoCore(sim_arm, SIM.limits)
    servo.reset(np.array(SIM.home))
    pose = sim_arm.forward(np.array(SIM.home))
    for _ in range(30):
        pose = step(servo, sim_arm, pose, pose @ pointing_up(turn, rng.uniform(-0.04, 0.04, 3)), 60)
    for _ in range(200):
        pose = step(servo, sim_arm, pose, SIM.start_pose, 10)
    assert pose.distance(SIM.start_pose) < 1e-3
    assert pose.angle(SIM.start_pose) < 1e-2


def pointing_up(yaw: float, position: Array | None = None) -> Pose:
    return Pose(np.zeros(3) if position is None else position, quaternion_about_z(yaw))


def step(servo: ServoCore, arm: Kinematics, measured: Pose, goal: Pose, ticks: int) -> Pose:
    servo.set_target(clip(measured, goal, SIM.limits).target)
    return arm.forward(run(servo, ticks)[-1].q)
