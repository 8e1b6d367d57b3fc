"""Curves lie inside their panels, and missing values leave gaps."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtopt_collector.report.chart import Panel, chart


def panel(value: list[float], dots: bool = False) -> Panel:
    return Panel("v", "q", np.arange(len(value), dtype=float), np.array(value), 0.0, 1.0, dots)


def points(svg: str) -> NDArray[np.float64]:
    pairs = [pair.split(",") for line in re.findall(r'points="([^"]*)"', svg) for pair in line.split()]
    return np.array(pairs, dtype=float)


@given(st.lists(st.floats(-10.0, 10.0), min_size=2, max_size=30))
def test_curves_stay_inside_the_picture(values: list[float]) -> None:
    svg = chart((panel(values),), np.empty(0), len(values) - 1.0)
    found = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    assert found is not None
    assert (points(svg) >= 0.0).all()
    assert (points(svg) <= [float(found[1]), float(found[2])]).all()


def test_a_larger_value_is_drawn_higher() -> None:
    first, second = points(chart((panel([0.1, 0.9]),), np.empty(0), 1.0))
    assert second[1] < first[1]


def test_a_missing_value_breaks_the_curve() -> None:
    assert chart((panel([0.1, 0.2, float("nan"), 0.4]),), np.empty(0), 3.0).count("<polyline") == 2


def test_dots_only_at_values() -> None:
    assert chart((panel([0.1, float("nan"), 0.4], dots=True),), np.empty(0), 2.0).count("<circle") == 2


def test_one_mark_per_step() -> None:
    assert chart((panel([0.0, 1.0]),), np.array([0.0, 0.3, 0.6]), 1.0).count('class="mark"') == 3


@given(st.floats(1e-2, 1e4))
def test_ticks_are_few_and_within_the_time(end: float) -> None:
    ticks = [float(text) for text in re.findall(r">([\d.e+-]+) s<", chart((), np.empty(0), end))]
    assert 5 <= len(ticks) <= 11
    assert ticks[0] == 0.0
    assert ticks[-1] <= end * 1.001
