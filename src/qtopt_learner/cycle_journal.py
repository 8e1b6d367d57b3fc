"""cycle.jsonl: one line of JSON for every stage that has ended, with its numbers."""

import json
import os
from pathlib import Path
from typing import Any

from qtopt_policy.errors import ConfigError

Entry = dict[str, Any]


class Journal:
    """The stages of a cycle that have ended, in order.

    A line that was being written when the process died is dropped, so that its stage is done again.

    Args:
        path: of the file; it need not exist yet.

    Raises:
        ConfigError: the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_bytes() if path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            os.truncate(path, len(whole))
        try:
            self.entries: list[Entry] = [json.loads(line) for line in whole.splitlines()]
            self._found = {(entry["stage"], entry["round"]): entry for entry in self.entries}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}: cannot be read as the journal of a cycle: {error!r}") from error

    def find(self, stage: str, number: int) -> Entry | None:
        """Return what was noted of a stage of round `number`, None if it has not ended."""
        return self._found.get((stage, number))

    def add(self, stage: str, number: int, numbers: Entry) -> Entry:
        """Note that a stage has ended; the line is on the disk when this returns."""
        entry = {"stage": stage, "round": number, **numbers}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.entries.append(entry)
        self._found[(stage, number)] = entry
        return entry
