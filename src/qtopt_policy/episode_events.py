"""What goes into an episode and what comes out of it, as data (episode_runner.py)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtopt_policy.camera import CameraModel
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import GraspAction
from qtopt_policy.image_codec import Encoded
from qtopt_policy.mdp import EndReason
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision
from qtopt_policy.step_record import StepRecord


@dataclass(frozen=True)
class EpisodeRequest:
    """One episode: its unique id, the seed of the policy, the name of the policy that decides, epsilon."""

    episode_id: str
    seed: int
    policy: str
    epsilon: float = 0.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera image.

    Attributes:
        stamp: when it was taken [s, ROS time].
        arrival: when its message arrived [s, steady time], for latencies.
        image: RGB uint8, shape (camera.height, camera.width, 3).
        camera: intrinsics and extrinsics of the whole image.
    """

    stamp: float
    arrival: float
    image: NDArray[np.uint8]
    camera: CameraModel


@dataclass(frozen=True, eq=False)
class Wish:
    """What the policy wants now; republished while it lasts.

    Attributes:
        target: tool pose in the base frame.
        gripper_close: True to close, False to open, None before the policy has said anything.
    """

    target: Pose
    gripper_close: bool | None


@dataclass(frozen=True, eq=False)
class Ask:
    """A decision is wanted.

    Attributes:
        number: unique; `EpisodeRunner.decided` takes it back.
        index: of the step, 0, 1, ...
        observation: its image is decoded from `encoded`, so that training equals serving.
        encoded: the same image as it is published and recorded.
        arrival: of the image's message [s, steady time].
    """

    number: int
    index: int
    observation: Observation
    encoded: Encoded
    arrival: float


@dataclass(frozen=True, eq=False)
class Chosen:
    """A decision was made and is wished for from now on.

    Attributes:
        ask: what it answers.
        decision: as the policy made it.
        asked: its action after clipping.
        target: tool pose of that action in the base frame.
        reasons: names of the limits that clipped it.
    """

    ask: Ask
    decision: Decision
    asked: GraspAction
    target: Pose
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class StepEnded:
    """A step has ended."""

    record: StepRecord


@dataclass(frozen=True)
class Refused:
    """An image was not used."""

    stamp: float
    reason: str


@dataclass(frozen=True)
class Paused:
    """The policy has stopped asking, because these inputs are silent; empty: it asks again."""

    silent: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """The episode has ended; `detail` is for people."""

    reason: EndReason
    detail: str
    steps: int


Event = Ask | Chosen | StepEnded | Refused | Paused | Ended
