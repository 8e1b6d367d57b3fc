"""What ends, and what goes on, when processes of a learner are told to end or are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors import safe_open

from qtopt_learner import crew as crew_module
from qtopt_learner.crew import EARLY, SETTLED, Crew, CrewError
from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.replay import INDEX_FILE
from qtopt_learner.run_state import below, latest_state
from qtopt_learner.store import read_shard, read_store, shard_paths
from qtopt_learner.updater import TARGETS_FILE
from support.processes import children, lives
from support.recordings import make_store

Tensors = dict[str, torch.Tensor]


class Ghost:
    """Stands for a process that has ended."""

    def __init__(self, exitcode: int) -> None:
        self.exitcode = exitcode


class Ghosts(Crew):
    """A crew whose members die at once; time passes when the test says so."""

    def __init__(self, patience: int, exitcode: int = 1) -> None:
        self.now = 0.0
        self.starts = 0
        self.ghost = Ghost(exitcode)
        super().__init__({"m": lambda _: True}, patience, lambda: self.now)

    def _start(self, name: str, work: crew_module.Work) -> SpawnProcess:
        self.starts += 1
        return cast(SpawnProcess, self.ghost)


def test_members_that_die_again_and_again_are_given_up() -> None:
    crew = Ghosts(patience=2)
    for _ in range(2):
        crew.now += SETTLED - 1.0
        assert crew.watch() == ["m died with 1: started again"]
    crew.now += SETTLED - 1.0
    with pytest.raises(CrewError, match="m died 3 times, last with 1, without living for 600 s"):
        crew.watch()
    assert crew.starts == 3


def test_deaths_long_apart_do_not_add_up() -> None:
    crew = Ghosts(patience=2)
    for death in range(30):
        crew.now += SETTLED if death % 2 else 1.0
        assert crew.watch()
    crew.now += 1.0
    assert crew.watch()
    with pytest.raises(CrewError, match="m died 3 times"):
        crew.watch()


def test_only_status_0_is_finished() -> None:
    crew = Ghosts(patience=2, exitcode=EARLY)
    assert crew.unfinished
    assert crew.watch() == ["m died with 143: started again"]
    crew.ghost.exitcode = 0
    assert not crew.unfinished
    assert crew.watch() == []


@pytest.mark.parametrize(
    ("done", "told", "status"), [(True, False, 0), (False, True, 0), (False, False, EARLY)]
)
def test_the_status_tells_whether_a_member_was_to_end(done: bool, told: bool, status: int) -> None:
    stop = get_context("spawn").Event()
    if told:
        stop.set()
    found = 0
    try:
        crew_module._work(lambda stopped: done and not stopped(), stop)
    except SystemExit as end:
        found = cast(int, end.code)
    assert found == status


@pytest.mark.slow
def test_a_member_whose_parent_died_while_it_started_ends(tmp_path: Path) -> None:
    file = tmp_path / "member"
    line = [sys.executable, "-m", "support.crew_child", str(file)]
    with (tmp_path / "log").open("wb") as log:
        parent = subprocess.run(line, env=environment(), stdout=log, stderr=log, timeout=60, check=False)
    assert parent.returncode == -signal.SIGKILL
    wait_for(file.exists)


@pytest.mark.slow
@pytest.mark.parametrize(("to_all", "number", "status"), [(True, 2, 130), (False, 15, -15)])
def test_a_collection_ends_with_its_actors(tmp_path: Path, to_all: bool, number: int, status: int) -> None:
    """Ctrl-C reaches all of the foreground group; `kill` only the process that it names."""
    store = tmp_path / "store"
    words = ["collect-sim", "--actor.store", str(store), "--actor.prefix", "a", "--actor.policy", "random"]
    words += ["--actor.episodes", "100000", "--actor.per-shard", "4", "--actors", "1"]
    with command(words, tmp_path / "log") as process:
        wait_for(lambda: len(shard_paths(store)) >= 1)
        started = children(process.pid)
        if to_all:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
        assert process.wait(40.0) == status
        wait_for(lambda: not any(map(lives, started)), 30.0)
    assert "started again" not in (tmp_path / "log").read_text()
    seeds = [episode.info.seed for episode in read_store(store)]
    assert seeds == [10_000 + 64 * played for played in range(len(seeds))]


SETTINGS = {
    "train.batch": "8",
    "train.first-labels": "16",
    "train.labels.block": "8",
    "train.replay-gb": "0.05",
    "train.network-config": "width 8 channels 8",
    "train.targets.decay": "0.8",
    "train.targets.lag": "4",
    "train.log-every": "2",
    "train.threads": "1",
    "online.actors": "1",
    "online.start": "1",
    "online.per-shard": "1",
    "online.intake-every": "5",
    "online.publish-every": "1000000",
    "updaters": "1",
}


@pytest.mark.slow
def test_a_killed_trainer_goes_on_from_its_checkpoint_and_nothing_is_lost(tmp_path: Path) -> None:
    data, run = make_store(tmp_path / "data", 4), tmp_path / "run"
    started = train_until_killed(data, run, tmp_path / "log")
    # Actor, updater, and the tracker of multiprocessing, which lives as long as they do.
    wait_for(lambda: not any(map(lives, started)), 30.0)

    state, step = read_state(run)
    numbers = metrics_until(run, step)
    shards = {path: path.read_bytes() for path in shard_paths(run / "episodes")}
    (run / TARGETS_FILE).unlink()
    words = train_words(data, run, steps=step + 20, checkpoint_every=1_000_000)
    with command(words, tmp_path / "log") as process:
        # Published before the first step, and then not until the last: what was loaded.
        wait_for(lambda: (run / TARGETS_FILE).exists() or process.poll() is not None)
        loaded, loaded_step = read_tensors(run / TARGETS_FILE, "step")
        assert process.wait(60.0) == 0, (tmp_path / "log").read_text()

    assert loaded_step == step
    assert_same(below(loaded, "first."), below(state, "targets.first."))
    assert_same(below(loaded, "second."), below(state, f"targets.past.{oldest(state)}."))
    assert oldest(state) < step  # or both targets would be one
    assert read_state(run)[1] == step + 20
    assert metrics_until(run, step) == numbers
    steps = [int(row["step"]) for row in read_metrics(run / CSV_FILE) if row["name"] == "loss"]
    assert steps == list(range(2, step + 21, 2))
    assert {path: path.read_bytes() for path in shards} == shards
    assert_taken_once(run / "replay" / "online", list(shards))
    assert_taken_once(run / "replay" / "offline", shard_paths(data))


def train_until_killed(data: Path, run: Path, log: Path) -> list[int]:
    """Kill a trainer that has taken in episodes of its own and has some checkpoints; return its children."""
    with command(train_words(data, run, steps=1_000_000, checkpoint_every=10), log) as process:

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            state = latest_state(run / "state")
            return (
                state is not None
                and state.name >= "step-000000020"
                and bool(taken(run / "replay" / "online"))
            )

        wait_for(ready)
        started = children(process.pid)
        process.kill()
        process.wait()
    assert len(started) >= 2
    return started


def train_words(data: Path, run: Path, steps: int, checkpoint_every: int) -> list[str]:
    settings = SETTINGS | {"train.steps": str(steps), "train.checkpoint-every": str(checkpoint_every)}
    words = [word for key, value in settings.items() for word in (f"--{key}", *value.split())]
    return ["train", "--out", str(run), "--data", str(data), "--train.labels.no-fresh", *words]


def environment() -> dict[str, str]:
    source = Path(crew_module.__file__).resolve().parents[1]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(Path(__file__).parents[1])])}


@contextmanager
def command(words: list[str], log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Run qtopt in a process group of its own, whose members end with the block."""
    line = [sys.executable, "-m", "qtopt_learner.cli_train", *words]
    with log.open("ab") as file:
        process = subprocess.Popen(
            line, env=environment(), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        started = children(process.pid)
        process.kill()
        process.wait()
        for pid in filter(lives, started):
            os.kill(pid, signal.SIGKILL)


def read_tensors(path: Path, key: str) -> tuple[Tensors, object]:
    """Return the tensors of a file and one entry of its metadata."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return tensors, json.loads(file.metadata()[key])


def read_state(run: Path) -> tuple[Tensors, int]:
    path = latest_state(run / "state")
    assert path is not None
    tensors, scalars = read_tensors(path, "state")
    return tensors, int(cast(dict[str, int], scalars)["step"])


def oldest(state: Tensors) -> int:
    """Return the step of target 1 that target 2 holds."""
    return min(int(name.split(".")[2]) for name in state if name.startswith("targets.past."))


def metrics_until(run: Path, step: int) -> list[dict[str, str]]:
    return [row for row in read_metrics(run / CSV_FILE) if int(row["step"]) <= step]


def assert_same(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    assert found
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def taken(replay: Path) -> list[str]:
    return cast(list[str], json.loads((replay / INDEX_FILE).read_text())["sources"])


def assert_taken_once(replay: Path, shards: list[Path]) -> None:
    """Every shard is whole and was taken in once, with the rows that it holds."""
    sources = Counter(taken(replay))
    assert {str(path): sources[str(path)] for path in shards} == {str(path): 1 for path in shards}
    rows = sum(len(e.steps) for source in sources for e in read_shard(Path(source)))
    assert json.loads((replay / INDEX_FILE).read_text())["end"] == rows


def wait_for(condition: Callable[[], bool], timeout: float = 80.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
