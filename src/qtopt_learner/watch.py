"""What TensorBoard shows beside the numbers of the learner: film strips with Q, and finished evaluations.

Success per policy comes from the run's own episodes, which are on training scenes; an evaluation
(`qtopt evaluate --out RUN/evaluation-<name>.json`) adds `success_<split>/<policy>` at the gradient step of
the weights that it measured.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_collector.episode import Episode
from qtopt_learner.metrics import Metrics
from qtopt_learner.store import read_shard, shard_paths
from qtopt_policy.errors import ConfigError
from qtopt_policy.grasp_action import CHOICES, GraspAction

# Height of a picture of a strip, and of the line of text below it [px].
SIDE, TEXT = 128, 18
EVALUATION_FILES = "evaluation*.json"


def film_strip(images: NDArray[np.uint8], captions: Sequence[str]) -> NDArray[np.uint8]:
    """Return pictures side by side, enlarged, each with a caption below it.

    Args:
        images: RGB, shape (T, H, W, 3), or with one channel.
        captions: T of them.

    Returns:
        One RGB picture, shape (SIDE + TEXT, T * width, 3).
    """
    width = max(SIDE, round(SIDE * images.shape[2] / images.shape[1]))
    parts = []
    for image, caption in zip(images, captions, strict=True):
        picture = np.full((SIDE + TEXT, width, 3), 255, dtype=np.uint8)
        picture[:SIDE] = cv2.resize(
            np.broadcast_to(image, (*image.shape[:2], 3)).copy(),
            (width, SIDE),
            interpolation=cv2.INTER_NEAREST,
        )
        cv2.putText(picture, caption, (3, SIDE + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
        parts.append(picture)
    return np.concatenate(parts, axis=1)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write an RGB picture as PNG.

    Raises:
        ConfigError: the file cannot be written.
    """
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise ConfigError(f"{path}: cannot be written")


def episode_strip(episode: Episode) -> NDArray[np.uint8]:
    """Return the film strip of a grasp episode: what the network saw, what was chosen, Q of it."""
    steps = episode.steps
    names = [CHOICES[GraspAction.from_array(row).choice] for row in steps.asked]
    captions = [
        f"{name} Q {q:.2f}" if np.isfinite(q) else name for name, q in zip(names, steps.q, strict=True)
    ]
    return film_strip(steps.image, captions)


class Watch:
    """Shows the newest episodes and evaluations of a run.

    Args:
        folder: of the run; its store is below `episodes`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[Path] = set(folder.glob(EVALUATION_FILES))

    def films(self, metrics: Metrics, step: int) -> None:
        """Show the newest success and the newest failure of the newest shard."""
        shards = shard_paths(self._folder / "episodes")
        if not shards:
            return
        newest = max(shards, key=lambda path: path.stat().st_mtime_ns)
        episodes = {bool(e.info.success): e for e in read_shard(newest) if not e.info.aborted}
        for success, episode in episodes.items():
            name = "film/success" if success else "film/failure"
            metrics.picture(step, name, episode_strip(episode))

    def evaluations(self, metrics: Metrics, step: int) -> list[str]:
        """Write the results that have appeared since: success by split and policy.

        Returns:
            A line for each file that cannot be read; a run does not end for that.
        """
        refused = []
        for path in sorted(set(self._folder.glob(EVALUATION_FILES)) - self._seen):
            self._seen.add(path)
            try:
                measured, values = evaluation_numbers(path)
                metrics.write(step if measured is None else measured, values)
            except ConfigError as error:
                refused.append(str(error))
        return refused


def evaluation_numbers(path: Path) -> tuple[int | None, dict[str, float]]:
    """Return the gradient step of the weights (None if the name of their file does not tell) and success.

    Raises:
        ConfigError: the file is not an evaluation.
    """
    try:
        found = json.loads(path.read_text())
        split, weights = found["config"]["split"], str(found["config"]["checkpoint"])
        rates = {row["policy"]: row["truth"]["rate"] for row in found["scores"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read as an evaluation: {error!r}") from error
    step = re.search(r"step-(\d+)", Path(weights).name)
    values = {f"success_{split}/{policy}": float(rate) for policy, rate in rates.items() if rate is not None}
    return int(step[1]) if step else None, values
