"""Several GraspEnvs in processes of their own, for policies that decide on batches.

Gymnasium's AsyncVectorEnv does the work. What happens in an episode depends on its seed alone, never on the
slot it runs in or on how many slots there are: episodes are started by seed, not by autoreset.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from numpy.typing import NDArray

from grasp_bringup.sim.env import GraspEnv
from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import TERMINATE, GraspAction
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision

Batch = dict[str, NDArray[Any]]


class BatchPolicy(Protocol):
    """Picks the actions of many environments at once."""

    def __call__(
        self, observations: Batch, seeds: NDArray[np.int64], steps: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return actions, shape (slots, 8), for GraspEnv's observations with a leading axis of slots.

        All randomness must come from the episode's seed and the index of the step, shape (slots,) each. The
        seed of a slot that has nothing to do is -1; what is returned for it does not matter.
        """
        ...


class Searching(Protocol):
    """A policy that decides for several episodes at once: CemPolicy."""

    def decide_all(
        self, observations: Sequence[Observation], seeds: Sequence[int], steps: Sequence[int]
    ) -> list[Decision]:
        """Return a decision for each observation of an episode of that seed after so many steps."""
        ...


class SearchedBatch:
    """A BatchPolicy that searches for all slots with an episode at once.

    Args:
        policy: that searches.
        mount: of the environments' camera.
    """

    def __init__(self, policy: Searching, mount: Mount) -> None:
        self._policy, self._mount = policy, mount

    def __call__(
        self, observations: Batch, seeds: NDArray[np.int64], steps: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return actions; slots without an episode terminate, which costs no simulation."""
        busy = np.flatnonzero(seeds >= 0)
        seen = [observation_of(observations, int(slot), self._mount) for slot in busy]
        found = self._policy.decide_all(seen, seeds[busy].tolist(), steps[busy].tolist())
        actions = np.tile(GraspAction(np.zeros(3), 0.0, TERMINATE).as_array(), (len(seeds), 1))
        actions[busy] = [decision.action.as_array() for decision in found]
        return actions


def observation_of(observations: Batch, slot: int, mount: Mount) -> Observation:
    """Return one slot's observation in the form that policies take; its stamp is not known (NaN)."""
    row = {name: values[slot] for name, values in observations.items()}
    height, width = row["image"].shape[:2]
    fx, fy, cx, cy = row["camera"][:4].tolist()
    camera = CameraModel(width, height, fx, fy, cx, cy, mount, Pose.from_array(row["camera"][4:]))
    return Observation(
        image=row["image"],
        gripper_closed=bool(row["gripper_closed"][0]),
        height_to_bottom=float(row["height_to_bottom"][0]),
        aperture=float(row["aperture"][0]),
        tool_pose=Pose.from_array(row["tool_pose"]),
        camera=camera,
        stamp=math.nan,
    )


@dataclass(frozen=True)
class Outcome:
    """How one episode ended: judged, in truth, and after how many steps."""

    seed: int
    success: bool
    truth: bool
    steps: int


class IdleAfterEnd(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Repeats the last result once the episode has ended, for slots that have no more to do."""

    _last: tuple[Any, float, bool, bool, dict[str, Any]] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        self._last = None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, or do nothing after the end."""
        if self._last is None:
            result = self.env.step(action)
            if result[2]:
                self._last = (result[0], 0.0, True, False, {})
            return result
        return self._last


def make_vector_env(slots: int, **arguments: Any) -> AsyncVectorEnv:
    """Start environments in processes; call `close` when done.

    Args:
        slots: number of environments and processes.
        **arguments: of GraspEnv, the same for all.
    """

    def make() -> gymnasium.Env[Any, Any]:
        return IdleAfterEnd(GraspEnv(**arguments))

    # spawn: a forked child would inherit the parent's OpenGL and thread state.
    return AsyncVectorEnv([make] * slots, context="spawn", autoreset_mode=AutoresetMode.DISABLED)


def play(envs: AsyncVectorEnv, policy: BatchPolicy, seeds: Sequence[int]) -> Iterator[Outcome]:
    """Play one episode per seed, a slot taking the next seed when its episode ends; yield as they end."""
    waiting = list(seeds)
    slots = envs.num_envs
    current = np.full(slots, -1, dtype=np.int64)
    steps = np.zeros(slots, dtype=np.int64)
    finished: NDArray[np.bool_] = np.ones(slots, dtype=bool)
    fresh = _assign(current, finished, waiting)
    observations: Batch = {}
    while (current >= 0).any():
        if fresh.any():
            # Slots that never got a seed must be reset once: a mask of all true does it.
            mask = fresh if observations else np.ones(slots, dtype=bool)
            start: list[int | None] = [max(int(seed), 0) for seed in current]
            observations, _ = envs.reset(seed=start, options={"reset_mask": mask})
            steps[fresh] = 0
        observations, _, ended, _, info = envs.step(policy(observations, current, steps))
        steps += 1
        finished = np.asarray(ended) & (current >= 0)
        for slot in np.flatnonzero(finished):
            success, truth = bool(info["success"][slot]), bool(info["truth"][slot])
            yield Outcome(int(current[slot]), success, truth, int(steps[slot]))
        fresh = _assign(current, finished, waiting)


def _assign(current: NDArray[np.int64], finished: NDArray[np.bool_], waiting: list[int]) -> NDArray[np.bool_]:
    """Give finished slots their next seeds, -1 where none is left; return which got one."""
    for slot in np.flatnonzero(finished):
        current[slot] = waiting.pop(0) if waiting else -1
    return finished & (current >= 0)
