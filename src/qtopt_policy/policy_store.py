"""The policy of the next episode: built once, kept while nothing changes, exchanged when its file does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from qtopt_policy.camera import Mount
from qtopt_policy.errors import CheckpointError, ConfigError, UnknownNameError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.base import Policy
from qtopt_policy.policies.exploration import Exploration
from qtopt_policy.policies.registry import POLICIES, make_policy
from qtopt_policy.robot import RobotConfig
from qtopt_policy.search_config import DRIVING, CemConfig

HotReload = Literal["never", "better", "newest"]
# Which changed weights are taken between episodes. (ROS would read `off` as a bool.)
HOT_RELOADS: tuple[HotReload, ...] = ("never", "better", "newest")
# Policies that are kept: a plan's two take turns.
KEPT = 2
FileStamp = tuple[int, int]  # modification time [ns], size [bytes]


@dataclass(frozen=True)
class PolicySettings:
    """Which policy is wanted.

    Attributes:
        name: in the registry.
        epsilon, noise: how it explores; see Exploration.
        checkpoint: file of the weights, or None.
        allow_untrained: let fresh weights act.
        allow_outside_envelope: use weights outside what they were trained on.
        search: of `cem`.

    Raises:
        UnknownNameError: there is no such policy.
        ConfigError: epsilon is not in [0, 1], or noise is negative.
    """

    name: str
    epsilon: float = 0.0
    noise: float = 0.0
    checkpoint: Path | None = None
    allow_untrained: bool = False
    allow_outside_envelope: bool = False
    search: CemConfig = DRIVING

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise UnknownNameError("policy.name", self.name, POLICIES)
        try:
            Exploration(self.epsilon, self.noise)
        except ConfigError as error:
            raise ConfigError(f"policy.{error}") from error


@dataclass(frozen=True)
class ReadyPolicy:
    """A policy that may decide.

    Attributes:
        policy: as asked for.
        greedy: the same without exploration.
        digest: of its weights, or "".
        note: why newer weights were not taken, or "".
    """

    policy: Policy
    greedy: Policy
    digest: str = ""
    note: str = ""


class PolicyStore:
    """Builds policies and keeps the last ones; settings that come back find the weights that they had.

    Args:
        mdp, robot: that they act in and on.
        mount: of the active camera.
        hot_reload: build anew when the checkpoint's file has changed: `better` takes its weights only if
            their evaluation beats that of the running ones, `newest` as they come (a run in progress writes
            no evaluation); weights that do not fit are refused in any case.
        make: builds a policy, as registry.make_policy.
    """

    def __init__(
        self,
        mdp: MdpConfig,
        robot: RobotConfig,
        mount: Mount,
        hot_reload: HotReload = "never",
        make: Callable[..., Policy] = make_policy,
    ) -> None:
        self._mdp, self._robot, self._mount = mdp, robot, mount
        self._hot_reload, self._make = hot_reload, make
        self._kept: dict[PolicySettings, tuple[ReadyPolicy, FileStamp | None]] = {}

    def get(self, settings: PolicySettings) -> ReadyPolicy:
        """Return the policy for the next episode. May take seconds: torch is imported when it is needed.

        Raises:
            QtoptError: it cannot be built; the message names the reason.
        """
        greedy = replace(settings, epsilon=0.0, noise=0.0)  # with and without exploring: the same weights
        file = _file_stamp(greedy.checkpoint)
        if greedy not in self._kept:
            self._kept[greedy] = self._build(greedy), file
        elif self._hot_reload != "never" and file != self._kept[greedy][1]:
            self._kept[greedy] = self._exchange(greedy, self._kept[greedy][0]), file
        self._kept[greedy] = kept = self._kept.pop(greedy)  # the last one is the newest
        for oldest in list(self._kept)[:-KEPT]:
            del self._kept[oldest]
        ready, exploration = kept[0], Exploration(settings.epsilon, settings.noise)
        return replace(ready, policy=exploration.wrap(ready.greedy, self._mdp))

    def _build(self, settings: PolicySettings) -> ReadyPolicy:
        policy = self._make(
            settings.name,
            self._mdp,
            self._robot,
            checkpoint=settings.checkpoint,
            mount=self._mount,
            allow_outside_envelope=settings.allow_outside_envelope,
            allow_untrained=settings.allow_untrained,
            search=settings.search,
        )
        checkpoint = _checkpoint(policy)
        return ReadyPolicy(policy, policy, "" if checkpoint is None else str(checkpoint.digest))

    def _exchange(self, settings: PolicySettings, running: ReadyPolicy) -> ReadyPolicy:
        """Return the policy of the changed file, or the running one with the reason why not."""
        try:
            ready = self._build(settings)
        except CheckpointError as error:
            return replace(running, note=f"new weights refused: {error}")
        old, new = _checkpoint(running.policy), _checkpoint(ready.policy)
        if self._hot_reload == "better" and old is not None and new is not None:
            record = new.info.evaluation
            if record is None or not record.beats(old.info.evaluation):
                reason = f"their evaluation {record} does not beat {old.info.evaluation}"
                return replace(running, note=f"new weights refused: {reason}")
        return ready


def _checkpoint(policy: Policy) -> Any:
    """Return the Checkpoint behind a policy or None; Any, because its module imports torch."""
    return getattr(policy, "checkpoint", None)


def _file_stamp(path: Path | None) -> FileStamp | None:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None  # load_checkpoint says what is wrong, or the running weights stay
    return found.st_mtime_ns, found.st_size
