"""The page as a browser gets it: complete, self-contained, every picture decodes."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from qtopt_collector.report.page import latency_text, megabytes, page
from support.page import Parsed, decode
from support.recordings import recording

CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)


def test_every_tag_is_closed_in_order() -> None:
    assert Parsed(page("t", [recording(search=True)], 1)).open == []


def test_every_reference_is_an_image_that_decodes() -> None:
    parsed = Parsed(page("t", [recording(policy="cem", search=True), recording(name="two", count=4)], 2))
    # 7 steps + 7 searches + 2 drops, and 4 steps + 2 drops
    assert len(parsed.references) == 22
    assert {decode(uri).shape for uri in parsed.references} == {(64, 64, 3)}


def test_pictures_hold_the_pixels_of_the_episode() -> None:
    source = recording(count=3)
    parsed = Parsed(page("t", [source], 1))
    shown = np.stack([cv2.cvtColor(decode(uri), cv2.COLOR_BGR2RGB) for uri in parsed.references[:3]])
    np.testing.assert_array_equal(shown, source.episode.steps.image)


def test_a_policy_that_does_not_search_shows_no_candidates() -> None:
    assert "Candidates" not in page("t", [recording(policy="scripted", search=True)], 1)


def test_one_picture_per_step() -> None:
    assert Parsed(page("t", [recording(count=9)], 1)).classes.count("step") == 9


def test_outcomes_are_badges() -> None:
    recordings = [
        recording(success=True),
        recording(success=False),
        recording(success=None, end_reason="watchdog"),
    ]
    classes = Parsed(page("t", recordings, 3)).classes
    assert [classes.count(name) for name in ("success", "failure", "aborted")] == [1, 1, 1]


def test_numbers_count_all_bags_and_sections_only_the_shown() -> None:
    recordings = [recording(name=f"e{i}", success=i < 3) for i in range(5)]
    parsed = Parsed(page("t", recordings, 2))
    assert parsed.classes.count("episode") == 2
    assert "5episodes, 0 aborted" in parsed.text
    assert "3successful grasps of 5" in parsed.text
    assert "The first 2 of 5 are shown" in parsed.text


def test_markup_in_names_is_escaped() -> None:
    html = page("<b>x</b>", [recording(policy="<script>alert(1)</script>")], 1, ["<i>note</i>"])
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "<i>" not in html


def test_notes_come_before_the_numbers() -> None:
    text = Parsed(page("t", [recording()], 1, ["The network is untrained."])).text
    assert text.index("The network is untrained.") < text.index("episodes")


def test_no_bags_make_a_page_too() -> None:
    assert "0episodes" in Parsed(page("t", [], 10)).text


def test_latency_is_over_all_decisions() -> None:
    one, two = recording(), recording()
    recordings = [replace(one, latency=np.array([0.010, 0.020])), replace(two, latency=np.array([0.030]))]
    assert latency_text(recordings).startswith("20 / ")


def test_latency_that_was_not_recorded_is_a_dash() -> None:
    assert latency_text([replace(recording(), latency=np.empty(0))]) == "-"


@pytest.mark.parametrize(("size", "text"), [(1_500_000, "1.5 MB"), (2_400, "2.4 kB")])
def test_sizes(size: int, text: str) -> None:
    assert megabytes(size) == text


PROBE = """<script>addEventListener("load", () => {
const pictures = [...document.images].map(i => i.naturalWidth);
document.title = `probe ${document.documentElement.scrollWidth} ${innerWidth} ${Math.min(...pictures)}`;
});</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [500, 1280])
def test_page_fits_the_window_of_a_browser(tmp_path: Path, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_text(page("t", [recording(search=True)], 1) + PROBE)
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"]
    command += [f"--user-data-dir={tmp_path}/profile", "--dump-dom", file.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout
    start = found.index("<title>probe ") + len("<title>probe ")
    page_width, window_width, least = map(int, found[start : found.index("<", start)].split())
    assert page_width <= window_width
    assert least == 64
