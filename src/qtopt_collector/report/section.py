"""The section of one episode: outcome, film strip, curves, pictures of the drop, its record."""

from html import escape

import numpy as np

from qtopt_collector.report.chart import Panel, chart
from qtopt_collector.report.frame import data_uri, film_frame
from qtopt_collector.report.recording import Recording, Trace
from qtopt_policy.grasp_action import ActionFrame


def outcome(recording: Recording) -> str:
    """Return `success`, `failure` or `aborted`."""
    info = recording.episode.info
    if info.aborted or info.success is None:
        return "aborted"
    return "success" if info.success else "failure"


def episode_section(recording: Recording, unfolded: bool) -> str:
    """Return the section of one bag as `<details>`."""
    episode = recording.episode
    frame = _action_frame(recording)
    strip = "".join(film_frame(episode, index, frame) for index in range(len(episode.steps)))
    return (
        f'<details class="episode" id="{escape(episode.info.episode_id)}"{" open" if unfolded else ""}>'
        f'<summary>{_headline(recording)}</summary><div class="body">'
        f'<div class="strip">{strip}</div>{_curves(recording)}{_search(recording)}{_drop(recording)}'
        f"{_record(recording)}</div></details>"
    )


def _action_frame(recording: Recording) -> ActionFrame:
    return "base" if recording.episode.info.mdp.get("action_frame") == "base" else "tool"


def _headline(recording: Recording) -> str:
    info = recording.episode.info
    result = outcome(recording)
    truth = "" if info.truth is None else f"ground truth: {'held' if info.truth else 'not held'}"
    texts = [
        info.policy,
        f"seed {info.seed}",
        f"{len(recording.episode.steps)} steps, ended by {info.end_reason}",
        _apertures(info.aperture_closed, info.aperture_lifted),
        truth,
    ]
    spans = "".join(f"<span>{escape(text)}</span>" for text in texts if text)
    return f'<b>{escape(info.episode_id)}</b><em class="badge {result}">{result}</em>{spans}'


def _apertures(closed: float, lifted: float) -> str:
    if not (np.isfinite(closed) and np.isfinite(lifted)):
        return ""
    return f"aperture {closed * 1000:.0f} mm closed, {lifted * 1000:.0f} mm lifted"


def _curves(recording: Recording) -> str:
    steps = recording.episode.steps
    if not len(steps):
        return ""
    start = float(steps.stamp[0])
    ends = [recording.aperture.time[-1:], recording.height.time[-1:], steps.stamp[-1:] + steps.duration[-1:]]
    end = float(np.max(np.concatenate(ends))) - start
    panels = [
        _trace_panel("aperture", recording.aperture, start),
        _trace_panel("height", recording.height, start),
    ]
    if np.isfinite(steps.q).any():
        panels.insert(0, Panel("Q", "q", steps.stamp - start, steps.q, 0.0, 1.0, dots=True))
    return f'<div class="wide">{chart(tuple(panels), steps.stamp - start, end)}</div>'


def _trace_panel(name: str, trace: Trace, start: float) -> Panel:
    """Return the panel of a length over the time since `start`, in [mm], its range rounded up to 20 mm."""
    shown = trace.time >= start
    value = trace.value[shown] * 1000.0
    high = 20.0 * max(1.0, float(np.ceil(np.max(value, initial=0.0) / 20.0 - 1e-6)))
    return Panel(f"{name}, mm", name, trace.time[shown] - start, value, 0.0, high)


def _search(recording: Recording) -> str:
    # Policies that do not search have nothing to show beyond the film strip.
    if not np.isfinite(recording.episode.steps.q).any() or not recording.search:
        return ""
    pictures = "".join(
        f'<figure><img src="{data_uri(image)}" alt="candidates of step {index + 1}">'
        f"<figcaption><b>{index + 1}</b></figcaption></figure>"
        for index, image in sorted(recording.search.items())
    )
    return (
        '<details class="inner" open><summary>Candidates of the search, coloured by Q</summary>'
        f'<div class="strip">{pictures}</div></details>'
    )


def _drop(recording: Recording) -> str:
    if not recording.drop:
        return ""
    pictures = "".join(
        f'<figure><img src="{data_uri(image)}" alt="{escape(moment)} the drop">'
        f"<figcaption>{escape(moment)} the drop</figcaption></figure>"
        for moment, image in recording.drop.items()
    )
    return (
        '<details class="inner"><summary>The bin before and after the drop</summary>'
        f'<div class="strip">{pictures}</div></details>'
    )


def _record(recording: Recording) -> str:
    info = recording.episode.info
    pairs = {
        "bag": str(recording.path),
        "robot": info.robot,
        "checkpoint": info.checkpoint or "none",
        "epsilon": f"{info.epsilon:g}",
        "benchmark": info.benchmark or "none",
        "package": info.package_version,
        "size": f"{recording.size / 1e6:.2f} MB",
        "MDP": ", ".join(f"{key} {value}" for key, value in info.mdp.items()),
        "limits": ", ".join(f"{key} {value}" for key, value in info.limits.items()),
    }
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in pairs.items())
    return f'<details class="inner"><summary>Recorded with</summary><dl>{rows}</dl></details>'
