"""An episode in each world leaves a valid bag."""

import os
from pathlib import Path

import pytest

from end_to_end.test_graph import short_mdp
from grasp_bringup.system import SystemOptions
from integration.worlds import World
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.layout import list_bags
from qtopt_collector.bags.reader import read_episode

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(360)]

SEED = 10_000


@pytest.fixture(scope="module")
def bag(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(f"{world.name}_episode")
    options = SystemOptions(bags=folder / "bags", episodes=1, seed=SEED, rtf=world.rtf, mdp=short_mdp(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(1 + (os.getpid() + 100) % 200))  # not the drivers' of test_world
        world.episode(options, folder / "logs")
    (found,) = list_bags(folder / "bags")
    return found


def test_the_bag_is_whole(bag: Path) -> None:
    assert check_bag(bag) == []


def test_the_episode_was_judged_and_is_the_seed_s(bag: Path) -> None:
    info = read_episode(bag).info
    assert info.end_reason in ("terminate", "max_steps")
    assert isinstance(info.success, bool)
    assert info.seed == SEED
