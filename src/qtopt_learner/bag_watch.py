"""New bags in a folder, as they are closed."""

from dataclasses import dataclass
from pathlib import Path

from qtopt_collector.bags import layout
from qtopt_collector.bags.reader import open_bag, read_info
from qtopt_collector.episode import EpisodeInfo
from qtopt_collector.report.score import EpisodeResult
from qtopt_policy import topics


@dataclass(frozen=True)
class ClosedBag:
    """A bag that was closed: its folder, what is known about the episode, its number of steps."""

    path: Path
    info: EpisodeInfo
    steps: int

    def result(self, policy: str) -> EpisodeResult:
        """Return the episode's outcome under the name by which the policy was asked for."""
        info = self.info
        return EpisodeResult(policy, info.seed, info.success, info.truth, self.steps, info.end_reason)


class BagWatch:
    """Tells of each bag in a folder that is closed after the watch began.

    Args:
        folder: of the bags; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = set(closed_bags(folder))

    def poll(self) -> list[ClosedBag]:
        """Return the bags closed since the last call; errors as `open_bag`."""
        new = [bag for bag in closed_bags(self._folder) if bag not in self._known]
        self._known.update(new)
        return [read_bag(bag) for bag in new]


def closed_bags(folder: Path) -> list[Path]:
    """Return the closed bags in a folder by name; none if it is missing."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if layout.is_closed(entry))


def read_bag(bag: Path) -> ClosedBag:
    """Read what a closed bag says about its episode, without the images; errors as `open_bag`."""
    contents = open_bag(bag)
    return ClosedBag(bag, read_info(contents), len(contents.entries[topics.STEP]))
