"""How long it took from the first scripted episode until the learner's own episodes succeeded so often.

Reads stores of episodes and folders of runs, in the order in which their files were written. A share is
reached with the first 100 own episodes without exploration in a row of which so many succeeded, as the
success detector judged. (Recorded is the policy `cem` for these, `epsilon(...)` or `noisy(...)` for those
that explore.) Printed are the time, the episodes and the gradient steps of the run until the last of the 100
was on disk; `episodes` are all, scripted and exploring ones too.

Time counts while something ran, by the times of the files: a run from its first file to its last, a store
from as long before its first shard as a shard takes there. What wrote nothing for `--pause` seconds stood
still. When nothing ran, as between stages, is printed but not counted. Files copied without their times
say nothing.

    python bench/time_to.py runs/scripted runs/mine runs/mine_further
"""

import argparse
import itertools
import statistics
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.report.source import CONFIG_FILE
from qtopt_learner.store import SUFFIX, read_infos, shard_paths

GREEDY = "cem"
Span = tuple[float, float]  # from, until [s since the epoch]


@dataclass(frozen=True)
class Source:
    """A store of episodes, or a run with its own.

    Attributes:
        path: as given.
        shards: time of writing and path, in the order of time.
        spans: in which it ran, apart from each other.
        steps: seconds that the run had lasted and gradient steps, of each line of its metrics.
        logged: when the last of these was written.
    """

    path: Path
    shards: tuple[tuple[float, Path], ...]
    spans: tuple[Span, ...]
    steps: tuple[tuple[float, int], ...] = ()
    logged: float = 0.0

    def step_at(self, time: float) -> int | None:
        """Return the gradient step last logged until then, None where there is none."""
        if not self.steps:
            return None
        seconds = self.steps[-1][0] - (covered(self.spans, self.logged) - covered(self.spans, time))
        return max((step for at, step in self.steps if at <= seconds), default=0)


@dataclass(frozen=True)
class Played:
    """One episode: when it was on disk, in what, whether it explored nothing, whether it succeeded."""

    time: float
    source: Source
    greedy: bool
    success: bool


def written(path: Path) -> float:
    """Return when a file was written; a link's is that of what it leads to."""
    return path.stat().st_mtime


def read_source(path: Path, pause: float) -> Source:
    """Look at the files of a store or a run; the episodes are read later."""
    is_run = (path / CONFIG_FILE).exists()
    shards = sorted((written(shard), shard) for shard in shard_paths(path / "episodes" if is_run else path))
    if not (shards or is_run):
        raise SystemExit(f"{path}: neither a run ({CONFIG_FILE}) nor a folder of shards (*{SUFFIX})")
    if not is_run:
        times = [shards[0][0] - shard_time(shards), *(time for time, _ in shards)]
        return Source(path, tuple(shards), split(times, pause))
    # Each start of a run writes its configuration anew: the first one shows in the first weights.
    signs = [path / CONFIG_FILE, path / CSV_FILE, *(path / "weights").iterdir()]
    times = [time for time, _ in shards] + [written(sign) for sign in signs if sign.exists()]
    rows = read_metrics(path / CSV_FILE)
    steps = sorted({(float(row["seconds"]), int(row["step"])) for row in rows})
    logged = written(path / CSV_FILE) if steps else 0.0
    return Source(path, tuple(shards), split(times, pause), tuple(steps), logged)


def shard_time(shards: Sequence[tuple[float, Path]]) -> float:
    """Return the usual time between two shards of the same writer [s], 0 where each has only one."""
    writers: dict[str, list[float]] = {}
    for time, path in shards:
        writers.setdefault(path.name.rsplit("-", 1)[0], []).append(time)
    gaps = [b - a for times in writers.values() for a, b in itertools.pairwise(times)]
    return statistics.median(gaps) if gaps else 0.0


def split(times: Iterable[float], pause: float) -> tuple[Span, ...]:
    """Return the spans between signs of life that lie at most `pause` seconds apart."""
    found: list[Span] = []
    for time in sorted(times):
        if found and time - found[-1][1] <= pause:
            found[-1] = found[-1][0], time
        else:
            found.append((time, time))
    return tuple(found)


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the spans in which at least one of them lies."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return tuple(found)


def covered(spans: Iterable[Span], time: float) -> float:
    """Return how much of spans that lie apart is before `time` [s]."""
    return sum(max(0.0, min(end, time) - start) for start, end in spans)


def episodes(sources: Sequence[Source]) -> Iterator[Played]:
    """Yield the episodes of all sources in the order of time."""
    shards = sorted((time, path, index) for index, s in enumerate(sources) for time, path in s.shards)
    for time, path, index in shards:
        for info in read_infos(path):
            yield Played(time, sources[index], info.policy == GREEDY, bool(info.success))


def print_sources(sources: Sequence[Source], played: Sequence[Played], running: Sequence[Span]) -> None:
    """Print what each source holds and when it ran, and the pauses between."""
    for source in sources:
        own = [episode for episode in played if episode.source is source]
        greedy = sum(episode.greedy for episode in own)
        lasted = covered(source.spans, source.spans[-1][1])
        print(f"{source.path}: {len(own):,} episodes, {greedy:,} own without exploration, {lasted:,.0f} s")
    for (_, end), (start, _) in itertools.pairwise(running):
        at = datetime.fromtimestamp(end).isoformat(" ", "seconds")
        print(f"not counted: {start - end:,.0f} s from {at} on, in which nothing ran")


def first_windows(
    played: Sequence[Played], shares: Sequence[float], window: int
) -> tuple[dict[float, int], float]:
    """Return the index of the episode with which each share is reached, and the best share of all windows."""
    last: deque[bool] = deque(maxlen=window)
    reached: dict[float, int] = {}
    best = 0.0
    for index, episode in enumerate(played):
        if not episode.greedy:
            continue
        last.append(episode.success)
        if len(last) == window:
            found = sum(last) / window
            best = max(best, found)
            reached = {share: index for share in shares if share <= found} | reached
    return reached, best


def print_shares(
    played: Sequence[Played], running: Sequence[Span], shares: Sequence[float], window: int
) -> None:
    """Print a line for each share."""
    reached, best = first_windows(played, shares, window)
    print(f"{f'of {window} in a row':16}{'time':>10}{'episodes':>10}{'own greedy':>12}{'step':>8}  in")
    for share in shares:
        if share not in reached:
            print(f"{share:<16.0%}not reached: at most {best:.0%}")
            continue
        index = reached[share]
        episode = played[index]
        greedy = sum(each.greedy for each in played[: index + 1])
        step = episode.source.step_at(episode.time)
        seconds = f"{covered(running, episode.time):,.0f} s"
        shown = "-" if step is None else f"{step:,}"
        print(f"{share:<16.0%}{seconds:>10}{index + 1:>10,}{greedy:>12,}{shown:>8}  {episode.source.path}")


def main() -> None:
    """Read everything and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path, metavar="STORE|RUN")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.8, 0.9, 0.96])
    parser.add_argument("--window", type=int, default=100, help="episodes in a row")
    parser.add_argument(
        "--pause", type=float, default=600.0, help="[s] without a file after which nothing ran"
    )
    arguments = parser.parse_args()
    sources = [read_source(path, arguments.pause) for path in arguments.sources]
    running = union(span for source in sources for span in source.spans)
    played = list(episodes(sources))
    print_sources(sources, played, running)
    print_shares(played, running, arguments.shares, arguments.window)


if __name__ == "__main__":
    main()
