"""What the processes of one run share: the MDP, the robot, the network's kind, the replays' places."""

from qtopt_learner.replay import Replay, capacity_of
from qtopt_learner.rows import Layout
from qtopt_learner.run_config import RunConfig
from qtopt_policy.config import load_config
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.registry import make_network
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve

REPLAYS = ("offline", "online")
REPLAY_FOLDER = "replay"


class Task:
    """The task of a run.

    Args:
        config: of the run.

    Attributes:
        mdp: reward, discount, actions, observations.
        robot: the arm.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self.mdp: MdpConfig = load_config(resolve(config.mdp), MdpConfig)
        self.robot: RobotConfig = load_robot(resolve(config.robot))

    def network(self) -> QNetwork:
        """Return a network with fresh weights."""
        train = self._config.train
        specs = self.mdp.action_spec(), self.mdp.observation_spec()
        return make_network(train.network, *specs, train.network_parameters)

    def replay(self, name: str) -> Replay:
        """Open one of REPLAYS."""
        layout = Layout.of(self.mdp.action_spec(), self.mdp.observation_spec())
        capacity = capacity_of(layout, self._config.train.replay_gb)
        return Replay(layout, capacity, self._config.out / REPLAY_FOLDER / name)
