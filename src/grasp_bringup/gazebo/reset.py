"""Replaces the objects in Gazebo's world by those of a scene and waits until they rest. No ROS."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from grasp_bringup.gazebo.client import GazeboError, PoseStream, quoted, request
from grasp_bringup.gazebo.models import model_sdf
from grasp_bringup.gazebo.poses import ModelPoses, RestWatch
from grasp_bringup.sim.scene import SceneObject

PREFIX = "scene"  # objects are called scene<number>_object<index>; no other model may be
SLICE = 0.5  # [s] between looks whether to stop
CALLS = 4  # removals at a time: the service takes one model each


class SceneReset:
    """Replaces scenes, whatever an earlier process left in the world.

    Gazebo's services for user commands only queue them (gz-sim 93bbf3e, UserCommands.cc), and a name that
    still exists is refused: so every scene has names of its own, and what counts is what the poses show.

    Args:
        world: name of Gazebo's world.
        settle_speed: below which an object is at rest [m/s, rad/s].
        deadline: for a whole reset [s].
    """

    def __init__(self, world: str, settle_speed: float, deadline: float) -> None:
        self._world, self._speed, self._patience = world, settle_speed, deadline
        self._number = 0
        self._stopped = False

    def stop(self) -> None:
        """End a reset that runs in another thread, within SLICE or the time of one call."""
        self._stopped = True

    def replace(self, objects: Sequence[SceneObject]) -> float:
        """Replace the objects; return the simulated time from the new ones' creation to their rest [s].

        Raises:
            GazeboError: a service refuses or is silent, or the deadline passes. The world then holds what it
                holds; the next reset removes it.
        """
        deadline = time.monotonic() + self._patience
        with PoseStream(self._world) as stream:
            old = self._remove(stream, deadline)
            self._number = 1 + max([self._number, *map(_number, old)])
            names = [f"{PREFIX}{self._number}_object{index}" for index in range(len(objects))]
            with TemporaryDirectory(prefix="qtopt_scene_") as folder:
                self._create(dict(zip(names, objects, strict=True)), Path(folder))
                return self._settle(stream, names, deadline)

    def _remove(self, stream: PoseStream, deadline: float) -> tuple[str, ...]:
        """Remove the objects that are there, and wait until they are gone; return their names."""
        seen = self._look(stream, deadline, "a message; does the world run?")
        old = tuple(filter(_is_ours, seen.poses))
        bodies = [f"name: {quoted(name)} type: MODEL" for name in old]
        with ThreadPoolExecutor(max_workers=CALLS) as pool:
            service = f"/world/{self._world}/remove"
            list(pool.map(lambda body: request(service, "gz.msgs.Entity", body), bodies))
        left = list(old)
        while left:
            seen = self._look(stream, deadline, f"the end of {', '.join(left)}")
            left = [name for name in old if name in seen.poses]
        return old

    def _create(self, objects: dict[str, SceneObject], folder: Path) -> None:
        entries = []
        for name, item in objects.items():
            path = folder / f"{name}.sdf"
            path.write_text(model_sdf(name, item))
            entries.append(f"data {{ sdf_filename: {quoted(str(path))} name: {quoted(name)} }}")
        request(f"/world/{self._world}/create_multiple", "gz.msgs.EntityFactory_V", " ".join(entries))

    def _settle(self, stream: PoseStream, names: Sequence[str], deadline: float) -> float:
        watch, begun = RestWatch(names, self._speed), None
        while not watch.at_rest:
            seen = self._look(stream, deadline, _wanted(watch))
            watch.take(seen)
            if begun is None and not watch.missing:
                begun = seen.stamp
        assert begun is not None
        return seen.stamp - begun

    def _look(self, stream: PoseStream, deadline: float, what: str) -> ModelPoses:
        """Return the next message of poses; `what` is wanted of it."""
        while not self._stopped and (now := time.monotonic()) < deadline:
            seen = stream.next(min(deadline, now + SLICE))
            if seen is not None:
                return seen
        waited = "stopped while waiting" if self._stopped else f"waited {self._patience:g} s in vain"
        raise GazeboError(f"{stream.topic}: {waited} for {what}")


def _wanted(watch: RestWatch) -> str:
    if watch.missing:
        return f"{', '.join(watch.missing)}, which Gazebo was asked to create"
    speeds = ", ".join(f"{name} ({speed:.3f})" for name, speed in watch.moving.items())
    return f"rest of {speeds} [m/s or rad/s]"


def _is_ours(name: str) -> bool:
    return _number(name) > 0


def _number(name: str) -> int:
    """Return the number of the scene that a model belongs to; 0: to none."""
    digits = name.removeprefix(PREFIX).split("_object")[0] if name.startswith(PREFIX) else ""
    return int(digits) if digits.isdecimal() else 0
