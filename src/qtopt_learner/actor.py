"""A process that plays episodes in GraspEnv and appends them to a store: one of N actors of one learner.

It needs nothing but files: the newest weights to read, a store to write into. So it may be killed at any
moment and started again; the episode that it was at is all that is lost, since each is on disk once it is
played. It ends when it has played its episodes, is told to stop, or its parent is gone.
"""

import math
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro import conf

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.env import GraspEnv
from qtopt_learner.rollout import Origin, roll_out
from qtopt_learner.store import StoreWriter
from qtopt_policy.config import load_config
from qtopt_policy.errors import ConfigError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.base import Policy
from qtopt_policy.policies.exploration import Exploration
from qtopt_policy.policies.registry import make_policy
from qtopt_policy.share import resolve

# Scenes kept to be played again; beyond that the oldest are forgotten.
MOST_FAILED = 64
# Each plays every 64th scene, so that a collection may go on with another number of actors.
MOST_ACTORS = 64

ActorPolicy = Literal["random", "scripted", "scripted_exact", "cem"]
# No option of a command: whoever starts actors numbers them.
NotAsked = Annotated[int, conf.Suppress]


@dataclass(frozen=True)
class ActorConfig:
    """What one actor does.

    Attributes:
        store: folder to append episodes to.
        prefix: of its shards; one actor at a time uses it.
        policy: `cem` reloads its weights when they change.
        weights: file with the weights of `cem`.
        epsilon, noise, explore: how and how often it explores; see Exploration.
        again: exploring episodes that are played in each scene in which the policy failed without exploring,
            in place of new scenes: what is hard is seen more often.
        index, actors: this actor's number among how many; their scenes differ.
        first_seed: added to the seeds that the scene file keeps for evaluation.
        episodes: that it plays in all its lives; None goes on until told to stop.
        per_shard: episodes per file; fewer make fresh experience arrive sooner.
        split: of the scenes.
        camera: name of the active camera.
        mdp: file with the definition of the task.
        benchmark: file with the definition of the scenes.
    """

    store: Path
    prefix: str
    policy: ActorPolicy = "scripted"
    weights: Path | None = None
    epsilon: float = 0.0
    noise: float = 0.0
    explore: float = 1.0
    again: int = 0
    index: NotAsked = 0
    actors: NotAsked = 1
    first_seed: int = 0
    episodes: int | None = None
    per_shard: int = 32
    split: str = "train"
    camera: str = "wrist"
    mdp: Path = Path("config/mdp.yaml")
    benchmark: Path = Path("config/benchmark_v1.yaml")

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.actors <= MOST_ACTORS:
            raise ConfigError(f"actor {self.index} of {self.actors}, at most {MOST_ACTORS}")
        _ = self.exploration
        if self.again < 0:
            raise ConfigError(f"again {self.again}: must not be negative")
        if self.policy == "cem" and self.weights is None:
            raise ConfigError("actor with the policy cem: needs a file of weights")

    @property
    def exploration(self) -> Exploration:
        """How and how often it explores."""
        return Exploration(self.epsilon, self.noise, self.explore)


class Actor:
    """Plays episodes one by one.

    Args:
        config: what to do.

    Attributes:
        writer: of its episodes.
        played: episodes played under the prefix, earlier lives included; a shard that they flushed early
            counts as full, so that no scene comes twice.
    """

    def __init__(self, config: ActorConfig) -> None:
        self._config = config
        benchmark = load_benchmark(config.benchmark)
        mdp = load_config(resolve(config.mdp), MdpConfig)
        self._env = GraspEnv(benchmark.robot, mdp, benchmark.scene, config.camera, config.split)
        self._digest = benchmark.digest
        self.writer = StoreWriter(config.store, config.prefix, config.per_shard, parts=True)
        self._base = benchmark.scene.evaluation_seeds + config.first_seed
        self.played = self.writer.number
        self._loaded: tuple[int, int] | None = None
        self._policies: tuple[Policy, Policy] | None = None
        self._checkpoint = ""
        self._failed: deque[int] = deque(maxlen=MOST_FAILED)

    def play(self) -> None:
        """Play one episode and hand it to the store."""
        config = self._config
        number = self._base + self.played * MOST_ACTORS + config.index
        explores = config.exploration.explores(self.played)
        policy = self._current()[explores]
        epsilon = config.epsilon if explores else 0.0
        origin = Origin(config.prefix, self._checkpoint, epsilon, self._digest)
        scene = self._failed.popleft() if explores and self._failed else number
        episode = roll_out(self._env, policy, config.split, scene, origin, chance=number)
        self.writer.append(episode)
        if not explores and not episode.info.success:
            self._failed.extend([scene] * config.again)
        self.played += 1

    def _current(self) -> tuple[Policy, Policy]:
        """Return the policy without and with exploration, of the newest weights."""
        stamp = _stamp(self._config.weights) if self._config.policy == "cem" else None
        if self._policies is None or stamp != self._loaded:
            self._policies, self._loaded = self._make(), stamp
        return self._policies

    def _make(self) -> tuple[Policy, Policy]:
        config, env = self._config, self._env
        mount = env.robot.cameras[config.camera].mount
        policy = make_policy(
            config.policy,
            env.mdp,
            env.robot,
            checkpoint=config.weights,
            mount=mount,
            allow_outside_envelope=True,  # the cameras of new scenes may lie beside all seen so far
            allow_untrained=True,
        )
        self._checkpoint = getattr(getattr(policy, "checkpoint", None), "digest", "")
        return policy, config.exploration.wrap(policy, env.mdp)

    def close(self) -> None:
        """Flush what was played and free the renderer."""
        self.writer.flush()
        self._env.close()


def _stamp(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    status = path.stat()
    return status.st_mtime_ns, status.st_ino


def run_actor(config: ActorConfig, stopped: Callable[[], bool]) -> bool:
    """Play until the episodes are done, `stopped` says so or SIGTERM arrives; nothing played is lost.

    Returns:
        Whether the episodes are done.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent answers it
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    os.nice(5)  # the learner goes first
    actor = Actor(config)
    for line in actor.writer.refused:
        sys.stderr.write(f"not used {line}\n")
    # Counted, not reckoned by shards: one that was flushed early is not full.
    left = math.inf if config.episodes is None else config.episodes - actor.writer.count()
    while left > 0 and not (ended or stopped()):
        actor.play()
        left -= 1
    actor.close()
    return left <= 0
