"""The protocol that every policy follows."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.grasp_action import GraspAction
from qtopt_policy.observation import Observation


@dataclass(frozen=True, eq=False)
class Candidates:
    """What CEM looked at in one decision, for pictures and markers.

    Attributes:
        actions: search vectors, float32, shape (N, ActionSpec.size).
        q: their values, float32, shape (N,).
        elite: members of the last elite set, bool, shape (N,).
    """

    actions: NDArray[np.float32]
    q: NDArray[np.float32]
    elite: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Decision:
    """The chosen action, its Q value (NaN for policies without one) and the candidates, if any."""

    action: GraspAction
    q: float = float("nan")
    candidates: Candidates | None = None


class Policy(Protocol):
    """Anything that picks a grasp action from an observation."""

    @property
    def name(self) -> str:
        """Name as recorded in the bag, e.g. `cem` or `epsilon(cem, 0.2)`."""
        ...

    def reset(self, seed: int) -> None:
        """Start a new episode; all randomness of the episode comes from `seed`."""
        ...

    def decide(self, observation: Observation) -> Decision:
        """Pick an action."""
        ...
