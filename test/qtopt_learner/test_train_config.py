import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from qtopt_learner.conservative import ConservativeConfig
from qtopt_learner.labels import LabelConfig
from qtopt_learner.run_state import find_begun, state_path
from qtopt_learner.train_config import QuantileConfig, TrainConfig, without_idle
from qtopt_policy.config import from_mapping, to_mapping
from qtopt_policy.errors import CheckpointError, ConfigError
from qtopt_policy.share import share_directory

CACHED = {"fresh": False}
SUPERVISED = {"kind": "outcome"}
IDLE: list[tuple[dict[str, Any], str]] = [
    (
        {"quantile": {"risk": "cvar", "parameter": 0.4}},
        r"quantile\.risk cvar .*leave it at neutral, or set loss to quantile",
    ),
    ({"quantile": {"count": 8}}, r"quantile\.count 8 with loss cross_entropy"),
    ({"loss": "huber", "quantile": {"kappa": 0.1}}, r"quantile\.kappa 0\.1 with loss huber"),
    (
        {"labels": {"age_limit": 60}},
        r"labels\.age_limit 60 .*fresh True: .*or set labels\.kind to bellman and",
    ),
    ({"labels": SUPERVISED | CACHED | {"age_limit": 60}}, r"labels\.age_limit 60 .*kind outcome"),
    ({"labels": SUPERVISED | {"n_step": 3}}, r"labels\.n_step 3 .*kind outcome.*set labels\.kind to bellman"),
    ({"labels": SUPERVISED | {"monte_carlo_bound": True}}, r"labels\.monte_carlo_bound True .*kind outcome"),
]


@pytest.mark.parametrize(("values", "message"), IDLE)
def test_parameters_that_nothing_would_use_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(values, TrainConfig, "given")


@pytest.mark.parametrize("values", [values for values, _ in IDLE])
def test_a_stored_configuration_loses_only_what_had_no_effect(values: dict[str, Any]) -> None:
    used = {"steps": 7, "labels": {"ratio": 0.25, "clipped": False}}
    labels = used["labels"] | values.get("labels", {})
    found = from_mapping(without_idle({**used, **values, "labels": labels}), TrainConfig, "stored")
    assert (found.steps, found.labels.ratio, found.labels.clipped) == (7, 0.25, False)
    assert found.quantile == QuantileConfig()


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(loss="quantile", quantile=QuantileConfig(8, "cvar", 0.4), labels=LabelConfig(n_step=3)),
        TrainConfig(labels=LabelConfig(fresh=False, age_limit=60, n_step=3, through="chosen")),
        TrainConfig(labels=LabelConfig(n_step=3, monte_carlo_bound=True)),
        TrainConfig(labels=LabelConfig(kind="outcome"), conservative=ConservativeConfig(weight=0.1)),
    ],
)
def test_what_has_an_effect_is_not_refused_and_stays_when_stored(config: TrainConfig) -> None:
    assert from_mapping(without_idle(to_mapping(config)), TrainConfig, "stored") == config


def test_a_run_stored_with_a_parameter_without_effect_goes_on(tmp_path: Path) -> None:
    """It was begun before such a parameter was refused, and goes on without it."""
    saved = to_mapping(TrainConfig(labels=LabelConfig(kind="outcome")))
    saved["labels"]["n_step"] = 3
    saved["quantile"]["count"] = 8
    state = {"config": saved}
    save_file({"x": np.zeros(1)}, state_path(tmp_path, 5), metadata={"state": json.dumps(state)})
    assert find_begun(tmp_path, TrainConfig(labels=LabelConfig(kind="outcome")))
    with pytest.raises(CheckpointError, match="'labels' was"):
        find_begun(tmp_path, TrainConfig(labels=LabelConfig(n_step=3)))


def test_the_runs_of_the_policies_that_ship_can_be_read() -> None:
    runs = sorted((share_directory() / "models").glob("*/run*.json"))
    assert runs
    for path in runs:
        stored = json.loads(path.read_text())["train"]
        assert from_mapping(stored, TrainConfig, str(path)).steps == stored["steps"]
