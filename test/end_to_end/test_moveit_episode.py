"""One grasp episode through moveit_node, in real time, with the double of moveit_py in MoveIt's place."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conformance.executors import DOUBLE
from end_to_end.test_graph import short_mdp
from grasp_bringup.run import RunningSystem
from grasp_bringup.system import SystemOptions, system_nodes
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.layout import list_bags
from qtopt_collector.bags.reader import read_episode

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(150)]

LIMIT = 100.0  # [s] of wall time


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run the system; return the folder with bags and logs."""
    path = tmp_path_factory.mktemp("moveit")
    options = SystemOptions(
        arm="moveit", bags=path / "bags", episodes=1, seed=10_000, rtf=1.0, mdp=short_mdp(path)
    )
    changes = {
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 200),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(DOUBLE), os.environ.get("PYTHONPATH")])),
        "MOVEIT_DOUBLE_FAULTS": "teardown_crash",
    }
    end = time.monotonic() + LIMIT

    def in_time() -> None:
        assert time.monotonic() < end, f"no episode in {LIMIT} s; logs in {path / 'logs'}"

    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setenv(name, value)
        with RunningSystem(system_nodes(options), path / "logs") as system:
            system.wait(progress=in_time)
        yield path


def test_the_episode_is_whole_and_judged(folder: Path) -> None:
    (bag,) = list_bags(folder / "bags")
    assert check_bag(bag) == []
    episode = read_episode(bag)
    assert episode.info.end_reason in ("terminate", "max_steps")
    assert episode.info.success == episode.info.truth


def test_moves_reach_their_targets_within_the_step(folder: Path) -> None:
    (bag,) = list_bags(folder / "bags")
    steps = read_episode(bag).steps
    free = ~steps.altered
    assert free.any()
    np.testing.assert_allclose(steps.executed[free, :3], steps.asked[free, :3], atol=0.0061)


def test_the_arm_was_moved_by_moveit_node(folder: Path) -> None:
    names = {path.stem for path in (folder / "logs").glob("*.log")}
    assert "moveit_node" in names
    assert "servo_node" not in names
