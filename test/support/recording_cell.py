"""The whole graph as `qtopt collect` runs it, for tests that break parts of it while it records."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from grasp_bringup import shared_memory
from grasp_bringup.run import NodeDiedError, RunningSystem
from grasp_bringup.system import NodeSpec, SystemOptions
from qtopt_collector.bags import layout
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.reader import read_contents, read_episode
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.config import load_config, to_mapping
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.share import resolve

LOOK = 0.05  # [s] of wall time between looks at the folder of bags
DEADLINE = 120.0  # [s] of wall time: far beyond an episode, a watchdog's patience and a restart together
RTF = 3.0  # simulated seconds per second at most: an episode lasts long enough to be broken in its middle
SEED = 10_000  # of the first scene
SHORT = 1.5  # [s] of wall time for which a node stands still and nobody minds
FOREVER = 1000  # episodes: the tests end the run


def recording_options(folder: Path, max_steps: int = 8, **changes: Any) -> SystemOptions:
    """Return a run of episodes of at most `max_steps` with bags in `folder`."""
    mdp = folder / "mdp.yaml"
    values = to_mapping(load_config(resolve(Path("config/mdp.yaml")), MdpConfig))
    mdp.write_text(yaml.safe_dump(values | {"max_steps": max_steps}))
    known: dict[str, Any] = {"policy": "scripted_exact", "bags": folder / "bags", "episodes": FOREVER}
    return SystemOptions(**(known | {"seed": SEED, "rtf": RTF, "mdp": mdp} | changes))


class RecordingCell:
    """One run of the graph, and what it leaves on the disk.

    Attributes:
        bags: folder of the bags.
        system: of processes.
        pids: of all processes that ever were.
        shared: shared memory that they used.
        ended: how the run ended by itself; None while it has not.
    """

    def __init__(self, nodes: Sequence[NodeSpec], bags: Path, logs: Path) -> None:
        self.bags = bags
        self.system = RunningSystem(nodes, logs)
        self.pids: set[int] = set()
        self.shared: set[Path] = set()
        self.ended: NodeDiedError | None = None

    @contextmanager
    def running(self) -> Iterator["RecordingCell"]:
        """Run the processes."""
        with self.system:
            yield self

    # ---- looking

    def look(self) -> None:
        """Keep the system going: crashed nodes are started again as it allows."""
        for child in self.system.children:
            self.pids.add(child.pid)
            self.shared |= shared_memory.used_by(child.pid)
        self.pause()
        died = self.system.poll()
        assert died is None, str(died)

    def pause(self) -> None:
        """Let some time pass between two looks."""
        time.sleep(LOOK)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds; fail after DEADLINE, naming `what`."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, f"waited {DEADLINE} s in vain for: {what}; bags: {self.names()}"
            self.look()

    def names(self) -> list[str]:
        """Return the names of all bags, open ones included."""
        folders = self.bags.iterdir() if self.bags.is_dir() else ()
        return sorted(entry.name for entry in folders)

    def closed(self, name: str) -> bool:
        """Return whether an episode's bag has been closed."""
        return layout.is_closed(self.bags / name)

    def recorded(self, name: str, topic: str = topics.STEP) -> int:
        """Return how many messages of a topic are on the disk; 0 where there is no bag."""
        file = layout.mcap_path(self.bags / name)
        return len(read_contents(file).entries.get(topic, [])) if file.is_file() else 0

    def mid_episode(self, steps: int = 2) -> str:
        """Wait until a new episode has made some steps, and return its name."""
        old = set(self.names())
        found: list[str] = []

        def new() -> bool:
            fresh = [name for name in self.names() if name not in old]
            found[:] = [name for name in fresh if not self.closed(name) and self.recorded(name) >= steps]
            return bool(found)

        self.until(new, f"an episode with {steps} steps")
        return found[0]

    def whole_episode(self) -> str:
        """Wait for a new episode and for its end; return its name."""
        name = self.mid_episode()
        self.until(lambda: self.closed(name), f"the end of {name}")
        return name

    # ---- breaking

    def signal(self, node: str, number: signal.Signals) -> None:
        """Send a signal to a node."""
        os.kill(self.system.child(node).pid, number)

    @contextmanager
    def frozen(self, node: str) -> Iterator[None]:
        """Keep a node's process from running."""
        self.signal(node, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(node, signal.SIGCONT)

    def freeze_for(self, node: str, episode: str, seconds: float) -> None:
        """Keep a node's process from running for a while, then wait for the end of the episode."""
        with self.frozen(node):
            time.sleep(seconds)
        self.until(lambda: self.closed(episode), f"the end of {episode}")

    def run_out(self) -> NodeDiedError:
        """Let the run end by the death of a node, as `qtopt collect` does; return what it says."""
        try:
            self.system.wait()
        except NodeDiedError as error:
            self.ended = error
            return error
        raise AssertionError("the run ended well, though a node was killed")

    # ---- what must hold

    def episode(self, name: str) -> Episode:
        """Return a closed episode, whose bag must be whole."""
        assert check_bag(self.bags / name) == []
        return read_episode(self.bags / name)

    def left_behind(self) -> list[str]:
        """Return processes and shared memory that outlived the run; call it after leaving `running`."""
        processes = [f"process {pid}" for pid in self.pids if Path(f"/proc/{pid}").exists()]
        return processes + [str(path) for path in shared_memory.remove_unused(self.shared)]


def assert_aborted(episode: Episode, *reasons: str) -> None:
    """An episode that was cut short has no verdict, no reward, no terminal step, and says why."""
    info = episode.info
    assert info.end_reason in reasons
    assert (info.success, info.reward) == (None, None)
    assert not episode.steps.is_terminal.any()


def assert_judged(episode: Episode) -> None:
    """An episode that ended has the verdict that the simulator's ground truth gives it."""
    info = episode.info
    assert info.end_reason in ("terminate", "max_steps")
    assert isinstance(info.success, bool)
    assert info.success == info.truth
    assert info.reward == float(info.success)
    assert episode.steps.is_terminal.tolist() == [False] * (len(episode.steps) - 1) + [True]
