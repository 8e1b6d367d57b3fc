"""The whole graph: episodes per hour at the highest real-time factor that loses nothing.

Runs the simulated system as separate processes at rising real-time factors, reads the bags back and counts
what is missing in the streams of the drivers and of the guard. Beside it: the real-time factor reached, the
rate of each topic in simulated time, and the share of a core that each node took.

    python bench/bench_graph.py --episodes 5
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from grasp_bringup.run import NodeDiedError, RunningSystem
from grasp_bringup.system import SystemOptions, system_nodes
from qtopt_collector.bags import messages
from qtopt_collector.bags.layout import list_bags
from qtopt_collector.bags.reader import Contents, open_bag, read_info
from qtopt_collector.report.recording import TopicStats
from qtopt_collector.report.source import topic_rates
from qtopt_learner.bag_watch import BagWatch
from qtopt_policy import topics

FACTORS = (1.0, 2.0, 3.0, 4.0, 6.0, 100.0)
# What is lost shows as a hole in these streams of constant rate [Hz].
STREAMS = {topics.JOINT_STATES: 100.0, topics.TOOL_POSE: 100.0, topics.CAMERA_INFO: 10.0}
JIFFIES = os.sysconf("SC_CLK_TCK")  # per second


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        factor: real-time factor asked for.
        reached: simulated time of the episodes by the wall time that they took.
        episodes: closed; aborted: of these.
        wall: from the end of the first episode to the end of the last [s].
        lost: messages missing, by topic of STREAMS.
        shares: of one core, by node, over the whole run after the nodes were up.
        rates: of the last bag's topics.
    """

    factor: float
    reached: float
    episodes: int
    aborted: int
    wall: float
    lost: dict[str, int]
    shares: dict[str, float]
    rates: tuple[TopicStats, ...]

    @property
    def per_hour(self) -> float:
        """Judged episodes per hour of wall time, once the nodes are up."""
        done = self.episodes - 1 - self.aborted
        return 3600.0 * done / self.wall if self.wall > 0.0 else math.nan

    @property
    def clean(self) -> bool:
        """Whether nothing was lost and nothing aborted."""
        return self.aborted == 0 and not any(self.lost.values())


def cpu_time(pid: int) -> float:
    """Return the processor time that a process has taken [s]; the fields 14 and 15 of proc(5) stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / JIFFIES


def stamps(contents: Contents, topic: str) -> NDArray[np.float64]:
    """Return the distinct header stamps of a topic [s]."""
    found = [messages.stamp_of(message) for message in contents.decode(topic)]
    return np.unique(np.array(found, dtype=np.float64)) * 1e-9


def missing(contents: Contents) -> dict[str, int]:
    """Return how many messages of each stream are missing between its first and its last one."""
    lost = {}
    for topic, rate in STREAMS.items():
        gaps = np.diff(stamps(contents, topic)) * rate
        lost[topic] = int(np.maximum(np.rint(gaps) - 1.0, 0.0).sum())
    return lost


class Watcher:
    """Follows a run: when bags are closed, and what the nodes compute from the first one on."""

    def __init__(self, bags: Path, system: RunningSystem) -> None:
        self._watch = BagWatch(bags)
        self._system = system
        self._ends: list[float] = []
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def __call__(self) -> None:
        """Look."""
        now = time.monotonic()
        alive = [child for child in self._system.children if child.poll() is None]
        if self._ends:
            self._last |= {child.name: cpu_time(child.pid) for child in alive}
        if self._watch.poll():
            if not self._ends:
                self._first = {child.name: cpu_time(child.pid) for child in alive}
            self._ends.append(now)

    @property
    def wall(self) -> float:
        """Time from the first closed bag to the last [s]."""
        return self._ends[-1] - self._ends[0] if self._ends else 0.0

    def shares(self) -> dict[str, float]:
        """Return the share of one core of each node since the first bag was closed."""
        if not self.wall:
            return {}
        return {name: (self._last[name] - self._first[name]) / self.wall for name in self._last}


def run(factor: float, episodes: int, policy: str, folder: Path) -> Measured:
    """Run the graph once."""
    options = SystemOptions(bags=folder / "bags", episodes=episodes, seed=10_000, rtf=factor, policy=policy)
    with RunningSystem(system_nodes(options), folder / "logs") as system:
        watcher = Watcher(options.bags, system)
        system.wait(progress=watcher)
    bags = [open_bag(bag) for bag in list_bags(options.bags)]
    lost = [missing(contents) for contents in bags]
    ends = [float(stamps(contents, topics.JOINT_STATES)[-1]) for contents in bags]
    return Measured(
        factor=factor,
        reached=(ends[-1] - ends[0]) / watcher.wall if watcher.wall else math.nan,
        episodes=len(bags),
        aborted=sum(read_info(contents).aborted for contents in bags),
        wall=watcher.wall,
        lost={topic: sum(row[topic] for row in lost) for topic in STREAMS},
        shares=watcher.shares(),
        rates=topic_rates(bags[-1]),
    )


def print_runs(console: Console, rows: Sequence[Measured]) -> None:
    """Print one row per real-time factor."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("rtf asked", "reached", "episodes", "aborted", "lost", "episodes/h", "cores"):
        table.add_column(name, justify="right")
    for row in rows:
        cores = f"{sum(row.shares.values()):.2f}"
        counts = (str(row.episodes), str(row.aborted), str(sum(row.lost.values())))
        table.add_row(f"{row.factor:g}", f"{row.reached:.2f}", *counts, f"{row.per_hour:.0f}", cores)
    console.print(table)


def print_details(console: Console, row: Measured) -> None:
    """Print what the nodes took and how often topics came, in one run."""
    nodes = Table(box=SIMPLE_HEAD, title=f"share of a core at {row.reached:.2f} times real time")
    nodes.add_column("node")
    nodes.add_column("share", justify="right")
    for name, share in row.shares.items():
        nodes.add_row(name, f"{100 * share:.0f} %")
    console.print(nodes)
    rates = Table(box=SIMPLE_HEAD, title="topics of an episode, in simulated time")
    for name in ("topic", "messages", "rate", "longest gap"):
        rates.add_column(name, justify="left" if name == "topic" else "right")
    for stat in row.rates:
        rates.add_row(stat.topic, str(stat.count), f"{stat.rate:.1f} Hz", f"{stat.gap:.2f} s")
    console.print(rates)


def main() -> None:
    """Run all real-time factors; a node that dies ends the one it died in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--episodes", type=int, default=5, help="per real-time factor")
    parser.add_argument("--policy", default="scripted")
    parser.add_argument("--factors", type=float, nargs="+", default=FACTORS)
    arguments = parser.parse_args()
    console, rows = Console(), []
    with tempfile.TemporaryDirectory(prefix="qtopt-bench-") as temporary:
        for factor in arguments.factors:
            folder = Path(temporary) / f"{factor:g}"
            try:
                rows.append(run(factor, arguments.episodes, arguments.policy, folder))
            except NodeDiedError as error:
                console.print(f"rtf {factor:g}: {error}", markup=False)
    print_runs(console, rows)
    clean = [row for row in rows if row.clean]
    if not clean:
        console.print("no run was without loss")
        return
    best = max(clean, key=lambda row: row.per_hour)
    console.print(f"best without loss: {best.per_hour:.0f} episodes/h at {best.reached:.2f} times real time")
    print_details(console, best)


if __name__ == "__main__":
    main()
