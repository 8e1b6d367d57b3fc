"""The page of a run: numbers on top, then curves, film strips and what was asked for."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from qtopt_collector.report.page import SCORES, cards, document, score_table, table
from qtopt_collector.report.score import Rate, scores
from qtopt_collector.report.section import episode_section
from qtopt_collector.report.style import CSS
from qtopt_learner.report.curves import curves
from qtopt_learner.report.source import RunContents

STYLE = (
    CSS
    + """
.chart polyline.loss{stroke:var(--soft)}.chart polyline.v{stroke:var(--height)}
.chart polyline.label{stroke:var(--aperture)}.chart polyline.error{stroke:var(--warn)}
.chart polyline.success{stroke:var(--good)}.chart circle.success{fill:var(--good)}
.note{overflow-wrap:anywhere}
"""
)
# Success is told over so many of the newest episodes.
NEWEST = 400


def page(run: RunContents) -> str:
    """Return the report as one HTML document without references to other files."""
    title = f"Training run {run.folder.name}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _cards(run),
        *_evaluations(run.evaluations),
        *_scores(run.scores),
        *_own(run),
        curves(run.series, float(run.step)),
        *_films(run),
        "<h2>Configuration</h2>",
        _definitions(flatten(run.config)),
    ]
    return document(title, parts, STYLE)


def _cards(run: RunContents) -> str:
    total = run.config.get("train", {}).get("steps", run.step)
    rows = [
        (f"{run.step}", f"gradient steps of {total}"),
        (duration(run.seconds), "training"),
        (f"{len(run.results)}", "episodes of its own"),
    ]
    names = (("rows_offline", "offline rows"), ("rows_online", "own rows"))
    rows += [(f"{run.series[name].last:.0f}", text) for name, text in names if name in run.series]
    if "td_error" in run.series:
        rows.append((f"{run.series['td_error'].last:.3f}", "TD error, newest"))
    return cards(rows)


def duration(seconds: float) -> str:
    """Return a time as text, in minutes below two hours."""
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.1f} min"


def _own(run: RunContents) -> list[str]:
    if not run.results and not run.refused:
        return []
    parts = ["<h2>Its own episodes</h2>"]
    if run.results:
        newest = run.results[-NEWEST:]
        count = f"The newest {len(newest)} of {len(run.results)} episodes"
        parts += [f"<p>{count} that the run has played while it learned.</p>", score_table(scores(newest))]
    return parts + [f'<p class="note">{escape(f"Left out: {reason}")}</p>' for reason in run.refused]


def _evaluations(evaluations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    parts = []
    for name, found in evaluations.items():
        rows = [
            (
                str(row["policy"]),
                f"{row['episodes']}",
                f"{row['aborted']}",
                _rate(row["judged"]),
                _rate(row["truth"]),
                "-" if row["mean_steps"] is None else f"{row['mean_steps']:.1f}",
            )
            for row in found["scores"]
        ]
        origin = f"{found['command']} (benchmark {found['benchmark_digest'][:12]}, {name})"
        end = "" if found["complete"] else f" <b>Not complete.</b> {escape(str(found['trouble']))}"
        parts += ["<h2>Evaluation</h2>", f"<p>{escape(origin)}{end}</p>", table(SCORES, rows)]
    return parts


def _scores(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    if not scores:
        return []
    rows = []
    for row in scores:
        count, success = len(row["returns"]), row["successes"]
        told = "-" if success is None else str(Rate(int(success), count))
        margin = "" if row["margin_95"] is None else f" +- {row['margin_95']:.2f}"
        rows.append(
            (
                str(row["policy"]),
                f"{count}",
                f"{row['mean']:.2f}{margin}",
                told,
                f"{row['steps'] / count:.1f}",
            )
        )
    head = ("policy", "episodes", "return [95 %]", "success [95 %]", "steps per episode")
    seeds = scores[0]["seeds"]
    text = f"Episodes with the seeds {seeds[0]} to {seeds[1]}, the same for all; returns are not discounted."
    return ["<h2>Scores</h2>", f"<p>{text}</p>", table(head, rows)]


def _rate(found: Mapping[str, Any]) -> str:
    return str(Rate(int(found["successes"]), int(found["trials"])))


def _films(run: RunContents) -> list[str]:
    if not run.films:
        return []
    text = (
        f"{len(run.films)} of its own episodes, the first, the newest and some between. Each picture "
        "is what the network saw, with Q of the chosen action. White: the fingers now. Colour: where the "
        "action sends them."
    )
    sections = (episode_section(film, unfolded=True) for film in run.films)
    return ["<h2>Film strips</h2>", f"<p>{text}</p>", *sections]


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Return the entries of nested mappings by dotted names."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in pairs)
    return f'<details class="inner" open><summary>run.json</summary><dl>{rows}</dl></details>'
