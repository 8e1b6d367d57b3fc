"""One episode as typed arrays: what a bag holds and what the learner reads."""

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ShapeError
from qtopt_policy.mdp import ABORTED, EndReason

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of an episode; every array has T rows.

    Attributes:
        image: RGB as the network saw it, uint8, shape (T, H, W, 3).
        stamp: time of the image [s], (T,).
        gripper_closed: 0 or 1, (T,).
        height_to_bottom: [m], (T,).
        aperture: [m], (T,).
        tool_pose: x y z qx qy qz qw in the base frame, (T, 7).
        asked: action after clipping, recorded form (grasp_action.ACTION_NAMES), (T, 8).
        executed: what the arm did, same form, (T, 8).
        altered: the two differ, bool, (T,).
        contact: contact stopped the arm, bool, (T,).
        duration: [s], (T,).
        q: value of the chosen action or NaN, (T,).
        is_terminal: bool, (T,); at most the last row.
        end_cause: of each step (step_rule.EndCause), T strings.
        policy: name of the policy that decided, T strings.
    """

    image: NDArray[np.uint8]
    stamp: F64
    gripper_closed: F64
    height_to_bottom: F64
    aperture: F64
    tool_pose: F64
    asked: F64
    executed: F64
    altered: NDArray[np.bool_]
    contact: NDArray[np.bool_]
    duration: F64
    q: F64
    is_terminal: NDArray[np.bool_]
    end_cause: tuple[str, ...]
    policy: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.stamp)
        for entry in fields(self):
            if len(getattr(self, entry.name)) != count:
                found = len(getattr(self, entry.name))
                raise ShapeError(f"Steps.{entry.name}: {found} rows, expected {count}")

    def __len__(self) -> int:
        return len(self.stamp)

    def replay_action(self) -> F64:
        """Return the action to learn from, shape (T, 8).

        The executed one where the arm's own limits altered it, the asked one where contact stopped it.
        """
        use_executed = (self.altered & ~self.contact)[:, None]
        return np.where(use_executed, self.executed, self.asked)


@dataclass(frozen=True)
class EpisodeInfo:
    """What is known about a whole episode; every field is written into the bag's metadata.

    Attributes:
        episode_id: unique name, also the bag's folder name.
        seed: of the scene and the policy.
        policy: name, as recorded in each step.
        end_reason: why it ended.
        success: judged by the success detector; None when aborted.
        reward: 1 or 0 at the end; None when aborted.
        truth: ground truth of a simulator, None on a robot.
        aperture_closed, aperture_lifted: before and after the lift [m].
        checkpoint: digest of the weights or "".
        epsilon: share of random actions.
        robot: name of the robot (information only).
        benchmark: digest of the benchmark's definition or "".
        package_version: that wrote the bag.
        limits, mdp: as plain mappings (config.to_mapping).
    """

    episode_id: str
    seed: int
    policy: str
    end_reason: EndReason
    success: bool | None
    reward: float | None
    truth: bool | None = None
    aperture_closed: float = float("nan")
    aperture_lifted: float = float("nan")
    checkpoint: str = ""
    epsilon: float = 0.0
    robot: str = ""
    benchmark: str = ""
    package_version: str = ""
    limits: dict[str, object] = field(default_factory=dict)
    mdp: dict[str, object] = field(default_factory=dict)

    @property
    def aborted(self) -> bool:
        """Whether a watchdog, an operator or a node's death ended it: kept, but without a reward."""
        return self.end_reason in ABORTED


@dataclass(frozen=True, eq=False)
class Episode:
    """Steps, their camera (after crop and resize) and what is known about the whole."""

    info: EpisodeInfo
    steps: Steps
    camera: CameraModel
