import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtopt_collector.success import DropTestConfig, GripperSample, compare_drop, judge
from qtopt_policy.errors import ConfigError, ImageError, ShapeError
from qtopt_policy.robot import GripperConfig

GRIPPER = GripperConfig(joints=("finger_joint1",), held_aperture=0.004)
Image = NDArray[np.uint8]


def test_fingers_that_stay_apart_hold() -> None:
    verdict = judge(GRIPPER, True, GripperSample(0.031), GripperSample(0.030))
    assert verdict.success
    assert verdict.reason == "held"
    assert verdict.numbers == {"aperture_closed": 0.031, "aperture_lifted": 0.030}


def test_fingers_that_meet_hold_nothing() -> None:
    verdict = judge(GRIPPER, True, GripperSample(0.001), GripperSample(0.001))
    assert (verdict.success, verdict.reason) == (False, "closed on nothing")


def test_an_object_lost_in_the_lift_is_dropped() -> None:
    verdict = judge(GRIPPER, True, GripperSample(0.031), GripperSample(0.001))
    assert (verdict.success, verdict.reason) == (False, "dropped")


@given(st.floats(0.0, 0.08), st.floats(0.0, 0.08))
def test_an_open_gripper_never_succeeds(closed: float, lifted: float) -> None:
    verdict = judge(GRIPPER, False, GripperSample(closed), GripperSample(lifted))
    assert (verdict.success, verdict.reason) == (False, "gripper open")


@pytest.mark.parametrize("lifted", [0.08, 0.0795])
def test_fingers_that_never_closed_hold_nothing_whatever_was_commanded(lifted: float) -> None:
    verdict = judge(GRIPPER, True, GripperSample(0.08), GripperSample(lifted))
    assert (verdict.success, verdict.reason) == (False, "fingers did not close")


def test_an_object_that_pushes_the_fingers_apart_in_the_lift_is_held() -> None:
    assert judge(GRIPPER, True, GripperSample(0.0757), GripperSample(0.08)).success


@given(st.floats(0.0, 0.08), st.floats(0.0, 0.078), st.floats(0.0, 0.078))
def test_a_wider_aperture_after_the_lift_never_turns_success_into_failure(
    closed: float, first: float, second: float
) -> None:
    narrow, wide = sorted((first, second))
    before = judge(GRIPPER, True, GripperSample(closed), GripperSample(narrow))
    after = judge(GRIPPER, True, GripperSample(closed), GripperSample(wide))
    assert after.success >= before.success


def test_a_driver_that_reached_its_goal_holds_nothing() -> None:
    verdict = judge(GRIPPER, True, GripperSample(0.02), GripperSample(0.02, stalled=False))
    assert (verdict.success, verdict.reason) == (False, "fingers reached their goal")


def test_a_goal_reached_before_the_lift_is_a_veto_too() -> None:
    verdict = judge(GRIPPER, True, GripperSample(0.02, stalled=False), GripperSample(0.02))
    assert (verdict.success, verdict.reason) == (False, "fingers reached their goal")


def test_fingers_that_stall_on_each_other_hold_nothing() -> None:
    stalled = GripperSample(0.001, effort=30.0, stalled=True)
    assert judge(GRIPPER, True, stalled, stalled, min_effort=2.0).reason == "closed on nothing"


def test_an_object_lost_after_a_stall_is_dropped() -> None:
    verdict = judge(GRIPPER, True, GripperSample(0.03, stalled=True), GripperSample(0.001, stalled=True))
    assert (verdict.success, verdict.reason) == (False, "dropped")


def test_stall_and_force_confirm_what_the_aperture_says() -> None:
    held = GripperSample(0.03, effort=12.0, stalled=True)
    verdict = judge(GRIPPER, True, held, held, min_effort=2.0)
    assert verdict.success
    assert verdict.numbers["stalled"] == 1.0


def test_effort_counts_only_where_a_threshold_is_given() -> None:
    slack = GripperSample(0.02, effort=0.1)
    assert judge(GRIPPER, True, slack, slack).success
    verdict = judge(GRIPPER, True, slack, slack, min_effort=2.0)
    assert (verdict.success, verdict.reason) == (False, "no grip force")
    assert verdict.numbers["effort_lifted"] == 0.1


def test_a_driver_without_effort_is_judged_by_aperture_alone() -> None:
    sample = GripperSample(0.02)
    assert judge(GRIPPER, True, sample, sample, min_effort=2.0).success


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_state_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ShapeError, match="aperture"):
        GripperSample(value)
    with pytest.raises(ShapeError, match="effort"):
        GripperSample(0.01, effort=value)


def _scene(seed: int) -> Image:
    """Return a bin with coloured boxes in it, 96 x 128."""
    rng = np.random.default_rng(seed)
    image = np.full((96, 128, 3), (120, 110, 100), dtype=np.uint8)
    for _ in range(6):
        x, y = rng.integers(0, 110), rng.integers(0, 80)
        image[y : y + 14, x : x + 14] = rng.integers(30, 220, 3)
    return image


def _noisy(image: Image, seed: int, sigma: float = 4.0, gain: float = 1.0) -> Image:
    noise = np.random.default_rng(seed).normal(0.0, sigma, image.shape)
    return np.clip(image.astype(np.float64) * gain + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(10))
def test_noise_and_a_change_of_light_are_no_change(seed: int) -> None:
    scene = _scene(seed)
    gain = float(np.random.default_rng(seed).uniform(0.8, 1.2))
    assert not compare_drop(_noisy(scene, seed), _noisy(scene, seed + 100, gain=gain)).changed


@pytest.mark.parametrize("seed", range(10))
def test_a_dropped_object_is_a_change(seed: int) -> None:
    scene = _scene(seed)
    dropped = scene.copy()
    dropped[40:50, 60:70] = (250, 20, 20)
    result = compare_drop(_noisy(scene, seed), _noisy(dropped, seed + 100, gain=0.9))
    assert result.changed
    assert result.area == pytest.approx(100 / (96 * 128), rel=0.5)


def test_the_area_threshold_decides() -> None:
    before, after = _scene(0), _scene(0)
    after[10:20, 10:20] = 255
    assert compare_drop(before, after, DropTestConfig(min_area=0.001)).changed
    assert not compare_drop(before, after, DropTestConfig(min_area=0.1)).changed


def test_many_scattered_pixels_are_no_object() -> None:
    before, after = _scene(1), _scene(1)
    after[::9, ::9] = 255
    assert not compare_drop(before, after).changed


def test_images_of_different_shapes_are_refused() -> None:
    with pytest.raises(ImageError, match="drop images"):
        compare_drop(_scene(0), _scene(0)[:50])


def test_an_even_blur_is_refused() -> None:
    with pytest.raises(ConfigError, match="blur"):
        DropTestConfig(blur=4)
