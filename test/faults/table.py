"""What the fault injection found: a table for the terminal and for the documentation."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One fault; times are simulated ones.

    Attributes:
        fault: its name.
        outcome: what came of it.
        told: time until arm/state or /diagnostics told something [s], and what; None: nothing.
        rest: time until the arm was at rest [s]; None: it went on.
        speed: highest of the tool [m/s]; None: not looked at.
    """

    fault: str
    outcome: str
    told: tuple[float, str] | None
    rest: float | None
    speed: float | None


@dataclass
class Table:
    """Rows in the order in which they came."""

    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Add a row."""
        self.rows.append(row)

    def markdown(self) -> str:
        """Return the table in Markdown."""
        head = [
            "| fault | detected [ms] | at rest [ms] | fastest [m/s] | result | first word |",
            "| --- | --: | --: | --: | --- | --- |",
        ]
        return "\n".join([*head, *map(_line, self.rows)]) + "\n"

    def write(self, path: Path) -> None:
        """Write the table as Markdown."""
        path.write_text(self.markdown())


def _line(row: Row) -> str:
    told = f"{1000 * row.told[0]:.0f} | " if row.told else "- | "
    rest = "-" if row.rest is None else f"{1000 * row.rest:.0f}"
    word = row.told[1] if row.told else ""
    speed = "-" if row.speed is None else f"{row.speed:.2f}"
    return f"| {row.fault} | {told}{rest} | {speed} | {row.outcome} | {word} |"
