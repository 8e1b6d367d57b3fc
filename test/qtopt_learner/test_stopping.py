"""Ctrl-C and SIGTERM in the middle of a run: nothing that was learned is lost."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.run import STATE_FOLDER, Run
from qtopt_learner.run_state import latest_state, state_path
from qtopt_learner.stopping import SIGNALS, stops_between
from qtopt_learner.trainer import Trainer
from support.recordings import make_store
from support.train_child import make_trainer

BOTH = pytest.mark.parametrize("number", SIGNALS)
SMALL = ["--train.batch", "4", "--train.replay-gb", "0.01", "--train.threads", "1", "--train.log-every", "1"]
CORRIDOR = ["--env", "support.small_envs:corridor", "--play.random-steps", "20", "--score-episodes", "2"]
UPDATER = ["--updaters", "1"]
UPDATER += ["--train.labels.no-fresh", "--train.labels.ratio", "0", "--train.labels.block", "4"]
QTOPT = ["-m", "qtopt_learner.cli"]
TORCHRUN = [
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "qtopt_learner.cli_train",
]
# More than any machine makes before the signal.
MANY = ["--train.steps", "1000000", "--train.checkpoint-every", "1000000"]


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@BOTH
def test_the_first_signal_is_kept_for_the_block_and_the_second_interrupts_it(number: signal.Signals) -> None:
    before = handlers()
    with stops_between() as stopped:
        assert not stopped()
        signal.raise_signal(number)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert stopped()
    assert handlers() == before


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stops_between() as stopped:
            signal.raise_signal(signal.SIGINT)
            assert not stopped()
            signal.raise_signal(signal.SIGTERM)
            assert stopped()
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_of_several_and_other_threads_leave_the_signals_alone() -> None:
    before, seen = handlers(), []

    def block(answered: bool) -> None:
        with stops_between(answered) as stopped:
            seen.append(handlers() == before and not stopped())

    block(False)
    thread = threading.Thread(target=block, args=(True,))
    thread.start()
    thread.join()
    assert seen == [True, True]


def test_a_run_stops_at_the_step_it_is_at_and_ends_as_if_it_had_not(tmp_path: Path) -> None:
    def stop(trainer: Trainer) -> None:
        if trainer.step == 37:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt, match="stopped after step 37; the same command goes on there"):
        Run(tmp_path / "stopped", make_trainer(), on_step=stop).go()
    states = tmp_path / "stopped" / STATE_FOLDER
    assert latest_state(states) == state_path(states, 37)
    ends = []
    for name in ("stopped", "straight"):
        trainer = make_trainer()
        Run(tmp_path / name, trainer).go()
        ends.append(trainer.network.state_dict()["table"].tolist())
    assert ends[0] == ends[1]


def test_one_of_several_ranks_does_not_stop_by_itself(tmp_path: Path) -> None:
    """Ctrl-C interrupts it at once, as before; the state is that of its last checkpoint."""

    def stop(trainer: Trainer) -> None:
        if trainer.step == 37:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, make_trainer(), on_step=stop).go(alone=False)
    assert latest_state(tmp_path / STATE_FOLDER) == state_path(tmp_path / STATE_FOLDER, 35)


def test_a_signal_in_the_last_step_still_ends_what_the_run_is_part_of(tmp_path: Path) -> None:
    """A cycle must not go on to its next stage."""

    def stop(trainer: Trainer) -> None:
        if trainer.step == trainer.config.steps:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="stopped after step 400"):
        Run(tmp_path, make_trainer(), on_step=stop).go()
    assert state_path(tmp_path / STATE_FOLDER, 400).exists()


def start(words: list[str]) -> subprocess.Popen[str]:
    """Start a command of Python in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_until_gone(group: int) -> None:
    """Wait until no process of a group is left: multiprocessing's tracker ends after all others."""
    end = time.monotonic() + 30.0
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("a child is still there")


def most(run: Path, name: str) -> float:
    rows = read_metrics(run / CSV_FILE)
    return max((float(row["value"]) for row in rows if row["name"] == name), default=0.0)


def under_way(run: Path) -> bool:
    return max((int(row["step"]) for row in read_metrics(run / CSV_FILE)), default=0) > 5


def stopped_by(number: signal.Signals, words: list[str], ready: Callable[[], bool]) -> tuple[int, str]:
    """Send a signal to a command and its children once it is ready; return its status and what it said."""
    process = start(words)
    try:
        end = time.monotonic() + 90.0
        while not ready():
            assert time.monotonic() < end, "waited too long"
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, number)
        said = process.communicate(timeout=60.0)[0]
        wait_until_gone(process.pid)
    finally:
        process.kill()
        process.wait()
    return process.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "kind"),
    [(signal.SIGINT, "updater"), (signal.SIGTERM, "plain"), (signal.SIGINT, "env"), (signal.SIGTERM, "env")],
)
def test_a_stopped_command_goes_on_where_it_was(number: signal.Signals, kind: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    data = CORRIDOR if kind == "env" else ["--data", str(make_store(tmp_path / "data", 4))]
    words = ["train", "--out", str(run), *data, *SMALL, *(UPDATER if kind == "updater" else [])]

    def ready() -> bool:
        # All labels but the first are the updater's.
        return under_way(run) and (kind != "updater" or most(run, "labels_per_second") > 0.0)

    status, said = stopped_by(number, [*QTOPT, *words, *MANY], ready)
    assert status == 130
    told = re.search(r"^stopped after step (\d+); the same command", said, re.MULTILINE)
    assert told is not None, said
    assert "Traceback" not in said
    step = int(told[1])
    assert step > 5
    assert latest_state(run / STATE_FOLDER) == state_path(run / STATE_FOLDER, step)
    again = start([*QTOPT, *words, "--train.steps", str(step + 3)])
    said = again.communicate(timeout=90.0)[0]
    assert again.returncode == 0, said
    rows = read_metrics(run / CSV_FILE)
    assert [int(row["step"]) for row in rows if row["name"] == "loss"] == [*range(1, step + 4)]
    assert most(run, "relabel_ratio") > 0.0


@pytest.mark.slow
def test_ranks_end_at_once(tmp_path: Path) -> None:
    """Rank 0 must not go on to a checkpoint in a step that the others have left."""
    run = tmp_path / "run"
    words = ["train", "--out", str(run), "--data", str(make_store(tmp_path / "data", 4)), *SMALL, *MANY]
    status, said = stopped_by(signal.SIGTERM, [*TORCHRUN, *words], lambda: under_way(run))
    assert status != 0
    assert "stopped after step" not in said
    assert latest_state(run / STATE_FOLDER) == state_path(run / STATE_FOLDER, 0)
