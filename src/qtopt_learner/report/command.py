"""`qtopt report RUN`: one HTML page of a training run."""

import os
import sys

from qtopt_learner.cli_config import ReportConfig
from qtopt_learner.report.page import page
from qtopt_learner.report.source import read_run


def run(config: ReportConfig) -> int:
    """Write the page; it appears whole or not at all. Returns 0.

    Raises:
        ConfigError: the folder holds no run, or a file of it cannot be read.
        BagError: an episode cannot be read.
    """
    out = config.out or config.run / "report.html"
    text = page(read_run(config.run, config.films, config.evaluations))
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    part.write_text(text)
    os.replace(part, out)
    sys.stdout.write(f"report  {out}\n")
    return 0
