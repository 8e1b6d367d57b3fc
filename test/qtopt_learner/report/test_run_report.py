"""The page of a tiny run as a browser gets it: complete, self-contained, every picture decodes."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtopt_collector.bags.convert import write_episode
from qtopt_collector.bags.layout import METADATA, mcap_path
from qtopt_learner.cli import main
from qtopt_learner.metrics import CSV_FILE, Metrics
from qtopt_learner.report.curves import Series, collect, curves, thin
from qtopt_learner.report.episodes import own_sources, shard_results, spread
from qtopt_learner.report.page import flatten, page
from qtopt_learner.report.source import read_run
from qtopt_learner.store import StoreWriter
from qtopt_policy.errors import BagError, ConfigError
from support.episodes import make_signals
from support.page import Parsed, decode
from support.recordings import recording

CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
NUMBERS = ("loss", "q", "v", "label", "td_error", "label_age", "online_share", "rows_offline", "rows_online")
RATES = {"steps_per_second": 7.0, "labels_per_second": 900.0, "relabel_ratio": 1.0}
TITLES = ("loss", "Q", "V", "label", "TD error", "label age", "relabel ratio", "own share", "success")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of 300 steps with 6 episodes of 5 steps in 3 shards."""
    run = tmp_path / "run"
    metrics = Metrics(run)
    for step in (100, 200, 300):
        metrics.write(step, dict.fromkeys(NUMBERS, 1.0 / step) | RATES)
        metrics.write(step, {"success/cem": step / 300, "episodes/cem": 50.0})
    metrics.close()
    with StoreWriter(run / "episodes", "own0", 2) as writer:
        for i in range(6):
            writer.append(recording(f"own0-{i}", i, success=i > 2, policy="cem", count=5).episode)
    (run / "run.json").write_text(json.dumps({"train": {"steps": 400, "labels": {"fresh": True}}}))
    return run


def write_bag(bags: Path, name: str, closed: float, success: bool = True) -> Path:
    """Write a bag of 6 steps that was closed at a time [s]."""
    episode = recording(name, 1, success=success, policy="cem", count=6).episode
    bag = write_episode(bags, episode, make_signals(episode))
    os.utime(bag / METADATA, (closed, closed))
    return bag


def evaluation(complete: bool = True) -> dict[str, object]:
    rate = {"successes": 9, "trials": 10, "rate": 0.9, "interval_95": [0.6, 0.98]}
    row = {"policy": "cem", "episodes": 10, "aborted": 0, "truth": rate, "judged": rate, "mean_steps": 7.5}
    found: dict[str, object] = {"command": "qtopt evaluate --policies cem", "complete": complete}
    return found | {"trouble": "a node died", "benchmark_digest": "ab" * 32, "scores": [row]}


def test_every_tag_is_closed_and_every_reference_is_an_image(folder: Path) -> None:
    parsed = Parsed(page(read_run(folder, films=2)))
    assert parsed.open == []
    assert len(parsed.references) == 10
    assert {decode(uri).shape for uri in parsed.references} == {(64, 64, 3)}


def test_the_numbers_stand_on_the_page(folder: Path) -> None:
    text = Parsed(page(read_run(folder, films=0))).text
    assert "300gradient steps of 400" in text
    assert "6episodes of its own" in text
    assert "50.0 % [18.8, 81.2]" in text  # 3 of 6, Wilson
    for title in (*TITLES, "steps/s", "labels/s"):
        assert f">{title}<" in page(read_run(folder, films=0)), title
    assert "train.labels.freshTrue" in text


def test_film_strips_show_q_of_the_first_and_the_newest_episode(folder: Path) -> None:
    html = page(read_run(folder, films=2))
    assert Parsed(html).text.count("Q 0.") == 10
    assert "<b>own0-1</b>" in html
    assert "<b>own0-5</b>" in html


def test_an_evaluation_of_the_run_is_shown_with_the_command_that_repeats_it(folder: Path) -> None:
    (folder / "evaluation.json").write_text(json.dumps(evaluation()))
    text = Parsed(page(read_run(folder, films=0))).text
    assert "qtopt evaluate --policies cem" in text
    assert "90.0 % [59.6, 98.2]" in text
    assert "Not complete" not in text


def test_an_evaluation_that_did_not_finish_says_so(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "part.json"
    file.write_text(json.dumps(evaluation(complete=False)))
    assert "Not complete. a node died" in Parsed(page(read_run(folder, 0, (file,)))).text


def test_a_run_without_episodes_of_its_own_has_a_page_too(folder: Path) -> None:
    shutil.rmtree(folder / "episodes")
    text = Parsed(page(read_run(folder, films=3))).text
    assert "0episodes of its own" in text
    assert "Film strips" not in text


def test_bags_in_the_folder_of_the_run_are_its_own_episodes(folder: Path) -> None:
    shutil.rmtree(folder / "episodes")
    write_bag(folder / "episodes", "first", 30.0, success=False)
    write_bag(folder / "episodes", "last", 90.0)
    write_bag(folder / "episodes", "middle", 60.0)
    run = read_run(folder, films=2)
    assert [(r.policy, r.steps, r.success) for r in run.results] == [
        ("cem", 6, False),
        ("cem", 6, True),
        ("cem", 6, True),
    ]
    assert [film.episode.info.episode_id for film in run.films] == ["first", "last"]
    parsed = Parsed(page(run))
    assert parsed.open == []
    assert "3episodes of its own" in parsed.text
    assert "<b>last</b>" in page(run)
    assert "Left out" not in parsed.text


def test_bags_of_watched_folders_come_with_the_shards_in_order_of_time(folder: Path, tmp_path: Path) -> None:
    places = [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "b" / ".." / "a")]
    (folder / "run.json").write_text(json.dumps({"online": {"bags": places}}))
    write_bag(tmp_path / "a", "old", 30.0)
    newest = max(path.stat().st_mtime for path in (folder / "episodes").iterdir())
    write_bag(tmp_path / "b", "new", newest + 10)
    run = read_run(folder, films=2)
    assert [result.steps for result in run.results] == [6, *[5] * 6, 6]
    assert [film.episode.info.episode_id for film in run.films] == ["old", "new"]


