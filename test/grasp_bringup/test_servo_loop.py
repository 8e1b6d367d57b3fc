import numpy as np
import pytest

from grasp_bringup.kinematics import Kinematics
from grasp_bringup.servo import ServoConfig, ServoCore
from grasp_bringup.servo_loop import HORIZON, LoopConfig, Plan, ServoLoop
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Array, Pose, pointing_down
from qtopt_policy.limits import Limits
from support.arms import ARM_JOINTS, HOME, arm_urdf

KINEMATICS = Kinematics(arm_urdf(), "base_link", "tcp", ARM_JOINTS)
LIMITS = Limits((-0.3, -0.3, 0.0), (0.3, 0.3, 0.5), tip_offset=0.025)
START = pointing_down(np.array([0.0, 0.0, 0.2]), 0.0)
START_Q = KINEMATICS.solve(START, HOME).q
SECOND = 1_000_000_000


class Arm:
    """A servo loop, its clock, and a controller that follows its trajectories exactly."""

    def __init__(self, config: LoopConfig | None = None) -> None:
        self.loop = ServoLoop(ServoCore(KINEMATICS, LIMITS), config)
        self.time = 50.0
        self.q = START_Q
        self.late = 0.0
        self.plans: list[Plan] = []
        self.path: list[Array] = []

    @property
    def now(self) -> int:
        return round(self.time * SECOND)

    def ask(self, target: Pose, age: float = 0.0) -> None:
        self.loop.target(target, self.now - round(age * SECOND), self.now, self.time)

    def run(
        self, duration: float, wish: Pose | None = None, *, joints: bool = True, period: float = 0.01
    ) -> None:
        for i in range(round(duration / period)):
            self.time += period
            self.follow()
            if joints:
                self.loop.joint_state(self.q, self.time)
            if wish is not None and i % 5 == 0:
                self.ask(wish)
            plan = self.loop.tick(self.now, self.time)
            if plan is not None:
                self.plans.append(plan)

    def follow(self) -> None:
        """Take the position of the latest trajectory at the time of now."""
        heard = [plan for plan in self.plans if plan.stamp <= self.now - round(self.late * SECOND)]
        if heard:
            plan = heard[-1]
            times = [0.0, *(point.time for point in plan.points)]
            stops = np.array([self.q, *(point.q for point in plan.points)])
            since = (self.now - plan.stamp) / SECOND
            self.q = np.array([np.interp(since, times, stops[:, i]) for i in range(7)])
        self.path.append(self.q)

    @property
    def pose(self) -> Pose:
        return KINEMATICS.forward(self.q)


def moved(x: float, y: float = 0.0, z: float = 0.0) -> Pose:
    return pointing_down(START.position + np.array([x, y, z]), 0.0)


def ready(config: LoopConfig | None = None) -> Arm:
    arm = Arm(config)
    arm.run(0.05)
    return arm


def test_repeated_wishes_bring_the_arm_to_their_target() -> None:
    arm = ready()
    arm.run(0.5, moved(0.04))
    assert arm.pose.distance(moved(0.04)) < 1e-4


def test_every_trajectory_ends_at_rest_within_the_horizon() -> None:
    arm = ready()
    arm.run(0.3, moved(0.07))
    for plan in arm.plans:
        times = [point.time for point in plan.points]
        assert times == sorted(set(times))
        assert times[0] > 0.0
        assert times[-1] <= HORIZON + 1e-9
        assert np.abs(plan.points[-1].dq).max() == 0.0


def test_nothing_is_sent_before_the_first_wish_and_after_the_rest() -> None:
    arm = ready()
    assert not arm.plans
    arm.run(0.5, moved(0.02))
    arm.run(1.0)
    assert not arm.loop.moving
    count = len(arm.plans)
    arm.run(0.5)
    assert len(arm.plans) == count


def test_silence_of_wishes_holds_before_the_target() -> None:
    arm = ready()
    arm.ask(moved(0.2))
    arm.run(1.0)
    assert arm.loop.fired["wish_timeout"] == 1
    assert arm.pose.distance(moved(0.2)) > 0.1
    assert not arm.loop.moving


def test_silence_of_the_joint_states_holds_and_refuses_targets() -> None:
    arm = ready()
    arm.run(0.1, moved(0.2))
    arm.run(0.5, moved(0.2), joints=False)
    assert arm.loop.fired["joint_timeout"] == 1
    assert arm.loop.fired["no_joint_state"] > 0
    assert not arm.loop.moving


def test_death_of_the_servo_leaves_the_arm_at_rest_within_the_horizon() -> None:
    arm = ready()
    arm.run(0.15, moved(0.2))
    for _ in range(30):
        arm.time += 0.01
        arm.follow()
    path = np.array(arm.path)
    moving = np.abs(np.diff(path[-30:], axis=0)).max(axis=1) > 1e-6
    assert moving.sum() <= round(HORIZON / 0.01)
    assert np.abs(np.diff(path[-40:-25], axis=0)).max() > 1e-4


