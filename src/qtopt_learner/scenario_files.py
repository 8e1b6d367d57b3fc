"""Where `qtopt scenario` writes, and what each results.json begins with."""

import json
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.sim.scenario import load_scenario
from qtopt_learner.scenario_config import ScenarioRunConfig
from qtopt_policy.config import to_mapping


def results_folder(config: ScenarioRunConfig) -> Path:
    """Make the folder of results.json and the film strips; return it."""
    folder = config.out or Path("out") / f"scenario-{config.name}-{datetime.now():%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_results(folder: Path, config: ScenarioRunConfig, complete: bool, found: Mapping[str, Any]) -> None:
    """Write results.json: what was asked for, whether it was played to the end, then what was `found`."""
    asked = {
        "command": shlex.join(["qtopt", *sys.argv[1:]]),
        "complete": complete,
        "benchmark_digest": load_benchmark(config.benchmark).digest,
        "scenario": to_mapping(load_scenario(config.name, config.scenarios)),
        "config": to_mapping(config),
    }
    (folder / "results.json").write_text(json.dumps({**asked, **found}, indent=1) + "\n")