def test_what_cannot_be_read_is_left_out_by_name(folder: Path, tmp_path: Path) -> None:
    cut, never_closed = write_bag(tmp_path / "bags", "cut", 30.0), write_bag(tmp_path / "bags", "open", 40.0)
    mcap_path(cut).write_bytes(mcap_path(cut).read_bytes()[:-200])
    (never_closed / METADATA).unlink()
    shard = sorted((folder / "episodes").iterdir())[0]
    shard.write_bytes(shard.read_bytes()[:-200])
    missing = tmp_path / "missing"
    (folder / "run.json").write_text(json.dumps({"online": {"bags": [str(tmp_path / "bags"), str(missing)]}}))
    run = read_run(folder, films=4)
    assert len(run.results) == 4
    assert len(run.films) == 2
    reasons = sorted(run.refused)
    starts = [f"{mcap_path(cut)}: torn", f"{never_closed}: torn: never closed", f"{missing}: does not exist"]
    starts.append(f"{shard}: cannot be read")
    assert len(reasons) == 4
    for reason, start in zip(reasons, sorted(starts), strict=True):
        assert reason.startswith(start)
    assert Parsed(page(run)).text.count("Left out: ") == 4


def test_markup_in_names_is_escaped(folder: Path) -> None:
    run = replace(read_run(folder, 0), config={"out": "<script>alert(1)</script>"})
    run = replace(run, series={"success/<i>x</i>": Series(np.ones(1), np.ones(1))})
    html = page(run)
    assert "<script" not in html
    assert "<i>" not in html


def test_the_command_writes_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--films", "1"]) == 0
    assert f"{folder}/report.html" in capsys.readouterr().out
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert [path.name for path in folder.glob(".*")] == []


def test_a_folder_without_a_run_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert f"{tmp_path / CSV_FILE}: no numbers of a training run" in capsys.readouterr().err


def test_files_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "run.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"run\.json: expected a JSON object, found list"):
        read_run(folder, 0)
    (folder / "run.json").write_text("{")
    with pytest.raises(ConfigError, match=r"run\.json: cannot be read"):
        read_run(folder, 0)
    shard = own_sources(folder, {})[0][0]
    shard.write_bytes(b"torn")
    with pytest.raises(BagError, match=shard.name):
        shard_results(shard)


def test_outcomes_are_those_of_the_episodes(folder: Path) -> None:
    found = [result for shard in own_sources(folder, {})[0] for result in shard_results(shard)]
    assert [result.success for result in found] == [False] * 3 + [True] * 3
    assert {(result.policy, result.steps) for result in found} == {("cem", 5)}


def test_shards_are_spread_evenly_with_both_ends() -> None:
    paths = [Path(str(i)) for i in range(11)]
    assert [path.name for path in spread(paths, 3)] == ["0", "5", "10"]
    assert spread(paths[:2], 5) == paths[:2]
    assert spread([], 5) == []


def test_thinning_keeps_the_mean() -> None:
    rng = np.random.default_rng(0)
    full = Series(
        np.asarray(range(1200), dtype=np.float64), np.asarray(rng.normal(size=1200), dtype=np.float64)
    )
    thinned = thin(full, 400)
    assert len(thinned.step) == 400
    assert thinned.value.mean() == pytest.approx(full.value.mean())
    np.testing.assert_array_equal(thin(full, 2000).value, full.value)


def test_a_number_that_is_not_finite_leaves_a_gap() -> None:
    rows = [{"name": "loss", "step": str(i), "value": v} for i, v in enumerate(["1", "nan", "2", "3"])]
    html = curves(collect(rows), 4.0)
    assert html.count("<polyline") == 2
    assert "nan" not in html


def test_nested_parameters_get_dotted_names() -> None:
    assert list(flatten({"a": {"b": 1, "c": {}}, "d": [2]})) == [("a.b", "1"), ("a.c", "{}"), ("d", "[2]")]


PROBE = """<script>const errors = [];
addEventListener("error", event => errors.push(event.message), true);
const log = console.error; console.error = (...words) => { errors.push(words.join(" ")); log(...words); };
addEventListener("load", async () => {
const pictures = [...document.querySelectorAll("svg image")].map(i => i.getAttribute("href"));
const widths = await Promise.all(pictures.map(href => new Promise(done => {
const image = new Image(); image.onload = () => done(image.naturalWidth); image.onerror = () => done(0);
image.src = href; })));
document.title = `probe ${document.documentElement.scrollWidth} ${innerWidth} ${widths.length} ` +
`${Math.min(...widths)} ${errors.length}`;
});</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_page_opens_in_a_browser(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(read_run(folder, films=2)).replace("<head>", f"<head>{PROBE}"))
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"]
    command += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=5000", "--dump-dom"]
    found = subprocess.run(
        [*command, file.as_uri()], capture_output=True, text=True, timeout=100, check=True
    ).stdout
    start = found.index("<title>probe ") + len("<title>probe ")
    page_width, window, pictures, least, errors = map(int, found[start : found.index("<", start)].split())
    assert page_width <= window
    assert (pictures, least) == (10, 64)
    assert errors == 0
