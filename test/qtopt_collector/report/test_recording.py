"""Rates of topics."""

import math

import numpy as np
import pytest

from qtopt_collector.report.recording import topic_stats


def test_rate_and_longest_gap() -> None:
    stats = topic_stats("t", "k", np.array([0.0, 0.1, 0.2, 0.5, 0.6]))
    assert stats.count == 5
    assert stats.rate == pytest.approx(4 / 0.6)
    assert stats.gap == pytest.approx(0.3)


@pytest.mark.parametrize("stamps", [[], [1.0], [1.0, 1.0]])
def test_too_few_messages_have_no_rate(stamps: list[float]) -> None:
    stats = topic_stats("t", "k", np.array(stamps))
    assert stats.count == len(stamps)
    assert math.isnan(stats.rate)
    assert math.isnan(stats.gap)
