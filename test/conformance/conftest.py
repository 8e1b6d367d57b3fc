"""The rig for each executor, and the table of reaction times: printed at the end."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.executors import EXECUTORS
from conformance.reaction import Reactions
from conformance.rig import Rig
from grasp_bringup.processes import Child
from support.graph import ros_graph

REACTIONS = pytest.StashKey[Reactions]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REACTIONS] = Reactions(config.getoption("--reaction-moves"))


@pytest.fixture(scope="session")
def reactions(pytestconfig: pytest.Config) -> Reactions:
    return pytestconfig.stash[REACTIONS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reactions = config.stash.get(REACTIONS, Reactions())
    if reactions.found:
        terminalreporter.section("reaction times")
        terminalreporter.write_line(reactions.markdown())


@pytest.fixture(params=EXECUTORS, ids=lambda executor: executor.name)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made: list[Child] = []
    try:
        with ros_graph(tmp_path) as graph:
            built = Rig(graph, request.param, tmp_path)
            made.append(built.process)
            try:
                yield built
            finally:
                built.process.stop()
    finally:
        for process in made:
            process.remove_leftovers(but=(os.getpid(),))
