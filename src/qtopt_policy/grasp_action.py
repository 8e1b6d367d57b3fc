"""The grasp action: one instance of ActionSpec (QT-Opt section 5; qtopt MDP in docs/architecture.md).

Recorded form, 8 numbers: dx dy dz [m], sin and cos of the yaw change, close, open, terminate as 0 or 1.
Search form (what CEM samples and networks take): dx dy dz [m], yaw [rad], then one-hot of the choices
move | close | open | terminate. Translation is in the action frame (base or tool); yaw turns about the
base frame's +z in both. The move comes first, the fingers close or open when it has ended. Grasps are
top-down as in the paper: the target's z axis points straight down, so that measured tilt never adds up.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose, pointing_down, readonly, wrap_angle
from qtopt_policy.specs import ActionSpec, ContinuousDim

ActionFrame = Literal["base", "tool"]
ACTION_NAMES = ("dx", "dy", "dz", "yaw_sin", "yaw_cos", "close", "open", "terminate")
CHOICES = ("move", "close", "open", "terminate")
MOVE, CLOSE, OPEN, TERMINATE = range(4)


@dataclass(frozen=True, eq=False)
class GraspAction:
    """One step's action.

    Attributes:
        translation: displacement of the tool in the action frame [m], shape (3,).
        yaw: rotation about the base frame's +z [rad].
        choice: MOVE, CLOSE, OPEN or TERMINATE.
    """

    translation: NDArray[np.float64]
    yaw: float
    choice: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "translation", readonly(self.translation, (3,), "translation"))
        if not np.isfinite(self.yaw):
            raise ShapeError(f"yaw: not finite: {self.yaw}")
        if not 0 <= self.choice < len(CHOICES):
            raise ShapeError(f"choice {self.choice}, expected 0 to 3: {CHOICES}")

    def as_array(self) -> NDArray[np.float64]:
        """Return the recorded form, shape (8,), in the order of ACTION_NAMES."""
        flags = [float(self.choice == choice) for choice in (CLOSE, OPEN, TERMINATE)]
        return np.array([*self.translation, np.sin(self.yaw), np.cos(self.yaw), *flags])

    @classmethod
    def from_array(cls, values: ArrayLike) -> "GraspAction":
        """Read the recorded form; (sin, cos) is normalised, (0, 0) means no rotation.

        Raises:
            ShapeError: not 8 finite numbers, or more than one of close, open, terminate is set.
        """
        array = readonly(values, (8,), "action")
        flags = array[5:] > 0.5
        if flags.sum() > 1:
            raise ShapeError(f"close, open, terminate exclude each other: {array[5:].tolist()}")
        choice = int(np.argmax(flags)) + 1 if flags.any() else MOVE
        return cls(array[:3], float(np.arctan2(array[3], array[4])) if array[3:5].any() else 0.0, choice)

    def target(self, tool_pose: Pose, frame: ActionFrame) -> Pose:
        """Return the tool pose wanted: measured pose (+) action, both in the base frame."""
        level = pointing_down(tool_pose.position, tool_pose.yaw())
        offset = self.translation if frame == "base" else level.rotation() @ self.translation
        return pointing_down(tool_pose.position + offset, tool_pose.yaw() + self.yaw)

    @classmethod
    def between(cls, start: Pose, end: Pose, frame: ActionFrame, choice: int) -> "GraspAction":
        """Return the action that leads from `start` to `end`: the inverse of `target`."""
        offset = end.position - start.position
        level = pointing_down(start.position, start.yaw())
        translation = offset if frame == "base" else level.rotation().T @ offset
        return cls(translation, wrap_angle(end.yaw() - start.yaw()), choice)


def grasp_action_spec(max_translation: float = 0.04, max_yaw: float = 0.5) -> ActionSpec:
    """Return the spec of the search form: bounds in [m] and [rad]."""
    axes = tuple(ContinuousDim(n, "m", -max_translation, max_translation) for n in ("dx", "dy", "dz"))
    return ActionSpec((*axes, ContinuousDim("yaw", "rad", -max_yaw, max_yaw)), CHOICES, still=("terminate",))


def from_search(vector: ArrayLike, spec: ActionSpec) -> GraspAction:
    """Return the action of a search vector (dx dy dz yaw + one-hot of CHOICES)."""
    values, choice = spec.decode(vector)
    return GraspAction(values[:3].astype(np.float64), float(values[3]), choice)


def to_search(action: GraspAction, spec: ActionSpec) -> NDArray[np.float32]:
    """Return the search vector of an action, clipped to the bounds of `spec`."""
    return spec.encode([*action.translation, action.yaw], action.choice)
