"""How fast logged frames become rows to train on: bags, cold and cached, and shards, beside rosbags' reader.

- bags: files that the system has in memory, into a replay that is new; every record checked (CRC),
  decoded, made into transitions and appended to the replay on disk.
- cached: the same replay opened again, as a run's second start does: the same bags, nothing to read.
- store: the same episodes from shards.
- rosbags: its Reader reads the step records and images of the same bags and deserialises them, and OpenCV
  decodes the images; no checksums of ours, no transitions. Once as it is, and once without the time to open
  a bag, most of which is metadata.yaml read by a YAML parser in Python.

The bags are episodes of the scripted policy in GraspEnv unless `--bags` names a folder of others. Contestants
take turns, one process each; medians.

    python bench/bench_loading.py --episodes 60
    python bench/bench_loading.py --bags out/demo/bags
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import Reader

from grasp_bringup.sim.env import GraspEnv
from qtopt_collector.bags import layout, schema
from qtopt_collector.bags.reader import read_episode
from qtopt_learner.convert import convert
from qtopt_learner.intake import Intake
from qtopt_learner.replay import Replay
from qtopt_learner.rollout import Origin, roll_out
from qtopt_learner.rows import Layout
from qtopt_learner.store import StoreWriter
from qtopt_policy import topics
from qtopt_policy.policies.registry import make_policy

CAPACITY = 20_000  # rows
PER_SHARD = 32
NEEDED = (topics.STEP, topics.OBSERVATION)


def make_bags(folder: Path, episodes: int) -> Path:
    """Play episodes of the scripted policy and write each as a bag; return the folder of the bags."""
    env, store, bags = GraspEnv(), folder / "played", folder / "bags"
    policy = make_policy("scripted", env.mdp, env.robot)
    with StoreWriter(store, "scripted", PER_SHARD) as writer:
        for seed in range(10_000, 10_000 + episodes):
            writer.append(roll_out(env, policy, "train", seed, Origin("scripted")))
    env.close()
    convert([store], bags, "bags", lambda done, total: None)
    return bags


class Loading:
    """Loads the same episodes in several ways.

    Args:
        bags: their folder.
        folder: for replays and shards.

    Attributes:
        frames: in the bags.
        opened: time that `rosbags` last spent in bags that were open [s].
    """

    def __init__(self, bags: Path, folder: Path) -> None:
        self._bags = layout.list_bags(bags)
        self._folder = folder
        self._store = folder / "store"
        convert(self._bags, self._store, "store", lambda done, total: None)
        self.frames = sum(len(read_episode(bag).steps) for bag in self._bags)
        env = GraspEnv(rendered=False)
        self._mdp, self._robot = env.mdp, env.robot
        env.close()
        self._rounds = 0
        self.opened = 0.0

    def _load(self, name: str, paths: list[Path]) -> tuple[Replay, int]:
        """Return the replay of that name and how many rows the paths added to it."""
        place = self._folder / name
        replay = Replay(Layout.of(self._mdp.action_spec(), self._mdp.observation_spec()), CAPACITY, place)
        mount = self._robot.cameras["wrist"].mount
        intake = Intake(replay, self._mdp, self._robot.gripper.max_aperture, mount, place)
        return replay, intake.take_all(paths)

    def cold(self) -> None:
        """Read all bags into a replay that is new."""
        self._rounds += 1
        self._require(self._load(f"bags{self._rounds}", self._bags)[1])

    def cached(self) -> None:
        """Open the replay that `cold` has just filled, and look at every row's image."""
        replay, new = self._load(f"bags{self._rounds}", self._bags)
        rows = replay.gather(np.arange(replay.end))
        self._require(len(rows["image"]) - new)

    def shards(self) -> None:
        """Read all shards into a replay that is new."""
        self._require(self._load(f"store{self._rounds}", [self._store])[1])

    def rosbags(self) -> None:
        """Deserialise the step records and images, and decode every image; notes the time after opening."""
        frames, self.opened = 0, 0.0
        for bag in self._bags:
            with Reader(bag) as reader:
                start = time.perf_counter()
                wanted = [c for c in reader.connections if c.topic.lstrip("/") in NEEDED]
                for connection, _, data in reader.messages(connections=wanted):
                    message: Any = schema.TYPESTORE.deserialize_cdr(data, connection.msgtype)
                    if connection.topic.endswith(topics.OBSERVATION):
                        frames += cv2.imdecode(message.data, cv2.IMREAD_COLOR) is not None
                self.opened += time.perf_counter() - start
        self._require(frames)

    def _require(self, frames: int) -> None:
        if frames < self.frames:
            raise SystemExit(f"{frames} frames loaded, the bags hold {self.frames}")


def timed(work: Callable[[], None]) -> float:
    """Return how long a call took [s]."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print one line per contestant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bags", type=Path, help="folder of bags; default: made anew")
    parser.add_argument("--episodes", type=int, default=60, help="to make")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bags = arguments.bags or make_bags(Path(name), arguments.episodes)
        loading = Loading(bags, Path(name))
        ways = {
            "bags, cold": loading.cold,
            "bags, cached": loading.cached,
            "store shards": loading.shards,
            "rosbags Reader": loading.rosbags,
        }
        times = [[*(timed(way) for way in ways.values()), loading.opened] for _ in range(arguments.rounds)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    print(f"{loading.frames} frames, median of {arguments.rounds} rounds")
    for way, median in zip((*ways, "the same, open"), medians, strict=True):
        print(f"{way:16}{loading.frames / median:10.0f} frames/s   {1e3 * median:7.1f} ms")


if __name__ == "__main__":
    main()
