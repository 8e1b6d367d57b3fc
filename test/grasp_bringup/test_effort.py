"""Stops by joint effort: in the guard, as its joint states tell them."""

import numpy as np
import pytest

from grasp_bringup.effort import EffortWatch
from qtopt_policy.geometry import Array
from qtopt_policy.joint_buffer import JointSnapshot
from support.guard_bench import START_Q, Bench, near, refusal

LIMITS = (50.0, 50.0, 50.0, 50.0, 8.0, 8.0, 0.0)  # the last joint is not watched
MILLISECOND = 1_000_000


def efforts(joint: int, value: float) -> Array:
    return np.where(np.arange(7) == joint, value, 1.0)


def push(bench: Bench, joint: int, value: float, duration: float) -> None:
    for _ in range(round(duration / 0.01) + 1):
        bench.time += 0.01
        bench.measure(effort=efforts(joint, value))


@pytest.mark.parametrize("value", [9.0, -9.0])
def test_a_joint_beyond_its_limit_stops_by_its_name_value_and_limit(value: float) -> None:
    bench = Bench(max_effort=LIMITS)
    push(bench, joint=4, value=value, duration=0.06)
    assert bench.guard.state.stopped
    assert bench.guard.state.reason == f"joint5 at effort {value:.2f}, limit 8"
    assert bench.guard.fired["joint_effort"] > 0
    bench.time += 0.01
    assert refusal(bench.ask(near())) == "stopped"


def test_within_the_limits_nothing_stops() -> None:
    bench = Bench(max_effort=LIMITS)
    push(bench, joint=4, value=8.0, duration=0.5)
    assert not bench.guard.state.stopped


def test_instants_beyond_the_limit_do_not_stop() -> None:
    bench = Bench(max_effort=LIMITS)
    for _ in range(10):
        push(bench, joint=1, value=60.0, duration=0.03)
        push(bench, joint=1, value=40.0, duration=0.0)
    assert not bench.guard.state.stopped


@pytest.mark.parametrize("limits", [(), LIMITS])
def test_a_joint_without_a_limit_may_push_as_it_likes(limits: tuple[float, ...]) -> None:
    bench = Bench(max_effort=limits)
    push(bench, joint=6, value=1e6, duration=0.2)
    assert not bench.guard.state.stopped


def test_the_stop_lasts_until_the_joint_gives_way_and_someone_resumes() -> None:
    bench = Bench(max_effort=LIMITS)
    push(bench, joint=0, value=80.0, duration=0.06)
    refused = bench.guard.resume(bench.now, bench.time)
    assert refused is not None
    assert refused.name == "joint_effort"
    push(bench, joint=0, value=20.0, duration=0.0)
    assert bench.guard.state.stopped
    bench.beat()
    assert bench.guard.resume(bench.now, bench.time) is None
    bench.time += 0.01
    assert bench.ask(near()).target is not None


@pytest.mark.parametrize("effort", [None, np.full(7, np.nan)], ids=["empty", "nan"])
def test_a_driver_without_efforts_neither_stops_nor_counts_as_checked(effort: Array | None) -> None:
    bench = Bench(max_effort=LIMITS)
    for _ in range(20):
        bench.time += 0.01
        bench.measure(effort=effort)
    assert not bench.guard.state.stopped
    assert bench.guard.measured.efforts.unchecked == (
        "joint1",
        "joint2",
        "joint3",
        "joint4",
        "joint5",
        "joint6",
    )
    assert bench.guard.measured.efforts.peaks == ""


def test_only_the_joints_that_tell_no_effort_are_unchecked() -> None:
    bench = Bench(max_effort=LIMITS)
    bench.time += 0.01
    bench.measure(effort=efforts(2, np.nan))
    assert bench.guard.measured.efforts.unchecked == ("joint3",)


def test_a_joint_is_checked_once_its_effort_arrives() -> None:
    bench = Bench(max_effort=LIMITS)
    bench.time += 0.01
    bench.measure()
    bench.time += 0.01
    bench.measure(effort=efforts(2, 3.0))
    assert bench.guard.measured.efforts.unchecked == ()


def test_without_limits_nothing_is_unchecked_and_the_peaks_are_known() -> None:
    bench = Bench()
    push(bench, joint=1, value=-42.0, duration=0.0)
    push(bench, joint=1, value=12.0, duration=0.0)
    efforts = bench.guard.measured.efforts
    assert efforts.unchecked == ()
    assert efforts.peaks.startswith("joint1 1.00, joint2 42.00, joint3 1.00")


def snapshot(effort: float, stamp: int) -> JointSnapshot:
    return JointSnapshot(START_Q[:1], np.zeros(1), np.array([effort]), stamp * MILLISECOND, stamp * 1e-3)


def test_states_without_efforts_in_between_do_not_hide_an_excess() -> None:
    watch = EffortWatch(("joint1",), (10.0,), 0.05)
    found = [watch.look(snapshot(effort, 10 * i)) for i, effort in enumerate([11.0, np.nan] * 4)]
    assert [finding is not None for finding in found] == [False] * 6 + [True, False]


def test_a_clock_set_back_does_not_put_off_the_stop() -> None:
    watch = EffortWatch(("joint1",), (10.0,), 0.05)
    assert watch.look(snapshot(11.0, 90_000)) is None
    assert watch.look(snapshot(11.0, 0)) is None
    assert watch.look(snapshot(11.0, 50)) is not None
