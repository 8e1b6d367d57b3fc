"""Percentiles of the latest durations."""

from collections import deque

import numpy as np


class Latencies:
    """Keeps the latest `size` durations [s]."""

    def __init__(self, size: int = 256) -> None:
        self._values: deque[float] = deque(maxlen=size)

    def add(self, duration: float) -> None:
        """Take one duration [s]."""
        self._values.append(duration)

    def summary(self, name: str) -> dict[str, str]:
        """Return median and 99th percentile as text in [ms], and their number; NaN while there are none."""
        values = list(self._values) or [float("nan")]
        p50, p99 = np.percentile(values, [50, 99]) * 1e3
        count = str(len(self._values))
        return {f"{name}_p50_ms": f"{p50:.2f}", f"{name}_p99_ms": f"{p99:.2f}", f"{name}_count": count}
