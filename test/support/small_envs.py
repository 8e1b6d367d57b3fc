"""Environments with an end that is known: to be learned from in a second."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class Corridor(gymnasium.Env[NDArray[np.float32], Any]):
    """State x in [0, 1]; each step costs 1, and beyond 0.9 it ends; 10 steps at most.

    Args:
        image: show x as an image with a bright column instead of a number.
    """

    def __init__(self, image: bool = False) -> None:
        self._as_image = image
        shown = spaces.Box(0, 255, (8, 16, 1), np.uint8)
        self.observation_space: Any = shown if image else spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Box(-0.2, 0.2, (1,), np.float32)
        self.x = 0.0
        self.count = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.x, self.count = float(self.np_random.uniform(0.0, 0.8)), 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.x = float(np.clip(self.x + action[0], 0.0, 1.0))
        self.count += 1
        reached = self.x > 0.9
        return self._seen(), -1.0, reached, self.count >= 10 and not reached, {"is_success": reached}

    def _seen(self) -> Any:
        if not self._as_image:
            return np.array([self.x], np.float32)
        image = np.zeros((8, 16, 1), np.uint8)
        image[:, round(self.x * 15)] = 255
        return image


def corridor() -> Corridor:
    return Corridor()


def seen_corridor() -> Corridor:
    return Corridor(image=True)


def nothing() -> int:
    return 3
