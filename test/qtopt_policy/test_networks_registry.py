import pytest

from qtopt_policy.errors import UnknownNameError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.registry import NETWORKS, make_network
from qtopt_policy.specs import ObservationSpec


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_built_by_name(name: str) -> None:
    mdp = MdpConfig(image_size=(472, 472))
    observation = mdp.observation_spec()
    observation = ObservationSpec(None, observation.vectors) if name == "vector" else observation
    network = make_network(name, mdp.action_spec(), observation)
    assert isinstance(network, NETWORKS[name])
    assert make_network(name, mdp.action_spec(), observation, network.config()) is not network


def test_an_unknown_name_lists_the_valid_ones() -> None:
    mdp = MdpConfig()
    with pytest.raises(
        UnknownNameError, match=r"unknown network 'resnet'\. Valid choices: compact, grasping44"
    ):
        make_network("resnet", mdp.action_spec(), mdp.observation_spec())
