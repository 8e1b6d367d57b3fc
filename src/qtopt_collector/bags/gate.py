"""Which steps go into a bag: those with which it can be read back, in order, without a gap."""

from typing import Any

import numpy as np

from qtopt_collector.bags import messages, records
from qtopt_collector.bags.reader import STAMP_TOLERANCE
from qtopt_policy import topics
from qtopt_policy.errors import BagError, QtoptError
from qtopt_policy.grasp_action import ACTION_NAMES, GraspAction


class StepGate:
    """Holds a step record back until its observation and its action have come, and all steps before it.

    Topics overtake each other, so a step may come before its image. One whose image or action never comes,
    or is broken, never passes, and nor do those after it: the bag then holds the beginning of an episode.

    Args:
        episode_id: of the episode; steps of others do not pass.

    Attributes:
        fault: what was wrong with the latest message that is of no use, "" where none was.
    """

    def __init__(self, episode_id: str) -> None:
        self.fault = ""
        self._episode_id = episode_id
        self._next = 0
        self._shape: tuple[int, ...] = ()
        self._images: set[int] = set()
        self._actions: dict[int, tuple[float, ...]] = {}
        self._waiting: dict[int, tuple[records.StepRecord, object]] = {}

    def hear(self, topic: str, message: object) -> None:
        """Take a message that a step needs, or a step; other topics are of no interest."""
        takers = {topics.OBSERVATION: self._image, topics.ACTION: self._action, topics.STEP: self._step}
        if topic not in takers:
            return
        try:
            takers[topic](message)
        except QtoptError as error:
            self.fault = f"{topic}: {error}"

    def _image(self, message: Any) -> None:
        shape = messages.decode_image(message).shape
        self._shape = self._shape or shape
        if shape != self._shape:
            raise BagError(f"image {shape} after one of {self._shape}")
        self._images.add(messages.stamp_of(message))

    def _action(self, message: Any) -> None:
        if tuple(message.name) != ACTION_NAMES:
            raise BagError(f"names {list(message.name)}, expected {', '.join(ACTION_NAMES)}")
        GraspAction.from_array(message.position)
        self._actions[messages.stamp_of(message)] = tuple(message.position)

    def _step(self, message: object) -> None:
        step = records.decode_step(messages.values_of(message))
        if step.episode_id != self._episode_id:
            raise BagError(f"of episode '{step.episode_id}' in '{self._episode_id}'")
        if step.index >= self._next:
            self._waiting[step.index] = (step, message)

    def passing(self) -> list[object]:
        """Return the step messages that may go into the bag now, once each, in order."""
        passed: list[object] = []
        while self._next in self._waiting:
            step, message = self._waiting[self._next]
            if not self._complete(step):
                break
            del self._waiting[self._next]
            self._next += 1
            passed.append(message)
        return passed

    def _complete(self, step: records.StepRecord) -> bool:
        wanted = messages.nanoseconds(step.image_stamp)
        near = [stamp for stamp in self._actions if abs(stamp - wanted) <= STAMP_TOLERANCE]
        seen = any(abs(stamp - wanted) <= STAMP_TOLERANCE for stamp in self._images)
        return seen and any(np.allclose(self._actions[stamp], step.asked, atol=1e-9) for stamp in near)
