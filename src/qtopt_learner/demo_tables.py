"""The numbers that a demo ends with, out of its bags."""

from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from qtopt_collector.bags.layout import METADATA
from qtopt_collector.report.page import latency_text, megabytes
from qtopt_collector.report.recording import Recording
from qtopt_collector.report.score import result_of, scores


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    return table


def policy_table(recordings: Sequence[Recording]) -> Table:
    """Return one row per policy: episodes, success with its 95 % interval, steps, decision latency."""
    table = _table("episodes", "policy", "episodes", "aborted", "success [95 %]", "steps", "latency p50, p99")
    for row in scores([result_of(recording.episode) for recording in recordings]):
        own = [r for r in recordings if r.episode.info.policy == row.policy]
        steps = f"{row.mean_steps:.1f}" if row.judged.trials else "-"
        numbers = (str(row.episodes), str(row.aborted), str(row.judged), steps, latency_text(own))
        table.add_row(row.policy, *numbers)
    return table


def topic_table(recordings: Sequence[Recording]) -> Table:
    """Return one row per recorded topic: its median rate over the episodes and its longest gap."""
    table = _table("topics, in simulated time", "topic", "messages", "rate", "longest gap")
    names = dict.fromkeys(topic.topic for recording in recordings for topic in recording.topics)
    for name in names:
        stats = [topic for r in recordings for topic in r.topics if topic.topic == name]
        rates = [stat.rate for stat in stats if np.isfinite(stat.rate)]
        gaps = [stat.gap for stat in stats if np.isfinite(stat.gap)]
        rate = f"{np.median(rates):.1f} Hz" if rates else "-"
        gap = f"{max(gaps):.2f} s" if gaps else "-"
        table.add_row(name, str(sum(stat.count for stat in stats)), rate, gap)
    return table


def bag_line(recordings: Sequence[Recording]) -> str:
    """Return the size of the bags as a sentence."""
    sizes = [recording.size for recording in recordings]
    if not sizes:
        return "no bags"
    each = f"{megabytes(min(sizes))} to {megabytes(max(sizes))} each"
    return f"{len(sizes)} bags, {megabytes(sum(sizes))}, {each}"


def speed_line(recordings: Sequence[Recording]) -> str:
    """Return how fast simulated time went from the end of the first episode to that of the last one."""
    moved = [recording for recording in recordings if len(recording.aperture.time)]
    if len(moved) < 2:
        return "speed: one episode is too few to tell"
    ends = [float(recording.aperture.time[-1]) for recording in moved]
    closed = [(recording.path / METADATA).stat().st_mtime for recording in moved]
    simulated, wall = max(ends) - min(ends), max(closed) - min(closed)
    return f"{simulated:.0f} s simulated in {wall:.0f} s: {simulated / max(wall, 1e-3):.2f} times real time"
