"""What the report needs of one bag beside its episode: size, topic rates, latencies, the finer traces."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtopt_collector.episode import Episode

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class TopicStats:
    """How often a topic came.

    Attributes:
        topic: its name.
        kind: its message type.
        count: messages.
        rate: [Hz] over the time from first to last message; NaN below two messages.
        gap: longest time between two messages [s]; NaN below two messages.
    """

    topic: str
    kind: str
    count: int
    rate: float
    gap: float


@dataclass(frozen=True, eq=False)
class Trace:
    """One value over time: time [s] and value, both of shape (N,)."""

    time: F64
    value: F64


@dataclass(frozen=True, eq=False)
class Recording:
    """One bag as the report shows it.

    Attributes:
        path: folder of the bag.
        size: bytes on disk.
        episode: its content.
        topics: rate of each topic.
        aperture, height: of the tool over the whole episode, lift included [m], in the steps' time.
        latency: wall time from the image's arrival to the published action of each decision [s];
            empty where it was not recorded.
        search: by step, the debug image (RGB, (H, W, 3)) with the candidates drawn in, where recorded.
        drop: images before and after the drop (RGB) by `before` and `after`, where recorded.
    """

    path: Path
    size: int
    episode: Episode
    topics: tuple[TopicStats, ...]
    aperture: Trace
    height: Trace
    latency: F64 = field(default_factory=lambda: np.empty(0))
    search: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    drop: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


def topic_stats(topic: str, kind: str, stamps: F64) -> TopicStats:
    """Return count, rate and longest gap of messages at `stamps` [s], shape (N,), in order."""
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return TopicStats(topic, kind, len(stamps), float("nan"), float("nan"))
    rate = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    return TopicStats(topic, kind, len(stamps), float(rate), float(np.diff(stamps).max()))
