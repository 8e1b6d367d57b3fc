"""Numbers of a run over its steps: one CSV and TensorBoard.

The CSV is long (step, time, name, value), so that numbers that come at different rates share it, and a run
that is killed and resumed writes on where its checkpoint was.
"""

import csv
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

HEADER = ("step", "seconds", "name", "value")
CSV_FILE = "metrics.csv"


class Metrics:
    """Writes the numbers of one run.

    Args:
        folder: of the run.
        step: gradient step at which the run starts or goes on; later numbers in the CSV are dropped, they
            will be made again.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / CSV_FILE
        self._elapsed = self._cut(step)
        self._started = time.monotonic()
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def _cut(self, step: int) -> float:
        """Drop numbers after `step`; return the seconds that the run had lasted."""
        rows = [row for row in read_metrics(self._path) if int(row["step"]) <= step]
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, HEADER, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        temporary.rename(self._path)
        return max((float(row["seconds"]) for row in rows), default=0.0)

    @property
    def seconds(self) -> float:
        """Time that the run has lasted, over all its starts [s]."""
        return self._elapsed + time.monotonic() - self._started

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append numbers of one step."""
        seconds = f"{self.seconds:.3f}"
        with self._path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows((step, seconds, name, repr(float(value))) for name, value in values.items())
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def histogram(self, step: int, name: str, values: Tensor) -> None:
        """Show the distribution of values in TensorBoard."""
        self._board.add_histogram(name, values, step)

    def picture(self, step: int, name: str, image: NDArray[np.uint8]) -> None:
        """Show an RGB image, shape (H, W, 3), in TensorBoard."""
        self._board.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Write out what TensorBoard holds back."""
        self._board.close()


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Return the rows of a metrics CSV; a last line that a crash cut short is left out."""
    if not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return list(csv.DictReader(lines))


class Averages:
    """Means of measures over the steps between two logs; they stay on their device until then."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, measures: Mapping[str, Tensor]) -> None:
        """Add the measures of one step."""
        for name, value in measures.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.detach().clone()
        self._count += 1

    def take(self) -> dict[str, float]:
        """Return the means and start anew."""
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means
