"""The robot's recent state: stamped samples of the tool pose and of each joint, read at an image's stamp."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from qtopt_policy.errors import ShapeError
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import GripperConfig

T = TypeVar("T")

HISTORY = 2.0  # [s] of samples kept
SPEED_WINDOW = 0.01  # [s] over which the tool speed is measured: one period of the control loop, as GraspEnv


@dataclass(frozen=True)
class At(Generic[T]):
    """A value read at a stamp, and the distance to the farther of the two samples it came from [s]."""

    value: T
    skew: float


class Timeline(Generic[T]):
    """Samples of one quantity in the order of their stamps.

    Args:
        mix: interpolates two values; its third argument is the share of the second one, 0 to 1.
    """

    def __init__(self, mix: Callable[[T, T, float], T]) -> None:
        self._mix = mix
        self._stamps: deque[float] = deque()
        self._values: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def latest(self) -> tuple[float, T] | None:
        """The newest stamp [s] and value."""
        return (self._stamps[-1], self._values[-1]) if self._stamps else None

    @property
    def oldest(self) -> tuple[float, T] | None:
        """The oldest stamp [s] and value."""
        return (self._stamps[0], self._values[0]) if self._stamps else None

    def add(self, stamp: float, value: T) -> bool:
        """Append a sample; one that is not newer than the last is ignored and False returned.

        A stamp that lies more than HISTORY before the last means that the clock was set back (a simulator
        started anew): the old samples are dropped.
        """
        if self._stamps and stamp < self._stamps[-1] - HISTORY:
            self._stamps.clear()
            self._values.clear()
        if self._stamps and stamp <= self._stamps[-1]:
            return False
        self._stamps.append(stamp)
        self._values.append(value)
        while self._stamps[0] < stamp - HISTORY:
            self._stamps.popleft()
            self._values.popleft()
        return True

    def before(self, stamp: float) -> tuple[float, T] | None:
        """Return the newest sample at or before `stamp`."""
        index = bisect_right(self._stamps, stamp) - 1
        return (self._stamps[index], self._values[index]) if index >= 0 else None

    def at(self, stamp: float) -> At[T] | None:
        """Interpolate at `stamp`; None while no sample at or after it has come.

        Before the first sample the first one is returned, with the distance to it as skew.
        """
        if not self._stamps or self._stamps[-1] < stamp:
            return None
        index = bisect_right(self._stamps, stamp) - 1
        if index < 0:
            return At(self._values[0], self._stamps[0] - stamp)
        start = self._stamps[index]
        if start == stamp:
            return At(self._values[index], 0.0)
        end = self._stamps[index + 1]
        mixed = self._mix(self._values[index], self._values[index + 1], (stamp - start) / (end - start))
        return At(mixed, max(stamp - start, end - stamp))


def _mix_numbers(a: float, b: float, fraction: float) -> float:
    return (1.0 - fraction) * a + fraction * b


class StateBuffer:
    """Tool poses and gripper joint positions of the last seconds.

    Joint states may be partial (arm and gripper from different publishers) and in any order: the gripper's
    joint is picked by name, with its own age.
    """

    def __init__(self, gripper: GripperConfig) -> None:
        self._gripper = gripper
        self._poses: Timeline[Pose] = Timeline(Pose.interpolate)
        self._apertures: Timeline[float] = Timeline(_mix_numbers)

    def add_pose(self, stamp: float, pose: Pose) -> bool:
        """Take one measured tool pose; False if it is not newer than the last."""
        return self._poses.add(stamp, pose)

    def add_joints(self, stamp: float, names: Sequence[str], positions: Sequence[float]) -> bool:
        """Take one joint state; False if it does not hold a newer position of the gripper's joint.

        Raises:
            ShapeError: fewer or more positions than names, or the gripper's position is not finite, or
                farther beyond the ends of its stroke than that is long: nobody knows where the fingers are.
        """
        if len(names) != len(positions):
            raise ShapeError(f"joint state: {len(names)} names and {len(positions)} positions")
        joint = self._gripper.joints[0]
        if joint not in names:
            return False
        position = float(positions[list(names).index(joint)])
        if not np.isfinite(position):
            raise ShapeError(f"joint state: position of '{joint}' is {position}")
        stroke = self._gripper.max_aperture
        told = self._gripper.aperture_scale * position + self._gripper.aperture_offset
        if not -stroke <= told <= 2.0 * stroke:
            text = f"an aperture of {told:.3f} m, the opened fingers' is {stroke} m"
            raise ShapeError(f"joint state: position of '{joint}' is {position}: {text}")
        return self._apertures.add(stamp, self._gripper.aperture(position))

    @property
    def latest_pose(self) -> tuple[float, Pose] | None:
        """Stamp [s] and value of the newest tool pose."""
        return self._poses.latest

    @property
    def latest_aperture(self) -> tuple[float, float] | None:
        """Stamp [s] and value [m] of the newest aperture."""
        return self._apertures.latest

    def pose_at(self, stamp: float) -> At[Pose] | None:
        """Return the tool pose at `stamp`, as `Timeline.at`."""
        return self._poses.at(stamp)

    def aperture_at(self, stamp: float) -> At[float] | None:
        """Return the aperture [m] at `stamp`, as `Timeline.at`."""
        return self._apertures.at(stamp)

    def speed(self) -> float | None:
        """Return the tool's speed over the last SPEED_WINDOW [m/s]; None before there are two poses.

        speed = |p(t) - p(t - w)| / w, with the newest sample at least w old, or the oldest one
        """
        latest = self._poses.latest
        if latest is None:
            return None
        earlier = self._poses.before(latest[0] - SPEED_WINDOW + 1e-9) or self._poses.oldest
        if earlier is None or earlier[0] >= latest[0]:
            return None
        return latest[1].distance(earlier[1]) / (latest[0] - earlier[0])
