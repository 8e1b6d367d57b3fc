"""What `qtopt doctor --robot` has seen of a live graph, as plain data: what the checks look at (no ROS)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from grasp_bringup.gripper import GripperResult
from qtopt_policy.geometry import Pose

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """What came on one topic.

    Attributes:
        topic: its full name.
        publishers: nodes that publish it.
        types: message types under this name.
        stamps: of the messages [s], in the order of arrival.
        ages: arrival less stamp on the same clock [s].
    """

    topic: str
    publishers: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    stamps: tuple[float, ...] = ()
    ages: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """Messages that came."""
        return len(self.stamps)

    def _periods(self) -> F64:
        return np.diff(np.unique(self.stamps))

    @property
    def rate(self) -> float:
        """Messages with different stamps per second of the stamps' time [Hz]; NaN with fewer than two."""
        periods = self._periods()
        return float(1.0 / periods.mean()) if len(periods) else float("nan")

    @property
    def longest_gap(self) -> float:
        """Longest time between stamps [s]; NaN with fewer than two."""
        periods = self._periods()
        return float(periods.max()) if len(periods) else float("nan")

    @property
    def age(self) -> float:
        """Median age at arrival [s]; NaN without messages."""
        return float(np.median(self.ages)) if self.ages else float("nan")


@dataclass(frozen=True)
class ImageFacts:
    """The latest image: size [px], encoding or compressed format, and why it cannot be used ("": it can)."""

    width: int
    height: int
    encoding: str
    trouble: str = ""


@dataclass(frozen=True)
class InfoFacts:
    """The latest camera_info: size [px], K (row-major 3x3), distortion coefficients, optical frame."""

    width: int
    height: int
    k: tuple[float, ...]
    d: tuple[float, ...]
    frame: str


@dataclass(frozen=True)
class Observed:
    """A live graph as it was seen.

    Attributes:
        seconds: how long it was listened to [s].
        simulated: whether somebody publishes /clock; all ages are on that clock then.
        image, info, joints: what came on these topics.
        picture, camera: latest image and camera_info, or None.
        positions: latest position of each joint [rad or m].
        joint_stamps: stamps [s] of each joint's messages.
        arm_topic: full name of the arm's command topic.
        arm_listeners: nodes that subscribe to it.
        controllers: state of each controller of ros2_control, by name.
        controllers_unknown: why those are not all, "" where they are.
        gripper_obstacle: why no command would reach the gripper, "" where one would.
        tool_pose: latest arm/tool_pose of the guard, or None where no guard runs.
        strokes: results of opening, closing and opening again; empty where that was not tried.
        strokes_skipped: why it was not tried.
    """

    seconds: float
    simulated: bool
    image: Heard
    info: Heard
    joints: Heard
    picture: ImageFacts | None = None
    camera: InfoFacts | None = None
    positions: dict[str, float] = field(default_factory=dict)
    joint_stamps: dict[str, tuple[float, ...]] = field(default_factory=dict)
    arm_topic: str = ""
    arm_listeners: tuple[str, ...] = ()
    controllers: dict[str, str] = field(default_factory=dict)
    controllers_unknown: str = ""
    gripper_obstacle: str = ""
    tool_pose: Pose | None = None
    strokes: tuple[GripperResult, ...] = ()
    strokes_skipped: str = ""
