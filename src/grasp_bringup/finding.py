"""One line of the doctor's report."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "absent", "wrong"]
STYLES: dict[Level, str] = {"ok": "green", "absent": "yellow", "wrong": "bold red"}


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        subject: what was looked at.
        level: `ok`; `absent`, but only needed for what the text says; `wrong`, must be mended.
        text: what was found.
        mend: command or step that mends it, if any.
    """

    subject: str
    level: Level
    text: str
    mend: str = ""
