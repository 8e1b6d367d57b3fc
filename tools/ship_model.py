#!/usr/bin/env python3
"""Copy a trained policy with its configuration and its scores into models/.

usage: tools/ship_model.py RUN WEIGHTS EVALUATION models/NAME

RUN is the folder of a training run, WEIGHTS a checkpoint below its weights/, EVALUATION the file that
`qtopt evaluate --policies cem --checkpoint WEIGHTS --out EVALUATION` wrote. The model card is for people
to write.
"""

import json
import shutil
import sys
from pathlib import Path

from qtopt_policy.checkpoint import load_checkpoint


def main(run: Path, weights: Path, evaluation: Path, model: Path) -> int:
    """Copy weights, run.json and scores.json; return 1 if the evaluation is torn or of other weights."""
    checkpoint = load_checkpoint(weights)
    found = json.loads(evaluation.read_text())
    if not found["complete"]:
        sys.stderr.write(f"{evaluation}: not complete\n")
        return 1
    evaluated = Path(found["config"]["checkpoint"])
    if load_checkpoint(evaluated).digest != checkpoint.digest:
        sys.stderr.write(f"{evaluation}: of {evaluated}, whose weights are others\n")
        return 1
    model.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, model / "policy.safetensors")
    config = json.loads((run / "run.json").read_text())
    for key in ("out", "data", "mdp", "start_from"):
        config[key] = _relative(config[key])
    (model / "run.json").write_text(json.dumps(config, indent=1) + "\n")
    scores = {key: found[key] for key in ("benchmark_digest", "seeds", "scores")}
    scores["seeds"] = [min(found["seeds"]), max(found["seeds"])]
    scores = {"weights": checkpoint.digest, "steps": checkpoint.info.steps, **scores}
    (model / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
    return 0


def _relative(value: str | list[str] | None) -> str | list[str] | None:
    """Return absolute paths as they are named below the folder that holds runs/."""
    if isinstance(value, list):
        return [str(_relative(entry)) for entry in value]
    if value is None or not Path(value).is_absolute():
        return value
    parts = Path(value).parts
    return str(Path(*parts[parts.index("runs") :])) if "runs" in parts else Path(value).name


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.exit(main(*map(Path, sys.argv[1:])))
