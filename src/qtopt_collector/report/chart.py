"""Small charts as inline SVG: panels with one time axis, fixed value ranges, shared step marks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

WIDTH = 900.0
PANEL_HEIGHT = 78.0
LEFT, RIGHT, TOP, BOTTOM, GAP = 92.0, 12.0, 8.0, 26.0, 14.0


@dataclass(frozen=True, eq=False)
class Panel:
    """One curve over time.

    Attributes:
        title: with its unit.
        name: class of the curve for the style sheet.
        time: [s], shape (N,).
        value: shape (N,); not finite values leave a gap.
        low, high: range of the vertical axis.
        dots: draw a dot at every sample (for values of single steps).
    """

    title: str
    name: str
    time: F64
    value: F64
    low: float
    high: float
    dots: bool = False


def chart(panels: tuple[Panel, ...], marks: F64, end: float, unit: str = "s") -> str:
    """Return `panels` one below the other over [0, end] `unit`, with a vertical mark at each of `marks`."""
    height = TOP + len(panels) * PANEL_HEIGHT + (len(panels) - 1) * GAP + BOTTOM
    span = max(end, 1e-3)
    bottom = height - BOTTOM
    parts = [_mark(_x(mark, span), bottom, number) for number, mark in enumerate(marks, start=1)]
    for row, panel in enumerate(panels):
        parts.append(_panel(panel, TOP + row * (PANEL_HEIGHT + GAP), span))
    parts += [_tick(_x(tick, span), bottom, f"{tick:.7g} {unit}") for tick in _ticks(span)]
    return f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img">{"".join(parts)}</svg>'


def _ticks(span: float) -> list[float]:
    """Return 4 to 8 round times within the span: the largest of 1, 2, 5 x 10^k that gives at least 4."""
    power = 10.0 ** np.floor(np.log10(span))
    steps = [power * factor for factor in (5.0, 2.0, 1.0, 0.5, 0.2, 0.1)]
    step = next(step for step in steps if span / step >= 4.0)
    return [float(round(i * step, 9)) for i in range(int(span / step) + 1)]


def _x(time: float, span: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * time / span


def _mark(x: float, bottom: float, number: int) -> str:
    line = f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}">'
    return f"{line}<title>step {number}</title></line>"


def _tick(x: float, bottom: float, text: str) -> str:
    # The last one would be cut off by the edge of the picture.
    return _text(x, bottom + 17.0, text, "tick", "end" if x > WIDTH - RIGHT - 1.0 else "middle")


def _text(x: float, y: float, text: str, name: str, anchor: str) -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _panel(panel: Panel, top: float, span: float) -> str:
    bottom = top + PANEL_HEIGHT
    x = LEFT + (WIDTH - LEFT - RIGHT) * panel.time / span
    share = (np.clip(panel.value, panel.low, panel.high) - panel.low) / (panel.high - panel.low)
    y = bottom - share * PANEL_HEIGHT
    return (
        f'<rect class="plot" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL_HEIGHT}"/>'
        f"{_text(LEFT - 10.0, (top + bottom) / 2.0 + 4.0, panel.title, 'title', 'end')}"
        f"{_text(LEFT - 10.0, top + 10.0, f'{panel.high:g}', 'tick', 'end')}"
        f"{_text(LEFT - 10.0, bottom, f'{panel.low:g}', 'tick', 'end')}"
        f"{_curve(x, y, panel)}"
    )


def _curve(x: F64, y: F64, panel: Panel) -> str:
    parts = []
    finite = np.isfinite(y) & np.isfinite(x)
    # A gap where values are missing: one polyline per unbroken run.
    edges = np.flatnonzero(np.diff(np.concatenate([[False], finite, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[start:stop], y[start:stop], strict=True))
        parts.append(f'<polyline class="{panel.name}" points="{points}"/>')
    if panel.dots:
        pairs = zip(x[finite], y[finite], strict=True)
        parts += [f'<circle class="{panel.name}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in pairs]
    return "".join(parts)
