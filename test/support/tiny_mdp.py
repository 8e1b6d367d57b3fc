"""A Markov decision process small enough to solve exactly, and a table as its Q network."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qtopt_learner.rows import GEOMETRY_SIZE, Layout, Rows, outcome_columns
from qtopt_policy.networks.base import Features, QNetwork
from qtopt_policy.networks.batch import ObservationBatch
from qtopt_policy.specs import ActionSpec, ObservationSpec, VectorField

STATES, ACTIONS = 5, 3
ACTION_SPEC = ActionSpec((), ("left", "right", "stop"))
OBSERVATION_SPEC = ObservationSpec(None, (VectorField("state", STATES, "one-hot"),))
LAYOUT = Layout.of(ACTION_SPEC, OBSERVATION_SPEC)


@dataclass(frozen=True)
class Outcome:
    """What an action does: the next state (None: the end) and the reward."""

    state: int | None
    reward: float


def dynamics(state: int, action: int, penalty: float = 0.02) -> Outcome:
    """A corridor; `stop` ends it and pays 1 at the right end, 0.3 at the left end, nothing between."""
    if action == 2:
        return Outcome(None, {0: 0.3, STATES - 1: 1.0}.get(state, 0.0))
    return Outcome(int(np.clip(state + (1 if action == 1 else -1), 0, STATES - 1)), -penalty)


def optimal_q(discount: float, penalty: float = 0.02) -> NDArray[np.float64]:
    """Value iteration: Q*(s, a), shape (STATES, ACTIONS)."""
    q = np.zeros((STATES, ACTIONS))
    for _ in range(500):
        for state in range(STATES):
            for action in range(ACTIONS):
                out = dynamics(state, action, penalty)
                q[state, action] = out.reward + (0 if out.state is None else discount * q[out.state].max())
    return q


def walk(rng: np.random.Generator, discount: float, length: int = 30) -> Rows:
    """One episode of uniformly random actions; aborted if it does not stop within `length` steps."""
    states: list[int] = []
    actions: list[int] = []
    rewards: list[float] = []
    state: int | None = int(rng.integers(STATES))
    while state is not None and len(states) < length:
        action = int(rng.integers(ACTIONS))
        out = dynamics(state, action)
        states.append(state)
        actions.append(action)
        rewards.append(out.reward)
        state = out.state
    return rows_of(states, actions, rewards, complete=state is None, discount=discount)


def rows_of(
    states: list[int],
    actions: list[int],
    rewards: list[float],
    complete: bool,
    discount: float,
    chosen: list[bool] | None = None,
) -> Rows:
    count = len(states)
    by_policy = None if chosen is None else np.array(chosen)
    return outcome_columns(np.array(rewards, dtype=np.float32), complete, discount, by_policy) | {
        "image": np.zeros((count, 0, 0, 0), dtype=np.uint8),
        "vectors": np.eye(STATES, dtype=np.float32)[states],
        "geometry": np.zeros((count, GEOMETRY_SIZE), dtype=np.float32),
        "action": np.eye(ACTIONS, dtype=np.float32)[actions],
    }


def concatenate(episodes: list[Rows]) -> Rows:
    return {name: np.concatenate([rows[name] for rows in episodes]) for name in episodes[0]}


class TableNetwork(QNetwork):
    """One logit per state and action; with a batch norm of the state on the side if asked for."""

    def __init__(
        self, action_spec: ActionSpec, observation_spec: ObservationSpec, normalise: bool = False
    ) -> None:
        super().__init__(action_spec, observation_spec)
        self.table = nn.Parameter(torch.zeros(STATES, ACTIONS))
        self.norm = nn.BatchNorm1d(STATES) if normalise else None

    @classmethod
    def build(
        cls, action_spec: ActionSpec, observation_spec: ObservationSpec, config: Mapping[str, object]
    ) -> "TableNetwork":
        return cls(action_spec, observation_spec, bool(config.get("normalise", False)))

    def config(self) -> dict[str, object]:
        return {"normalise": self.norm is not None}

    def trunk(self, batch: ObservationBatch) -> Features:
        state = batch.vectors if self.norm is None else self.norm(batch.vectors)
        return Features(state.new_empty(len(batch), 0), state @ self.table)

    def head(self, features: Features, batch: ObservationBatch, actions: Tensor) -> Tensor:
        return (features.summary.unsqueeze(1) * actions).sum(dim=-1)


def table(normalise: bool = False) -> TableNetwork:
    return TableNetwork(ACTION_SPEC, OBSERVATION_SPEC, normalise)
