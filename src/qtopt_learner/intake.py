"""Episodes on disk into a replay: store shards and bags, each once, the unusable ones named.

Cameras are remembered beside the replay (only those at the rim of what was seen), because a checkpoint must
say for which cameras it was trained, also when the replay is reopened without reading an episode.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from qtopt_collector.bags.layout import list_bags
from qtopt_collector.episode import EpisodeInfo
from qtopt_learner.reading import Reader, Reading, join, read_all
from qtopt_learner.replay import Replay
from qtopt_learner.store import SUFFIX, shard_paths
from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.config import to_mapping
from qtopt_policy.envelope import measure_camera
from qtopt_policy.errors import ConfigError
from qtopt_policy.mdp import MdpConfig

CAMERAS_FILE = "cameras.json"
REWARDS_FILE = "rewards.json"
# What rows hold beyond the episode itself: with other values they are other rows.
REWARD_KEYS = ("step_penalty", "discount", "action_frame")
# Sources are appended in groups of at most so many, and so many rows, at a time: an append costs a sync.
GROUP = 64
GROUP_ROWS = 2048


class Intake:
    """Takes episodes into one replay.

    Args:
        replay: to fill.
        mdp: to learn with; episodes of another one are refused.
        opening: distance of the opened fingertips [m].
        mount: of the camera to learn with; episodes of a camera on another one are refused.
        folder: where the cameras are remembered; None remembers them in memory.

    Raises:
        ConfigError: the folder's rows have the rewards of another MDP, or are of a camera on another mount.

    Attributes:
        refused: reason by name of source or episode, of everything that was not taken.
        outcomes: of the episodes taken, aborted ones not counted; whoever reads them may clear them.
    """

    def __init__(
        self, replay: Replay, mdp: MdpConfig, opening: float, mount: Mount, folder: Path | None = None
    ) -> None:
        self.refused: dict[str, str] = {}
        self.outcomes: list[EpisodeInfo] = []
        self.cameras: list[CameraModel] = []
        self._replay = replay
        self._reader = Reader(mdp, opening, mount)
        self._file = None if folder is None else folder / CAMERAS_FILE
        self._taken = {str(Path(source).resolve()) for source in replay.sources}
        if folder is not None:
            _require_rewards(folder / REWARDS_FILE, mdp)
        if self._file is not None and self._file.exists():
            self.cameras = _read_cameras(self._file, mount)

    def new_sources(self, paths: Iterable[Path]) -> list[Path]:
        """Return the sources at or below the paths that were not taken before, each once, in a fixed order.

        Raises:
            BagError: a path holds neither shards nor bags.
        """
        found = {str(source.resolve()): source for path in paths for source in find_sources(path)}
        return [source for place, source in found.items() if place not in self._taken]

    def take_all(
        self, paths: Iterable[Path], progress: Callable[[int], None] | None = None, workers: int = 1
    ) -> int:
        """Take every new source below the paths: shards, folders of shards, bags, folders of bags.

        Args:
            paths: may name what was taken before, also twice or in another way.
            progress: called with the number of sources done so far.
            workers: processes that read; 0 or 1 reads in this one. The replay is the same with any number.

        Returns:
            The number of new rows.

        Raises:
            BagError: a path holds neither shards nor bags.
            ReaderDiedError: one of several processes died; what was appended until then stays.
        """
        before = self._replay.end
        sources = self.new_sources(paths)
        waiting: list[Reading] = []
        room = min(GROUP_ROWS, self._replay.capacity)
        with closing(read_all(self._reader.read, sources, workers)) as readings:
            for done, reading in enumerate(readings):
                if len(waiting) >= GROUP or sum(map(len, [*waiting, reading])) > room:
                    self._append(waiting)
                    waiting = []
                waiting.append(reading)
                if progress is not None:
                    progress(done + 1)
        self._append(waiting)
        return self._replay.end - before

    def _append(self, readings: Sequence[Reading]) -> None:
        for reading in readings:
            self._note(reading)
        self._save_cameras()
        self._taken.update(str(Path(reading.source).resolve()) for reading in readings)
        # One without rows is not kept as taken: a torn bag may be mended, and is looked at by the next start.
        parts = {reading.source: reading.rows for reading in readings if reading.rows is not None}
        if parts:
            self._replay.append(join(list(parts.values())), *parts)

    def _note(self, reading: Reading) -> None:
        self.refused.update(reading.refused)
        self.outcomes.extend(info for info in reading.infos if not info.aborted)
        for camera in reading.cameras:
            if widens(self.cameras, camera):
                self.cameras.append(camera)

    def _save_cameras(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps([camera.to_mapping() for camera in self.cameras]))
        temporary.rename(self._file)


def _read_cameras(path: Path, mount: Mount) -> list[CameraModel]:
    """Return the cameras that were remembered; ConfigError where one is on another mount."""
    cameras = [CameraModel.from_mapping(entry, str(path)) for entry in json.loads(path.read_text())]
    for camera in cameras:
        if camera.mount != mount:
            text = f"{path}: the rows are of camera mount {camera.mount}, this run has {mount}"
            raise ConfigError(f"{text}: --camera, or take another folder")
    return cameras


def _require_rewards(path: Path, mdp: MdpConfig) -> None:
    """Refuse to go on with rows whose rewards were computed for another MDP.

    Raises:
        ConfigError: naming the file and both values.
    """
    present = {key: value for key, value in to_mapping(mdp).items() if key in REWARD_KEYS}
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(present) + "\n")
        return
    saved = json.loads(path.read_text())
    if saved != present:
        raise ConfigError(f"{path}: the rows are of {saved}, this run has {present}: take another folder")


def widens(cameras: list[CameraModel], camera: CameraModel) -> bool:
    """Return whether a camera lies outside the range of the others in any quantity of an envelope."""
    if not cameras or camera.mount != cameras[0].mount:
        return True
    seen = [measure_camera(other) for other in cameras]
    measured = measure_camera(camera)
    if any(not min(s[k] for s in seen) <= v <= max(s[k] for s in seen) for k, v in measured.items()):
        return True
    reference = cameras[0].pose
    return camera.pose.angle(reference) > max(other.pose.angle(reference) for other in cameras)


def find_sources(path: Path) -> list[Path]:
    """Return the shards or bags at or below a path, in a fixed order; none in an empty folder.

    Raises:
        BagError: nothing is there, or a folder holds other things only.
    """
    if path.name.endswith(SUFFIX):
        return [path]
    if path.is_dir():
        shards = shard_paths(path)
        if shards or all(entry.name.startswith(".") for entry in path.iterdir()):
            return shards
    return list_bags(path)
