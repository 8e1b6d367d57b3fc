import math

import pytest

from grasp_bringup.sim.pace import MAX_DEBT, Pace, SpeedMeter


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_ticks_are_spread_over_wall_time(factor: float) -> None:
    pace, wall = Pace(factor), 100.0
    for _ in range(200):
        wall += pace.wait(wall)
        pace.ticked(0.01, wall)
    assert wall - 100.0 == pytest.approx(200 * 0.01 / factor, abs=MAX_DEBT + 0.01 / factor)


def test_factor_zero_never_waits() -> None:
    pace = Pace(0.0)
    pace.ticked(1.0, 100.0)
    assert pace.wait(100.0) == 0.0


def test_only_a_little_lost_time_is_made_up() -> None:
    pace = Pace(1.0)
    pace.ticked(0.01, 100.0)
    free = 0
    while pace.wait(200.0) == 0.0:
        pace.ticked(0.01, 200.0)
        free += 1
    assert free == pytest.approx(MAX_DEBT / 0.01, abs=1)


def test_speed_is_simulated_over_wall_time() -> None:
    meter = SpeedMeter()
    assert math.isnan(meter.measure(1.0, 100.0))
    assert meter.measure(3.0, 100.5) == pytest.approx(4.0)
    assert meter.measure(3.5, 101.5) == pytest.approx(0.5)
