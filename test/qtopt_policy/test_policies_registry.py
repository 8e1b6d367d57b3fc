import subprocess
import sys
from pathlib import Path

import pytest
import torch

from qtopt_policy.checkpoint import describe, save_checkpoint
from qtopt_policy.errors import CheckpointError, ConfigError, UnknownNameError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.registry import make_network
from qtopt_policy.policies.registry import POLICIES, make_policy
from qtopt_policy.search_config import CemConfig
from support.pictures import sim_robot
from support.policy_samples import make_camera, make_observation

ROBOT = sim_robot()
MDP = MdpConfig()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("trained"), steps=100)


def write(folder: Path, steps: int) -> Path:
    torch.manual_seed(0)
    network = make_network("compact", MDP.action_spec(), MDP.observation_spec())
    path = folder / "compact.safetensors"
    save_checkpoint(path, network, describe(network, MDP, ROBOT, [make_camera()], steps))
    return path


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_is_built_by_name_and_decides(name: str, trained: Path) -> None:
    policy = make_policy(name, MDP, ROBOT, checkpoint=trained)
    policy.reset(0)
    policy.decide(make_observation(0))
    assert policy.name == name


def test_the_search_is_the_learned_policy_s(trained: Path) -> None:
    policy = make_policy("cem", MDP, ROBOT, checkpoint=trained, search=CemConfig(1, 20, 4))
    candidates = policy.decide(make_observation(0)).candidates
    assert candidates is not None
    assert candidates.actions.shape == (20, 8)


def test_epsilon_wraps_the_policy() -> None:
    assert make_policy("scripted", MDP, ROBOT, epsilon=0.1).name == "epsilon(scripted, 0.1)"


def test_an_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'greedy'\. Valid choices: cem, random, scripted"):
        make_policy("greedy", MDP, ROBOT)


def test_cem_needs_a_checkpoint() -> None:
    with pytest.raises(CheckpointError, match="policy cem needs a checkpoint"):
        make_policy("cem", MDP, ROBOT)


def test_untrained_weights_do_not_drive_unless_allowed(tmp_path: Path) -> None:
    path = write(tmp_path, steps=0)
    with pytest.raises(CheckpointError, match=r"compact\.safetensors: untrained weights do not drive"):
        make_policy("cem", MDP, ROBOT, checkpoint=path)
    assert make_policy("cem", MDP, ROBOT, checkpoint=path, allow_untrained=True).name == "cem"


def test_a_checkpoint_for_another_mount_is_refused_at_once(trained: Path) -> None:
    with pytest.raises(CheckpointError, match="trained for camera mount tool, but this robot uses base"):
        make_policy("cem", MDP, ROBOT, checkpoint=trained, mount="base")


def test_an_impossible_epsilon_is_refused() -> None:
    with pytest.raises(ConfigError, match="epsilon 2"):
        make_policy("random", MDP, ROBOT, epsilon=2.0)


def test_torch_is_imported_for_cem_alone() -> None:
    script = "import sys, qtopt_policy.policies.registry; sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {script}"]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
