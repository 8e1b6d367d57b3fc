"""Robot files for tests: the simulated cell, changed."""

from collections.abc import Sequence
from pathlib import Path

from qtopt_policy.share import resolve


def with_max_effort(folder: Path, limits: Sequence[float]) -> Path:
    """Write a robot whose joint efforts the guard watches; return its file."""
    text = resolve(Path("config/robots/sim.yaml")).read_text()
    assert "driver:\n" in text
    robot = folder / "max_effort.yaml"
    robot.write_text(text.replace("driver:\n", f"driver:\n  max_joint_effort: {list(limits)}\n"))
    return robot
