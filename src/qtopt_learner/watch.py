"""What TensorBoard shows beside the numbers of the learner: film strips with Q, and finished evaluations.

Success per policy comes from the run's own episodes, which are on training scenes; an evaluation
(`qtopt evaluate --out RUN/evaluation-<name>.json`) adds `success_<split>/<policy>` at the gradient step of
the weights that it measured. What has been written is seen by the rows of metrics.csv, so that evaluations
made between two starts count too, and those whose rows a resumed run has dropped count again.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from qtopt_collector.bags.layout import is_torn
from qtopt_collector.episode import Episode
from qtopt_learner.metrics import CSV_FILE, Metrics, read_metrics
from qtopt_learner.reading import read_source
from qtopt_learner.report.episodes import own_sources
from qtopt_learner.report.source import CONFIG_FILE, read_json
from qtopt_policy.errors import ConfigError, QtoptError
from qtopt_policy.grasp_action import CHOICES, GraspAction

# Height of a picture of a strip, and of the line of text below it [px].
SIDE, TEXT = 128, 18
EVALUATION_FILES = "evaluation*.json"
# Gradient step at which an evaluation was first seen whose weights do not tell theirs, by the digest of its
# file. The name is none of an evaluation.
STEPS_FILE = "metrics-evaluations.json"
# A success and a failure are looked for in so many of the newest shards or bags.
LOOK_BACK = 16


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
        folder: of the run; its own episodes are below `episodes` and in the folders of bags that run.json
            names.

    Raises:
        ConfigError: run.json cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        config = folder / CONFIG_FILE
        self._config = read_json(config) if config.exists() else {}
        self._named: set[str] = set()
        # Digest by name of the evaluations that are written, or that cannot be read.
        self._done: dict[str, str] = {}

    def films(self, metrics: Metrics, step: int) -> list[str]:
        """Show the newest success and the newest failure among the newest shards and bags.

        Returns:
            A line for each source that cannot be read, once; a run does not end for that. A bag that is
            being recorded waits until it is closed.
        """
        sources, refused = own_sources(self._folder, self._config)
        closed = [source for source in sources if not is_torn(source)]
        found: dict[bool, Episode] = {}
        for source in reversed(closed[-LOOK_BACK:]):
            try:
                played = [episode for episode in read_source(source) if not episode.info.aborted]
            except QtoptError as error:
                refused.append(str(error))
                continue
            found = {bool(episode.info.success): episode for episode in played} | found
            if len(found) == 2:
                break
        for success, episode in found.items():
            name = "film/success" if success else "film/failure"
            metrics.picture(step, name, episode_strip(episode))
        new = [line for line in refused if line not in self._named]
        self._named.update(new)
        return new

    def evaluations(self, metrics: Metrics, step: int) -> list[str]:
        """Write the results that metrics.csv lacks: success by split and policy.

        An evaluation of weights that a resumed run has yet to reach again waits until then.

        Args:
            metrics: of the run, which have dropped what is after the checkpoint that it went on from.
            step: gradient steps made.

        Returns:
            A line for each file that cannot be read; a run does not end for that.
        """
        refused, found = [], []
        for path in sorted(self._folder.glob(EVALUATION_FILES)):
            digest = digest_of(path)
            if self._done.get(path.name) == digest:
                continue
            try:
                measured, values = evaluation_numbers(path)
                at = self._first_seen(digest, step) if measured is None else measured
            except ConfigError as error:
                refused.append(str(error))
                self._done[path.name] = digest
                continue
            if at <= step:
                found.append((at, values))
                self._done[path.name] = digest
        if found:
            self._write_missing(metrics, found)
        return refused

    def _first_seen(self, digest: str, step: int) -> int:
        """Return the step at which a file was first seen: this one, unless it is known from before.

        Raises:
            ConfigError: what is known from before cannot be read.
        """
        path = self._folder / STEPS_FILE
        known = dict(read_json(path)) if path.exists() else {}
        if digest not in known:
            known[digest] = step
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            temporary.write_text(json.dumps(known, indent=1) + "\n")
            temporary.rename(path)
        return int(known[digest])

    def _write_missing(self, metrics: Metrics, found: Sequence[tuple[int, dict[str, float]]]) -> None:
        """Write the numbers of evaluations, in the order of their steps, that metrics.csv does not hold."""
        rows = read_metrics(self._folder / CSV_FILE)
        present = {(int(row["step"]), row["name"], float(row["value"])) for row in rows}
        for at, values in sorted(found, key=lambda pair: pair[0]):
            missing = {name: value for name, value in values.items() if (at, name, value) not in present}
            if missing:
                metrics.write(at, missing)
            present.update((at, name, value) for name, value in missing.items())


def digest_of(path: Path) -> str:
    """Return the digest of a file, "" if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def evaluation_numbers(path: Path) -> tuple[int | None, dict[str, float]]:
    """Return the gradient step of the weights (None if the name of their file does not tell) and success.

    Raises:
        ConfigError: the file is not an evaluation.
    """
    try:
        found = json.loads(path.read_text())
        split, weights = found["config"]["split"], str(found["config"]["checkpoint"])
        rates = {row["policy"]: row["truth"]["rate"] for row in found["scores"]}
        values = {f"success_{split}/{name}": float(rate) for name, rate in rates.items() if rate is not None}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read as an evaluation: {error!r}") from error
    step = re.search(r"step-(\d+)", Path(weights).name)
    return int(step[1]) if step else None, values
