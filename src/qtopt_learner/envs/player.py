"""Plays environments side by side, with one decision for all of them, and hands out whole episodes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtopt_learner.envs.deciders import Decider
from qtopt_learner.envs.observations import Image, Vector, stack
from qtopt_learner.envs.returns import ReturnRange
from qtopt_learner.envs.task import Env, EnvTask
from qtopt_learner.rows import GEOMETRY_SIZE, Rows, outcome_columns


@dataclass(eq=False)
class Played:
    """One episode.

    Attributes:
        seed: with which the environment was reset.
        seen: observations as encoded; one more than actions, the last one is where it ended.
        actions: search vectors.
        rewards: the environment's own.
        terminated: whether it ended by itself; otherwise its time ran out and values go on.
        success: what the environment says of the last step as `is_success` or `success`, None if nothing.
    """

    seed: int
    seen: list[tuple[Image, Vector]] = field(default_factory=list)
    actions: list[NDArray[np.float32]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminated: bool = False
    success: bool | None = None

    @property
    def total(self) -> float:
        """Sum of the rewards, not discounted."""
        return float(np.sum(self.rewards))


def played_rows(episode: Played, returns: ReturnRange, discount: float) -> Rows:
    """Return the replay rows of an episode.

    One that ran out of time gets one row more, whose state the last transition bootstraps from; that row is
    no transition itself (rows.py).
    """
    rewards = returns.rewards(np.array(episode.rewards), episode.terminated, discount)
    actions, seen = list(episode.actions), episode.seen[: len(episode.actions)]
    if not episode.terminated:
        rewards = np.append(rewards, np.float32(0.0))
        actions.append(np.zeros_like(actions[0]))
        seen = episode.seen
    geometry = np.zeros((len(seen), GEOMETRY_SIZE), dtype=np.float32)
    return (
        outcome_columns(rewards, episode.terminated, discount)
        | dict(stack(seen))
        | {"geometry": geometry, "action": np.stack(actions)}
    )


class Player:
    """Environments that are played in step.

    Args:
        task: of the run.
        make: makes an environment.
        envs: how many.
        next_seed: returns the seed of the next episode, None to leave its environment idle.
    """

    def __init__(
        self, task: EnvTask, make: Callable[[], Env], envs: int, next_seed: Callable[[], int | None]
    ) -> None:
        self._task = task
        self._next_seed = next_seed
        self._envs = [make() for _ in range(envs)]
        self._open: list[Played | None] = [self._reset(env) for env in self._envs]

    def _reset(self, env: Env) -> Played | None:
        seed = self._next_seed()
        if seed is None:
            return None
        observation, _ = env.reset(seed=seed)
        return Played(seed, [self._task.observations.encode(observation)])

    @property
    def idle(self) -> bool:
        """Whether no episode is going on."""
        return all(played is None for played in self._open)

    def step(self, decider: Decider) -> tuple[int, list[Played]]:
        """Make one step in each environment; return how many steps, and the episodes that ended."""
        live = [(env, index) for index, env in enumerate(self._envs) if self._open[index] is not None]
        going = [played for played in self._open if played is not None]
        vectors = decider.decide([played.seen[-1] for played in going])
        ended = []
        for (env, index), played, vector in zip(live, going, vectors, strict=True):
            if self._advance(env, played, vector):
                ended.append(played)
                self._open[index] = self._reset(env)
        return len(live), ended

    def _advance(self, env: Env, played: Played, vector: NDArray[np.float32]) -> bool:
        observation, reward, terminated, truncated, info = env.step(self._task.actions.decode(vector))
        played.seen.append(self._task.observations.encode(observation))
        played.actions.append(vector)
        played.rewards.append(float(reward))
        if terminated or truncated:
            played.terminated = bool(terminated)
            played.success = _success(info)
        return bool(terminated or truncated)

    def close(self) -> None:
        """Free the environments."""
        for env in self._envs:
            env.close()


def _success(info: dict[str, Any]) -> bool | None:
    found = [info[key] for key in ("is_success", "success") if key in info]
    return bool(found[0]) if found else None
