"""Episodes on disk into a replay: store shards and bags, each once, the unusable ones named.

Cameras are remembered beside the replay (only those at the rim of what was seen), because a checkpoint must
say for which cameras it was trained, also when the replay is reopened without reading an episode.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from qtopt_collector.bags.layout import list_bags
from qtopt_collector.bags.reader import read_episode
from qtopt_collector.episode import Episode, EpisodeInfo
from qtopt_learner.replay import Replay
from qtopt_learner.rows import Rows
from qtopt_learner.store import SUFFIX, read_shard, shard_paths
from qtopt_learner.transitions import episode_rows
from qtopt_policy.camera import CameraModel
from qtopt_policy.config import to_mapping
from qtopt_policy.envelope import measure_camera
from qtopt_policy.errors import BagError, ConfigError, QtoptError
from qtopt_policy.mdp import MdpConfig

CAMERAS_FILE = "cameras.json"
REWARDS_FILE = "rewards.json"
# What rows hold beyond the episode itself: with other values they are other rows.
REWARD_KEYS = ("step_penalty", "discount", "action_frame")
# Bags are appended to the replay in groups: an append costs a sync.
GROUP = 64


class Intake:
    """Takes episodes into one replay.

    Args:
        replay: to fill.
        mdp: to learn with; episodes of another one are refused.
        opening: distance of the opened fingertips [m].
        folder: where the cameras are remembered; None remembers them in memory.

    Raises:
        ConfigError: the folder's rows have the rewards of another MDP.

    Attributes:
        refused: reason by name of source or episode, of everything that was not taken.
        outcomes: of the episodes taken, aborted ones not counted; whoever reads them may clear them.
    """

    def __init__(self, replay: Replay, mdp: MdpConfig, opening: float, folder: Path | None = None) -> None:
        self.refused: dict[str, str] = {}
        self.outcomes: list[EpisodeInfo] = []
        self.cameras: list[CameraModel] = []
        self._replay = replay
        self._mdp = mdp
        self._opening = opening
        self._file = None if folder is None else folder / CAMERAS_FILE
        self._taken = {str(Path(source).resolve()) for source in replay.sources}
        if folder is not None:
            _require_rewards(folder / REWARDS_FILE, mdp)
        if self._file is not None and self._file.exists():
            entries = json.loads(self._file.read_text())
            self.cameras = [CameraModel.from_mapping(entry, str(self._file)) for entry in entries]

    def take_all(self, paths: Iterable[Path], progress: Callable[[int], None] | None = None) -> int:
        """Take every new source below the paths: shards, folders of shards, bags, folders of bags.

        Args:
            paths: may name what was taken before, also twice or in another way.
            progress: called with the number of sources done so far.

        Returns:
            The number of new rows.

        Raises:
            BagError: a path holds neither shards nor bags.
        """
        before = self._replay.end
        found = {str(source.resolve()): source for path in paths for source in find_sources(path)}
        sources = [source for place, source in found.items() if place not in self._taken]
        waiting: list[tuple[str, list[Episode]]] = []
        for done, source in enumerate(sources):
            waiting.append((str(source), self._read(source)))
            if source.name.endswith(SUFFIX) or len(waiting) >= GROUP:
                self._append(waiting)
                waiting = []
            if progress is not None:
                progress(done + 1)
        self._append(waiting)
        return self._replay.end - before

    def _read(self, source: Path) -> list[Episode]:
        try:
            return read_shard(source) if source.name.endswith(SUFFIX) else [read_episode(source)]
        except QtoptError as error:
            self.refused[str(source)] = str(error)
            return []

    def _append(self, sources: list[tuple[str, list[Episode]]]) -> None:
        parts: list[Rows] = []
        for _, episodes in sources:
            for episode in episodes:
                self._convert(episode, parts)
        self._save_cameras()
        names = [name for name, _ in sources]
        self._taken.update(str(Path(name).resolve()) for name in names)
        if parts:
            rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            self._replay.append(rows, *names)

    def _convert(self, episode: Episode, parts: list[Rows]) -> None:
        try:
            parts.append(episode_rows(episode, self._mdp, self._opening))
        except BagError as error:
            self.refused[episode.info.episode_id] = str(error)
            return
        if not episode.info.aborted:
            self.outcomes.append(episode.info)
        if widens(self.cameras, episode.camera):
            self.cameras.append(episode.camera)

    def _save_cameras(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps([camera.to_mapping() for camera in self.cameras]))
        temporary.rename(self._file)


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
