"""The policies in models/ are whole, trained, and fit the task that the package ships."""

import json

import pytest

from grasp_bringup.sim.benchmark import load_benchmark
from qtopt_learner.shipped import MODELS, shipped_policy, weights_for
from qtopt_learner.untrained import simulated_camera
from qtopt_policy.checkpoint import load_checkpoint


@pytest.mark.parametrize("camera", sorted(MODELS))
def test_it_fits_the_benchmark(camera: str) -> None:
    path = shipped_policy(camera)
    assert path is not None
    checkpoint, benchmark = load_checkpoint(path), load_benchmark()
    assert checkpoint.info.trained
    checkpoint.require_task(benchmark.mdp)
    checkpoint.require_camera(simulated_camera(benchmark.robot, benchmark.mdp, camera))
    checkpoint.require_gripper(benchmark.robot.gripper)


@pytest.mark.parametrize("camera", sorted(MODELS))
def test_its_card_tells_where_it_came_from(camera: str) -> None:
    path = shipped_policy(camera)
    assert path is not None
    assert path.stat().st_size < 10 * 2**20
    scores = json.loads((path.parent / "scores.json").read_text())
    assert scores["benchmark_digest"] == load_benchmark().digest
    assert scores["weights"] == load_checkpoint(path).digest
    assert json.loads((path.parent / "run.json").read_text())["train"]["network"] == "compact"
    assert "Licence" in (path.parent / "README.md").read_text()


def test_without_weights_for_a_camera_there_are_none() -> None:
    assert shipped_policy("shoulder") is None
    assert weights_for("scripted", None, "wrist") is None
    assert weights_for("auto", None, "wrist") == shipped_policy("wrist")
