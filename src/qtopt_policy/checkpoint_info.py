"""What a checkpoint says about itself: which network, for which task and robots, and how good it is."""

from dataclasses import dataclass
from typing import Any

from qtopt_policy.camera import Mount
from qtopt_policy.envelope import Envelope
from qtopt_policy.grasp_action import ActionFrame
from qtopt_policy.specs import ActionSpec, ObservationSpec


@dataclass(frozen=True)
class EvaluationRecord:
    """How well the weights did.

    Attributes:
        benchmark: digest of the benchmark's definition.
        split: `train` or `test`.
        successes: of `episodes`.
        episodes: judged.
    """

    benchmark: str
    split: str
    successes: int
    episodes: int

    def beats(self, other: "EvaluationRecord | None") -> bool:
        """Return whether the success rate is higher, on the same scenes and no fewer of them."""
        if other is None:
            return self.episodes > 0
        same = (self.benchmark, self.split) == (other.benchmark, other.split)
        higher = self.successes * other.episodes > other.successes * self.episodes
        return same and self.episodes >= other.episodes and higher


@dataclass(frozen=True)
class CheckpointInfo:
    """What the weights are and where they may be used.

    Attributes:
        network: name in the registry.
        network_config: its parameters.
        action_frame: must match.
        mount: of the camera; must match.
        action_spec: names must match; the bounds are the network's scale.
        observation_spec: must match.
        envelope: the robot must lie inside.
        trained: False for fresh weights, which never drive a robot.
        steps: gradient steps.
        evaluation: or None.
        robot: name of the robot (information only).
    """

    network: str
    network_config: dict[str, Any]
    action_frame: ActionFrame
    mount: Mount
    action_spec: ActionSpec
    observation_spec: ObservationSpec
    envelope: Envelope
    trained: bool
    steps: int = 0
    evaluation: EvaluationRecord | None = None
    robot: str = ""
