"""The whole page: numbers on top, one foldable section per episode below."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from qtopt_collector.report.recording import Recording
from qtopt_collector.report.score import Score, result_of, scores
from qtopt_collector.report.section import episode_section
from qtopt_collector.report.style import CSS

# Sections that are unfolded when the page opens.
UNFOLDED = 8

Row = Sequence[str]


def page(title: str, recordings: Sequence[Recording], shown: int, notes: Sequence[str] = ()) -> str:
    """Return the report as one HTML document without references to other files.

    Args:
        title: heading.
        recordings: all bags; every number is over all of them.
        shown: how many of them get a section of their own (the first ones).
        notes: sentences that the reader must see first, e.g. that a network is untrained.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        _cards(recordings),
        "<h2>Policies</h2>",
        score_table(scores([result_of(recording.episode) for recording in recordings])),
        "<h2>Topics</h2>",
        _topics(recordings),
        "<h2>Episodes</h2>",
        _legend(len(recordings), shown),
        *(episode_section(r, unfolded=i < UNFOLDED) for i, r in enumerate(recordings[:shown])),
    ]
    return document(title, parts)


def document(title: str, parts: Iterable[str], css: str = CSS) -> str:
    """Return an HTML document of `parts` without references to other files."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{css}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _cards(recordings: Sequence[Recording]) -> str:
    judged = [r.episode.info.success for r in recordings if not r.episode.info.aborted]
    steps = sum(len(r.episode.steps) for r in recordings)
    size = sum(r.size for r in recordings)
    rows = [
        (f"{len(recordings)}", f"episodes, {len(recordings) - len(judged)} aborted"),
        (f"{sum(map(bool, judged))}", f"successful grasps of {len(judged)}"),
        (f"{steps / max(1, len(recordings)):.1f}", "steps per episode"),
        (latency_text(recordings), "decision latency, p50 / p99"),
        (megabytes(size), f"in bags, {megabytes(size / max(1, len(recordings)))} per episode"),
    ]
    return cards(rows)


def cards(rows: Iterable[tuple[str, str]]) -> str:
    """Return numbers with their labels as cards in a row."""
    return '<div class="cards">' + "".join(_card(*row) for row in rows) + "</div>"


def _card(number: str, label: str) -> str:
    return f'<div class="card"><b>{escape(number)}</b><span>{escape(label)}</span></div>'


def latency_text(recordings: Iterable[Recording]) -> str:
    """Return the median and 99th percentile of all decisions as text, `-` where none was recorded."""
    values = [r.latency for r in recordings]
    merged = np.concatenate(values) if values else np.empty(0)
    merged = merged[np.isfinite(merged)]
    if not len(merged):
        return "-"
    p50, p99 = np.percentile(merged, [50, 99]) * 1000.0
    return f"{p50:.0f} / {p99:.0f} ms"


def megabytes(size: float) -> str:
    """Return a number of bytes as text."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


SCORES = ("policy", "episodes", "aborted", "as judged [95 %]", "ground truth [95 %]", "steps per episode")


def score_table(rows: Sequence[Score]) -> str:
    """Return one row per policy: success as judged and by ground truth, with 95 % intervals."""
    return table(
        SCORES,
        [
            (
                row.policy,
                f"{row.episodes}",
                f"{row.aborted}",
                str(row.judged),
                str(row.truth),
                f"{row.mean_steps:.1f}" if row.judged.trials else "-",
            )
            for row in rows
        ],
    )


def _topics(recordings: Sequence[Recording]) -> str:
    head = ("topic", "type", "messages per episode", "median rate", "longest gap")
    names = dict.fromkeys((topic.topic, topic.kind) for r in recordings for topic in r.topics)
    return table(head, [_topic(recordings, *name) for name in sorted(names)])


def _topic(recordings: Sequence[Recording], name: str, kind: str) -> Row:
    stats = [topic for r in recordings for topic in r.topics if topic.topic == name]
    rates = [stat.rate for stat in stats if np.isfinite(stat.rate)]
    gaps = [stat.gap for stat in stats if np.isfinite(stat.gap)]
    count = sum(stat.count for stat in stats) / len(recordings)
    rate = f"{np.median(rates):.1f} Hz" if rates else "-"
    return (name, kind, f"{count:.1f}", rate, f"{max(gaps):.2f} s" if gaps else "-")


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return a table that scrolls sideways where it is wider than the page."""
    top = "<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table>{top}{body}</table></div>'


def _legend(total: int, shown: int) -> str:
    limit = f" The first {shown} of {total} are shown." if shown < total else ""
    return (
        "<p>Each picture is what the network saw. White: the fingers now. Colour: the fingers where the "
        f"chosen action sends them; point at a picture for its numbers.{limit}</p>"
        '<div class="toggles"><label><input type="checkbox" id="smooth"> smooth pixels</label>'
        '<label><input type="checkbox" id="plain"> hide actions</label></div>'
    )
