"""Messages of gz.msgs.Pose_V in protobuf's JSON, and whether what they show has come to rest. SI units."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qtopt_policy.errors import QtoptError
from qtopt_policy.geometry import Pose

WINDOW = 0.1  # [s] of simulated time over which a speed is measured


@dataclass(frozen=True)
class ModelPoses:
    """Poses in the world by name of model, at `stamp` [s] of simulated time."""

    stamp: float
    poses: Mapping[str, Pose]


def parse_poses(line: str) -> ModelPoses:
    """Return the poses of one message; protobuf's JSON leaves out what is 0, and writes 64 bit as text.

    Links are in the message beside models, relative to their model; their names (`link`, `link1`) are not
    those of models.

    Raises:
        ValueError: it is not such a message, or a number in it is not finite.
    """
    try:
        message = json.loads(line)
        time = message["header"].get("stamp", {})
        stamp = int(time.get("sec", 0)) + int(time.get("nsec", 0)) * 1e-9
        return ModelPoses(stamp, {str(entry["name"]): _pose(entry) for entry in message.get("pose", ())})
    except (AttributeError, KeyError, TypeError, ValueError, QtoptError) as error:
        raise ValueError(f"expected a message of gz.msgs.Pose_V, found {line.strip()[:80]!r}") from error


def _pose(entry: Mapping[str, Any]) -> Pose:
    position, turn = entry.get("position", {}), entry.get("orientation", {})
    numbers = [float(position.get(axis, 0.0)) for axis in "xyz"]
    numbers += [float(turn.get(axis, 0.0)) for axis in "xyzw"]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"pose of {entry['name']}: {numbers}")
    return Pose(np.array(numbers[:3]), np.array(numbers[3:]))


class RestWatch:
    """Watches models come to rest.

    Args:
        names: of the models.
        speed: below which a model is at rest, of its origin [m/s] and of its turning [rad/s].

    Attributes:
        missing: models that the last message does not have.
        moving: models that are not known to be at rest, with the speed measured last, nan before the first.
    """

    def __init__(self, names: Sequence[str], speed: float) -> None:
        self.missing = tuple(names)
        self.moving = dict.fromkeys(names, math.nan)
        self._names, self._speed = tuple(names), speed
        self._before: ModelPoses | None = None

    @property
    def at_rest(self) -> bool:
        """Whether all are there, and rest."""
        return not self.missing and not self.moving

    def take(self, now: ModelPoses) -> None:
        """Take a message; messages whose time does not go on begin anew."""
        self.missing = tuple(name for name in self._names if name not in now.poses)
        before = self._before
        if self.missing or before is None or now.stamp < before.stamp:
            self._before = None if self.missing else now
            return
        elapsed = now.stamp - before.stamp
        if elapsed < WINDOW:
            return
        self._before = now
        speeds = {name: _moved(before.poses[name], now.poses[name]) / elapsed for name in self._names}
        self.moving = {name: speed for name, speed in speeds.items() if speed >= self._speed}


def _moved(before: Pose, now: Pose) -> float:
    """Return how far a model moved or turned, whichever is more [m, rad]."""
    return max(before.distance(now), before.angle(now))
