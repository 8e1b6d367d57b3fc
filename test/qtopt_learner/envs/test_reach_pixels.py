import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import check_env

FILE = Path(__file__).resolve().parents[3] / "examples" / "reach_pixels.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("reach_pixels", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load()
make, GO, STOP = example.make, example.GO, example.STOP


def test_it_is_a_gymnasium_environment() -> None:
    check_env(make(), skip_render_check=True)


def test_stopping_on_the_disc_pays_and_elsewhere_does_not() -> None:
    env = make()
    for seed in range(50):
        env.reset(seed=seed)
        near = bool(np.linalg.norm(env._dot - env._discs[0]) < example.RADIUS)
        _, reward, terminated, truncated, info = env.step({"move": np.zeros(2, np.float32), "choice": STOP})
        assert (reward, info["is_success"]) == (float(near), near)
        assert (terminated, truncated) == (True, False)


def test_it_ends_by_itself_when_nobody_stops() -> None:
    env = make()
    env.reset(seed=0)
    still = {"move": np.zeros(2, np.float32), "choice": GO}
    ends = [env.step(still)[1:3] for _ in range(example.MAX_STEPS)]
    assert ends == [(0.0, False)] * (example.MAX_STEPS - 1) + [(0.0, True)]


def test_dot_and_discs_are_in_the_image() -> None:
    env = example.ReachPixels(distractors=1)
    seen = [env.reset(seed=seed)[0].reshape(-1, 3).max(axis=0) for seed in range(20)]
    assert (np.min(seen, axis=0) >= [220, 220, 60]).all()


def test_a_move_to_the_disc_reaches_it() -> None:
    env = make()
    env.reset(seed=3)
    for _ in range(5):
        way = np.clip(env._discs[0] - env._dot, env.action_space["move"].low, env.action_space["move"].high)
        env.step({"move": way.astype(np.float32), "choice": GO})
    assert env.step({"move": np.zeros(2, np.float32), "choice": STOP})[1] == 1.0
