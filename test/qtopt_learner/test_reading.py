"""Sources read in several processes: order, bounds, deaths."""

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from qtopt_learner.reading import AHEAD, ReaderDiedError, read_all
from support.readers import read_marking, read_name, read_or_die, read_or_fail, read_threads

SOURCES = [Path(f"s{i}") for i in range(9)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_sources(workers: int) -> None:
    assert list(read_all(read_name, SOURCES, workers)) == [source.name for source in SOURCES]
    assert list(read_all(read_name, [], workers)) == []


def test_every_process_has_one_thread_and_this_ones_environment_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = list(read_all(read_threads, SOURCES[:4], 2))
    assert {threads for _, threads in found} == {1}
    assert len({process for process, _ in found}) == 2
    assert os.getpid() not in {process for process, _ in found}
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_process_that_dies_is_an_error_that_names_its_source() -> None:
    results = read_all(read_or_die, [Path("a"), Path("b"), Path("c"), Path("deadly"), *SOURCES], 2)
    assert [next(results) for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(ReaderDiedError, match=r"^deadly: the process that read it died"):
        next(results)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_reader_reaches_the_caller(workers: int) -> None:
    with pytest.raises(ValueError, match="as asked"):
        list(read_all(read_or_fail, [Path("a"), Path("bad"), Path("c")], workers))


def test_no_more_than_the_look_ahead_is_read_before_it_is_wanted(tmp_path: Path) -> None:
    sources = [tmp_path / f"s{i:02d}" for i in range(20)]
    with closing(read_all(read_marking, sources, 2)) as results:
        next(results)
        deadline = time.monotonic() + 30.0
        while len(list(tmp_path.iterdir())) < 2 * AHEAD and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        assert len(list(tmp_path.iterdir())) == 2 * AHEAD
    assert len(list(tmp_path.iterdir())) == 2 * AHEAD


def test_the_processes_end_with_a_parent_that_was_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "support.readers"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        readers = [int(process) for process in parent.stdout.readline().split()]
        parent.kill()
    assert len(set(readers)) == 2
    deadline = time.monotonic() + 30.0
    while any(is_running(process) for process in readers):
        assert time.monotonic() < deadline, "a reader outlived its parent"
        time.sleep(0.05)


def is_running(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
