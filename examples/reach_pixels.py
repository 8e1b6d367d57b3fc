"""A task from pixels that is not grasping: drive a dot onto a disc and say that it is there.

Observation: an image, 16 x 16 x 3, with the dot (white), the disc (green) and a disc to be left alone (red).
Action: a Dict of a move (Box, two numbers) and a choice (Discrete: go on, or stop). Reward: 1 at `stop`
within the disc, 0 otherwise; the episode ends there, or after 20 steps without a reward. So the return lies
in [0, 1] and needs no mapping.
"""

from typing import Any

import cv2
import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

SIDE = 16
STEP = 0.25  # longest move along an axis, in widths of the image
RADIUS = 0.15
MAX_STEPS = 20
GO, STOP = 0, 1


class ReachPixels(gymnasium.Env[NDArray[np.uint8], dict[str, Any]]):
    """See the module.

    Args:
        distractors: red discs.
    """

    def __init__(self, distractors: int = 1) -> None:
        self.observation_space = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.action_space = spaces.Dict(
            {"move": spaces.Box(-STEP, STEP, (2,), np.float32), "choice": spaces.Discrete(2)}
        )
        self._distractors = distractors
        self._dot: NDArray[np.float64] = np.zeros(2)
        self._discs: NDArray[np.float64] = np.zeros((1 + distractors, 2))
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Place dot and discs; discs do not overlap."""
        super().reset(seed=seed)
        self._steps = 0
        self._dot = self.np_random.uniform(0.05, 0.95, 2)
        places: list[NDArray[np.float64]] = []
        while len(places) <= self._distractors:
            place = self.np_random.uniform(RADIUS, 1.0 - RADIUS, 2)
            if all(np.linalg.norm(place - other) > 2.5 * RADIUS for other in places):
                places.append(place)
        self._discs = np.array(places)
        return self._image(), {}

    def step(self, action: dict[str, Any]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Move, or stop and be judged."""
        self._steps += 1
        if int(action["choice"]) == STOP:
            reached = bool(np.linalg.norm(self._dot - self._discs[0]) < RADIUS)
            return self._image(), float(reached), True, False, {"is_success": reached}
        self._dot = np.clip(self._dot + np.asarray(action["move"]), 0.0, 1.0)
        ended = self._steps >= MAX_STEPS
        return self._image(), 0.0, ended, False, {"is_success": False}

    def _image(self) -> NDArray[np.uint8]:
        image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
        colours = [(40, 220, 60)] + [(220, 40, 40)] * self._distractors
        for place, colour in zip(self._discs, colours, strict=True):
            cv2.circle(image, _pixel(place), round(RADIUS * SIDE), colour, -1)
        cv2.circle(image, _pixel(self._dot), 1, (255, 255, 255), -1)
        return image


def _pixel(place: NDArray[np.float64]) -> tuple[int, int]:
    x, y = (place * (SIDE - 1)).round().astype(int)
    return int(x), int(y)


def make() -> ReachPixels:
    """Return the environment of the example."""
    return ReachPixels()
