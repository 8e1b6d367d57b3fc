"""The numbers of a run (metrics.csv) as charts over its gradient steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from qtopt_collector.report.chart import Panel, chart

F64 = NDArray[np.float64]
# success/<policy> of the run's own episodes, success_<split>/<policy> of evaluations.
SUCCESS = "success"
# Points of a curve at most; more are averaged, since a chart has fewer pixels.
POINTS = 400


@dataclass(frozen=True, eq=False)
class Series:
    """One number over a run: gradient step and value, both of shape (N,), in order of the steps."""

    step: F64
    value: F64

    @property
    def last(self) -> float:
        """The newest value."""
        return float(self.value[-1])


@dataclass(frozen=True)
class Curve:
    """How one number is shown.

    Attributes:
        name: in metrics.csv.
        title: beside the chart.
        colour: class of the style sheet.
        top: upper end of the axis; None takes the largest value.
    """

    name: str
    title: str
    colour: str
    top: float | None = None


GROUPS: tuple[tuple[str, str, tuple[Curve, ...]], ...] = (
    (
        "Learning",
        "Q of the transitions trained on, V of the states that they lead to, the label that Q should have, "
        "and how far Q is from it (TD error), as means over the steps between two logs.",
        (
            Curve("loss", "loss", "loss"),
            Curve("q", "Q", "q", 1.0),
            Curve("v", "V", "v", 1.0),
            Curve("label", "label", "label", 1.0),
            Curve("td_error", "TD error", "error"),
            Curve("gradient_norm", "gradient", "loss"),
            Curve("learning_rate", "rate", "loss"),
        ),
    ),
    (
        "Data",
        "Age of the labels in gradient steps, labels made per transition trained on (1 where each batch is "
        "labelled for itself), share of its own episodes in a batch, and rows held.",
        (
            Curve("label_age", "label age", "error"),
            Curve("relabel_ratio", "relabel ratio", "label"),
            Curve("online_share", "own share", "q", 1.0),
            Curve("return/exploring", "own return", "success"),
            Curve("rows_offline", "offline rows", "label"),
            Curve("rows_online", "own rows", "v"),
        ),
    ),
    (
        "Throughput",
        "Per second of the wall clock; labels with those of the updaters.",
        (Curve("steps_per_second", "steps/s", "label"), Curve("labels_per_second", "labels/s", "v")),
    ),
)


def collect(rows: Iterable[Mapping[str, str]]) -> dict[str, Series]:
    """Return the rows of a metrics CSV by name."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append((float(row["step"]), float(row["value"])))
    tables = {name: np.array(sorted(pairs, key=lambda pair: pair[0])) for name, pairs in found.items()}
    return {name: Series(table[:, 0], table[:, 1]) for name, table in tables.items()}


def thin(series: Series, points: int = POINTS) -> Series:
    """Return means of equally many neighbours, at most `points` of them."""
    size = -(-len(series.step) // points)
    starts = np.arange(0, len(series.step), size)
    counts = np.diff(np.append(starts, len(series.step)))
    return Series(
        np.add.reduceat(series.step, starts) / counts, np.add.reduceat(series.value, starts) / counts
    )


def curves(series: Mapping[str, Series], end: float) -> str:
    """Return all charts of a run of `end` gradient steps as HTML; numbers it does not have are left out."""
    parts = [_success(series, end)]
    for title, text, group in GROUPS:
        panels = [_panel(curve, series[curve.name]) for curve in group if curve.name in series]
        if panels:
            parts.append(f"<h2>{title}</h2><p>{text}</p>{_chart(panels, end)}")
    return "".join(parts)


def _success(series: Mapping[str, Series], end: float) -> str:
    names = [name for name in series if name.startswith(SUCCESS)]
    if not names:
        return ""
    charts = [
        f"<p><b>{escape(name.removeprefix('success/'))}</b></p>"
        + _chart([_panel(Curve(name, "success", "success", 1.0), series[name], dots=True)], end)
        for name in names
    ]
    text = (
        "Share of the run's own episodes that held an object at their end, by policy, as they came in; "
        "success_test and success_train are from evaluations."
    )
    return f"<h2>Success</h2><p>{text}</p>{''.join(charts)}"


def _panel(curve: Curve, series: Series, dots: bool = False) -> Panel:
    shown = thin(series)
    finite = shown.value[np.isfinite(shown.value)]
    low = min(0.0, float(np.min(finite, initial=0.0)))
    high = float(np.max(finite, initial=0.0)) if curve.top is None else curve.top
    high = float(f"{high:.2g}") * 1.05 if curve.top is None else high
    return Panel(curve.title, curve.colour, shown.step, shown.value, low, high if high > low else 1.0, dots)


def _chart(panels: Sequence[Panel], end: float) -> str:
    return f'<div class="wide">{chart(tuple(panels), np.empty(0), end, "steps")}</div>'
