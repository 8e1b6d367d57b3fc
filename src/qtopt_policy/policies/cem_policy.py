"""The learned policy: the action with the highest Q, found by CEM."""

from collections.abc import Sequence

import numpy as np

from qtopt_policy.cem import CemResult, limit_threads, maximise
from qtopt_policy.checkpoint import Checkpoint
from qtopt_policy.grasp_action import from_search
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.batch import from_observations
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Candidates, Decision
from qtopt_policy.robot import GripperConfig
from qtopt_policy.search_config import DRIVING, CemConfig


class CemPolicy:
    """Searches Q anew at every decision.

    Args:
        checkpoint: weights and where they may be used.
        mdp: must be what the weights were trained for; its action bounds may be tighter.
        gripper: must lie in the checkpoint's envelope.
        config: of the search.
        allow_outside_envelope: use the weights outside what they were trained on.
        threads: torch threads of this process; None leaves them alone. A decision of the compact network
            is too small to gain from a second one, and on shared cores OpenMP's waiting threads cost more
            than they give.

    Raises:
        CheckpointError: the checkpoint does not fit; the message names the field.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        mdp: MdpConfig,
        gripper: GripperConfig,
        config: CemConfig = DRIVING,
        allow_outside_envelope: bool = False,
        threads: int | None = 1,
    ) -> None:
        checkpoint.require_task(mdp, allow_outside_envelope)
        checkpoint.require_gripper(gripper, allow_outside_envelope)
        if threads is not None:
            limit_threads(threads)
        self.checkpoint = checkpoint
        self._mdp = mdp
        self._spec = mdp.action_spec()
        self._opening = gripper.max_aperture
        self._config = config
        self._allowed = allow_outside_envelope
        self.reset(0)

    @property
    def name(self) -> str:
        """Name as recorded."""
        return "cem"

    def reset(self, seed: int) -> None:
        """Start a new episode; the noise of its decisions comes from `seed`."""
        self._seed, self._step = seed, 0

    def decide(self, observation: Observation) -> Decision:
        """Pick the best action of the search.

        Raises:
            CheckpointError: the camera is not one that the weights were trained for.
            ShapeError: Q is not finite.
        """
        step, self._step = self._step, self._step + 1
        return self.decide_all([observation], [self._seed], [step])[0]

    def decide_all(
        self, observations: Sequence[Observation], seeds: Sequence[int], steps: Sequence[int]
    ) -> list[Decision]:
        """Pick the best actions of several episodes in one search; each is what its own `decide` would find.

        Args:
            observations: at least one, with images of equal size.
            seeds: of the episodes, as for `reset`.
            steps: how many decisions each episode has had.

        Raises:
            CheckpointError: a camera is not one that the weights were trained for.
            ShapeError: Q is not finite.
        """
        for observation in observations:
            self.checkpoint.require_camera(observation.camera, self._allowed)
        batch = from_observations(observations, self._mdp.action_frame, self._opening)
        pairs = zip(seeds, steps, strict=True)
        noise = [int(np.random.SeedSequence(pair).generate_state(1)[0]) for pair in pairs]
        result = maximise(self.checkpoint.network, batch, noise, self._spec, self._config)
        return [self._decision(result, row) for row in range(len(observations))]

    def _decision(self, result: CemResult, row: int) -> Decision:
        action = from_search(result.best[row].numpy(), self._spec)
        candidates = Candidates(
            actions=result.actions[row].numpy(),
            q=result.values[row].sigmoid().numpy(),
            elite=result.elite[row].numpy(),
        )
        return Decision(action, float(result.value[row].sigmoid()), candidates)
