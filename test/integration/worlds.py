"""The worlds that the integration suite runs in: how each is started, and what it takes to be installed."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from grasp_bringup.environment import ros_environment
from grasp_bringup.processes import Child
from grasp_bringup.run import RunningSystem, run_system
from grasp_bringup.system import SystemOptions, driver_nodes
from qtopt_policy.errors import MissingDependencyError
from qtopt_policy.share import package_share

DRIVERS_FILE = Path(__file__).with_name("drivers.launch.py")
GAZEBO_PACKAGES = ("ros_gz_sim", "ros_gz_bridge", "gz_ros2_control", "controller_manager")


@dataclass(frozen=True)
class World:
    """One world.

    Attributes:
        name: value of the launch argument `system`.
        rtf: simulated seconds per second asked for.
        episode_time: longest wall time of one episode, from the start of its processes to their end [s].
    """

    name: str
    rtf: float
    episode_time: float

    @property
    def options(self) -> SystemOptions:
        """Options with which its drivers are started."""
        return SystemOptions(system=self.name, rtf=self.rtf)

    def missing(self) -> str:
        """Return what is not installed, "" if it can run."""
        if self.name == "sim":
            return ""
        absent = [name for name in GAZEBO_PACKAGES if not _installed(name)]
        absent += [name for name in ("ros2", "gz") if shutil.which(name) is None]
        return f"{self.name}: {', '.join(absent)} not installed" if absent else ""

    @contextmanager
    def drivers(self, folder: Path) -> Iterator[None]:
        """Run what stands for the robot's drivers."""
        if self.name == "sim":
            with RunningSystem(driver_nodes(self.options), folder):
                yield
            return
        child = _launch(folder, str(DRIVERS_FILE))
        try:
            yield
        finally:
            child.stop()

    def episode(self, options: SystemOptions, folder: Path) -> None:
        """Run the whole system with these options until its collector is through."""
        options, end = replace(options, system=self.name), time.monotonic() + self.episode_time

        def in_time() -> None:
            assert time.monotonic() < end, f"no episode in {self.episode_time} s; logs in {folder}"

        if self.name == "sim":
            run_system(options, folder, progress=in_time)
            return
        given = {"bags": options.bags, "mdp": options.mdp, "episodes": options.episodes, "seed": options.seed}
        words = [f"{name}:={value}" for name, value in given.items()]
        child = _launch(folder, "qtopt_grasping", "gazebo.launch.py", "arm:=embedded", *words)
        try:
            while child.poll() is None:
                in_time()
                time.sleep(0.5)
        finally:
            child.stop()


WORLDS = (World("sim", rtf=4.0, episode_time=100.0), World("gazebo", rtf=1.0, episode_time=300.0))


def _installed(package: str) -> bool:
    try:
        return package_share(package).is_dir()
    except MissingDependencyError:
        return False


def _launch(folder: Path, *words: str) -> Child:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **ros_environment(os.environ, one_machine=True)}
    return Child("ros2_launch", ["ros2", "launch", *words], environment, folder / "launch.log")
