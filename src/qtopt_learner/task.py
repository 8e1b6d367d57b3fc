"""What the processes of one run share: the MDP, the robot, the network's kind, the replays' places."""

from collections.abc import Mapping

from qtopt_learner.replay import Replay, capacity_of
from qtopt_learner.rows import Layout
from qtopt_learner.run_config import RunConfig
from qtopt_policy.checkpoint import Checkpoint, load_checkpoint
from qtopt_policy.config import load_config
from qtopt_policy.errors import CheckpointError
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
        steps_before: gradient steps that the weights which the run starts from have seen in its envelope.

    Raises:
        CheckpointError: what the run is to start from cannot be read, or is of another task or network.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self.mdp: MdpConfig = load_config(resolve(config.mdp), MdpConfig)
        self.robot: RobotConfig = load_robot(resolve(config.robot))
        start = None if config.start_from is None else load_checkpoint(resolve(config.start_from))
        self.steps_before = 0 if start is None or config.allow_outside_envelope else start.info.steps
        self._start = start

    def network(self) -> QNetwork:
        """Return a network with the weights that the run starts from: fresh ones unless told otherwise."""
        train = self._config.train
        specs = self.mdp.action_spec(), self.mdp.observation_spec()
        network = make_network(train.network, *specs, train.network_parameters)
        if self._start is not None:
            self._require_start(self._start, train.network, network.config())
            network.load_state_dict(self._start.network.state_dict())
        return network

    def _require_start(self, start: Checkpoint, name: str, config: Mapping[str, object]) -> None:
        start.require_task(self.mdp, self._config.allow_outside_envelope)
        start.require_gripper(self.robot.gripper, self._config.allow_outside_envelope)
        found = start.info.network, dict(start.info.network_config)
        if found != (name, dict(config)):
            raise CheckpointError(
                f"{start.path}: its network is {found[0]} {found[1]}, the run's is {name} {dict(config)}: "
                "set train.network and train.network_config"
            )

    def replay(self, name: str) -> Replay:
        """Open one of REPLAYS."""
        layout = Layout.of(self.mdp.action_spec(), self.mdp.observation_spec())
        capacity = capacity_of(layout, self._config.train.replay_gb)
        return Replay(layout, capacity, self._config.out / REPLAY_FOLDER / name)