@pytest.mark.parametrize(("age", "name"), [(0.5, "stale"), (-0.5, "future")])
def test_target_out_of_its_time_is_refused(age: float, name: str) -> None:
    arm = ready()
    arm.ask(moved(0.03), age)
    arm.run(0.1)
    assert arm.loop.fired[name] == 1
    assert not arm.plans


def test_hold_ends_the_motion_at_once() -> None:
    arm = ready()
    arm.run(0.15, moved(0.2))
    arm.loop.hold()
    arm.run(0.3)
    assert not arm.loop.moving
    assert arm.pose.distance(START) < 0.05


def test_motion_starts_where_the_arm_is_measured() -> None:
    arm = ready()
    arm.run(0.5, moved(0.03))
    arm.run(1.0)
    arm.plans.clear()
    arm.q = START_Q + 0.1  # somebody moved it
    arm.run(0.05)
    arm.ask(moved(0.03))
    arm.run(0.02)
    assert np.abs(arm.plans[0].points[0].q - arm.q).max() < 0.01


def test_arm_that_jumped_away_from_its_command_is_left_where_it_is() -> None:
    arm = ready()
    arm.run(0.1, moved(0.2))
    arm.plans.clear()
    arm.q = START_Q + 0.6
    arm.run(0.1)
    assert arm.loop.fired["jump"] == 1
    assert not arm.loop.moving
    assert not arm.plans


def test_late_timer_slows_the_arm_but_never_exceeds_its_speed() -> None:
    arm = ready()
    rng = np.random.default_rng(3)
    while arm.pose.distance(moved(0.06)) > 1e-3:
        arm.run(0.03, moved(0.06))
        for _ in range(rng.integers(0, 8)):  # the servo is kept waiting, the controller is not
            arm.time += 0.01
            arm.follow()
            arm.loop.joint_state(arm.q, arm.time)
        assert arm.time < 60.0
    points = np.array([KINEMATICS.forward(q).position for q in arm.path])
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() / 0.01 <= LIMITS.max_tool_speed
    assert arm.loop.fired["late"] == 0


def test_silence_of_the_timer_beyond_the_horizon_starts_anew_from_the_measured_arm() -> None:
    arm = ready()
    arm.run(0.1, moved(0.2))
    for _ in range(20):
        arm.time += 0.01
        arm.follow()
    arm.loop.joint_state(arm.q, arm.time)
    assert arm.loop.tick(arm.now, arm.time) is None
    assert arm.loop.fired["late"] == 1
    arm.run(0.02, moved(0.2))
    assert np.abs(arm.plans[-1].points[0].q - arm.q).max() < 0.02


def test_clock_set_back_starts_anew() -> None:
    arm = ready()
    arm.run(0.1, moved(0.2))
    arm.time -= 30.0
    assert arm.loop.tick(arm.now, arm.time) is None
    assert arm.loop.fired["late"] == 1


@pytest.mark.parametrize("late", [0.0, 0.004, 0.015, 0.025, 0.04])
def test_trajectories_that_come_late_never_lead_below_the_target(late: float) -> None:
    arm = ready()
    arm.late = late
    arm.run(0.6, moved(0.0, 0.0, -0.07))
    lowest = min(KINEMATICS.forward(q).position[2] for q in arm.path)
    assert lowest >= moved(0.0, 0.0, -0.07).position[2] - 2e-4
    assert arm.pose.distance(moved(0.0, 0.0, -0.07)) < 1e-3


def test_servo_too_slow_to_rest_within_the_horizon_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0\.130 s long, at most 0\.1"):
        ServoLoop(ServoCore(KINEMATICS, LIMITS, config=ServoConfig(acceleration_time=0.1)))


def test_impossible_threshold_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="wish_timeout"):
        LoopConfig(wish_timeout=-1.0)


def test_a_servo_that_has_slept_begins_with_what_is_wanted_afterwards() -> None:
    arm = ready()
    arm.run(0.2, moved(0.07))
    arm.time += 0.2  # stopped meanwhile: the target of before is still young enough
    arm.loop.joint_state(arm.q, arm.time)
    assert arm.loop.tick(arm.now, arm.time) is None
    arm.ask(moved(0.07), age=0.1)
    assert not arm.loop.moving
    arm.time += 0.01
    arm.ask(moved(0.07))
    assert arm.loop.moving


def test_a_clock_that_is_set_back_after_a_sleep_keeps_no_target_out() -> None:
    arm = ready()
    arm.run(0.2, moved(0.07))
    arm.time += 0.2
    arm.loop.joint_state(arm.q, arm.time)
    arm.loop.tick(arm.now, arm.time)
    back = arm.now - 10 * SECOND
    arm.loop.target(moved(0.07), back, back, arm.time)
    assert arm.loop.moving
