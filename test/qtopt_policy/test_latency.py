import math

from qtopt_policy.latency import Latencies


def test_median_and_99th_percentile_in_milliseconds() -> None:
    latencies = Latencies()
    for millisecond in range(1, 101):
        latencies.add(millisecond * 1e-3)
    summary = latencies.summary("decision")
    assert summary == {"decision_p50_ms": "50.50", "decision_p99_ms": "99.01", "decision_count": "100"}


def test_only_the_latest_count() -> None:
    latencies = Latencies(size=2)
    for value in (9.0, 0.001, 0.003):
        latencies.add(value)
    assert latencies.summary("x")["x_p50_ms"] == "2.00"


def test_none_is_not_a_number() -> None:
    summary = Latencies().summary("x")
    assert math.isnan(float(summary["x_p50_ms"]))
    assert summary["x_count"] == "0"
