"""A ring of rows in memory-mapped columns: replay larger than memory, and a second start in seconds.

Rows have absolute numbers that only grow; row n lies at n % capacity, and [first, end) is what is held. A
folder keeps the columns and `index.json`, which names what was taken in. The index gives up old rows before
they are overwritten and takes new ones in after they are written, so that whoever dies in between leaves a
replay that is whole. Only one process appends; any number may read, and write labels.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from qtopt_learner.rows import UNLABELLED, Layout, Rows
from qtopt_policy.config import to_mapping
from qtopt_policy.errors import ConfigError

Index = NDArray[np.int64]
INDEX_FILE = "index.json"


def capacity_of(layout: Layout, gigabytes: float) -> int:
    """Return how many rows fit.

    Raises:
        ConfigError: not even one.
    """
    rows = int(gigabytes * 1e9 / layout.row_bytes)
    if rows < 1:
        raise ConfigError(f"replay of {gigabytes} GB: one row takes {layout.row_bytes} bytes")
    return rows


class Replay:
    """A ring of rows.

    Args:
        layout: of the rows.
        capacity: rows held at most.
        folder: where the columns lie; None keeps them in memory.

    Raises:
        ConfigError: the folder holds a replay of another layout or capacity.
    """

    def __init__(self, layout: Layout, capacity: int, folder: Path | None = None) -> None:
        self.layout = layout
        self.capacity = capacity
        self.first = 0
        self.end = 0
        self.sources: list[str] = []
        self._folder = folder
        self._shape = to_mapping(layout) | {"capacity": capacity, "columns": list(layout.columns())}
        known = self._read_index()
        self._columns = {name: self._column(name, known) for name in layout.columns()}
        if not known:
            self._write_index()  # whoever opens the folder from now on shares these columns

    def _read_index(self) -> bool:
        if self._folder is None or not (self._folder / INDEX_FILE).exists():
            return False
        path = self._folder / INDEX_FILE
        index = json.loads(path.read_text())
        if index["shape"] != self._shape:
            raise ConfigError(f"{path}: a replay of {index['shape']}, expected {self._shape}")
        self.first, self.end, self.sources = index["first"], index["end"], index["sources"]
        return True

    def _column(self, name: str, known: bool) -> NDArray[Any]:
        dtype, shape = self.layout.columns()[name]
        full = (self.capacity, *shape)
        if self._folder is None or 0 in full:  # an empty file cannot be mapped
            return np.zeros(full, dtype=dtype)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.npy"
        mode = "r+" if known else "w+"
        mapped = cast(Any, np.lib.format).open_memmap(path, mode=mode, dtype=dtype, shape=full)
        return cast(NDArray[Any], mapped)

    def __len__(self) -> int:
        return self.end - self.first

    def append(self, rows: Rows, *sources: str) -> None:
        """Take in the rows of whole episodes; the oldest rows give way.

        Args:
            rows: episodes one after another, in columns.
            sources: names of the files they came from, kept so that they are not taken in twice.

        Raises:
            ShapeError: a column does not fit the layout.
            ConfigError: there are more rows than the ring holds.
        """
        count = self.layout.check(rows)
        if count > self.capacity:
            names = ", ".join(sources)
            raise ConfigError(f"{names}: {count} rows exceed the replay's capacity of {self.capacity}")
        kept = max(self.first, self.end + count - self.capacity)
        if kept > self.first:
            self.first = kept
            self._write_index()
        places = np.arange(self.end, self.end + count) % self.capacity
        for name, column in self._columns.items():
            column[places] = rows[name]
        self.end += count
        self.sources.extend(sources)
        self.commit()

    def commit(self) -> None:
        """Bring what was appended to the disk."""
        for column in self._columns.values():
            if isinstance(column, np.memmap):
                column.flush()
        self._write_index()

    def _write_index(self) -> None:
        if self._folder is None:
            return
        index = {"shape": self._shape, "first": self.first, "end": self.end, "sources": self.sources}
        temporary = self._folder / f".{INDEX_FILE}.{os.getpid()}.tmp"
        temporary.write_text(json.dumps(index))
        temporary.rename(self._folder / INDEX_FILE)

    def get(self, name: str, rows: Index) -> NDArray[Any]:
        """Return one column of rows given by absolute number; a copy."""
        picked: NDArray[Any] = self._columns[name][rows % self.capacity]
        return picked

    def gather(self, rows: Index, names: Sequence[str] = ()) -> Rows:
        """Return columns (all if no names are given) of rows given by absolute number; copies."""
        return {name: self.get(name, rows) for name in names or self._columns}

    def is_transition(self, rows: Index) -> NDArray[np.bool_]:
        """Return which rows lead somewhere: to a next row or to the episode's known end."""
        leads: NDArray[np.bool_] = (self.get("remaining", rows) > 0) | self.get("complete", rows)
        return leads

    def labelled(self) -> int:
        """Return how many of the rows held have a label."""
        made = self.get("value_step", np.arange(self.first, self.end))
        return int(np.count_nonzero(made != UNLABELLED))

    def transitions(self) -> int:
        """Return how many of the rows held are transitions."""
        return int(self.is_transition(np.arange(self.first, self.end)).sum())

    def refresh(self) -> None:
        """See what another process has appended since."""
        self._read_index()

    def set_values(self, rows: Index, values: NDArray[np.float32], step: int) -> None:
        """Cache the labels of rows, made at gradient step `step`."""
        places = rows % self.capacity
        self._columns["value"][places] = values
        self._columns["value_step"][places] = step

    def void(self, rows: Index) -> None:
        """Take back what was written into the places of rows that have given way."""
        places = np.unique(rows % self.capacity)
        self._columns["value_step"][places] = UNLABELLED

    def label_state(self) -> dict[str, NDArray[Any]]:
        """Return the cached labels of the rows held, for a checkpoint."""
        rows = np.arange(self.first, self.end)
        return self.gather(rows, ("value", "value_step"))

    def load_label_state(self, state: dict[str, NDArray[Any]], first: int) -> None:
        """Take over the labels of rows `first` and following; all other rows become unlabelled."""
        self._columns["value_step"][:] = UNLABELLED
        rows = np.arange(first, first + len(state["value"]))
        held = (rows >= self.first) & (rows < self.end)
        for name in ("value", "value_step"):
            self._columns[name][rows[held] % self.capacity] = state[name][held]
