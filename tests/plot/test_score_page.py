"""The page of a report: one file, with every method, every picture and the numbers of the report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_cells, small_grid

from nowcast.plot import save_figure
from nowcast.plot.score_page import PICTURES, pictures_of, score_page
from nowcast.verify import Report, Tally

GRID = small_grid((4, 32, 40))
LEADS = np.array([10, 20, 30], "timedelta64[m]").astype("timedelta64[ns]")
METHODS = ("persistence", "extrapolation", "steps", "another <b>")


def report_of(events: int, *, ensemble: bool = True) -> Report:
    """A worse and a better forecast, an ensemble around the truth, and a method of unknown name."""
    rng = np.random.default_rng(0)
    methods = METHODS if ensemble else METHODS[:2]
    by_event: dict[str, dict[int, Tally]] = {name: {} for name in methods}
    for event in range(events):
        truth = moving_cells(GRID, seed=event, steps=4, cells=5, peak_dbz=60.0).reflectivity
        for name in methods:
            tally = by_event[name][event] = Tally(len(LEADS), GRID)
            for lead in range(len(LEADS)):
                observed = truth[lead + 1]
                noise = rng.normal(0, 5, (6, *GRID.shape)) if name == "steps" else 2.0
                shown = truth[0] if name == "persistence" else np.clip(observed + noise, 0, 80)
                tally.add(lead, shown.astype(np.float32), observed, np.ones(GRID.shape, bool))
    times = np.datetime64("2020-01-01", "ns") + np.arange(events) * np.timedelta64(1, "D")
    return Report(times, LEADS, np.arange(events), by_event, "observed voxels")


@pytest.fixture(scope="module")
def page() -> str:
    return score_page(report_of(3), "an <archive>")


class Elements(HTMLParser):
    """All elements with their attributes, the cells of tables, and which elements are open at the end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


def svgs(page: str) -> Iterator[ET.Element]:
    for text in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        yield ET.fromstring(text.replace("<svg", '<svg xmlns:xlink="x"', 1))


def test_nothing_is_fetched(page: str) -> None:
    elements = Elements(page)
    assert elements.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in elements.found}
    assert "http" not in page and "@import" not in page
    for _, attributes in elements.found:
        for name in ("href", "xlink:href", "src"):
            assert (attributes.get(name) or "#").startswith("#")


def test_pictures_are_whole_and_keep_their_parts_apart(page: str) -> None:
    pictures = list(svgs(page))
    assert len(pictures) == len(PICTURES)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:xlink:href="|url\()#([^")]+)', page)) <= set(ids)
    assert all(svg.get("aria-label") for svg in pictures)


def test_ink_is_the_pages_own_in_light_and_dark(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    for svg in svgs(page):
        text = ET.tostring(svg, encoding="unicode")
        assert "currentColor" in text and "#000000" not in text and "#ffffff" not in text


def test_every_method_and_score_is_there(page: str) -> None:
    cells = [cell.strip() for cell in Elements(page).cells]
    report = report_of(3)
    for name, tally in report.tallies.items():
        assert any(cell.startswith(name) for cell in cells)
        assert any(cell.startswith(f"{tally.mae().mean():.2f}") for cell in cells)
        hits = tally.counts.sum(axis=1)[0, 0]
        assert any(" / ".join(f"{n:,}" for n in hits) in cell for cell in cells)
    crps = report.tallies["steps"].ensemble.crps().mean()  # type: ignore[union-attr]
    assert any(cell.startswith(f"{crps:.2f}") for cell in cells)
    assert "steps mean of 6 members" in cells
    assert "an &lt;archive&gt;" in page and "<b>" not in page


def test_intervals_are_given_for_events_and_never_for_one() -> None:
    several, one = score_page(report_of(3), "x"), score_page(report_of(1), "x")
    assert re.search(r"<small>0\.\d{3} to \d\.\d{3}</small>", several)
    assert "3 events" in several and "too narrow" in several
    assert not re.search(r"<small>0\.\d{3} to \d\.\d{3}</small>", one)
    assert "there is no interval" in one


def test_without_members_there_is_no_ensemble_section(tmp_path: Path) -> None:
    report = report_of(1, ensemble=False)
    page = score_page(report, "x")
    assert "Ensemble:" not in page and "CRPS dBZ" not in page
    assert {p.key for p in pictures_of(report)} == {"scores", "by_height", "by_scale", "spectra", "areas"}


def test_methods_scored_at_other_times_are_told() -> None:
    report = report_of(2, ensemble=False)
    events = {name: dict(found) for name, found in report.by_event.items()}
    del events["persistence"][1]
    some = Report(report.initial_times, LEADS, report.event_of, events, report.scored_on)
    page = score_page(some, "x")
    assert "do not compare" in page


def test_pictures_of_a_dry_report_can_be_drawn(tmp_path: Path) -> None:
    tally = Tally(3, GRID)
    nothing = np.zeros((3, *GRID.shape), np.float32)
    for lead in range(3):
        tally.add(lead, nothing, nothing[0], np.ones(GRID.shape, bool))
    report = Report(np.array(["2020-01-01"], "datetime64[ns]"), LEADS, np.array([0]), {"steps": {0: tally}}, "voxels")
    for picture in pictures_of(report):
        assert save_figure(picture.draw(report), tmp_path / f"{picture.key}.png").stat().st_size > 0
    assert "nothing to compare" in score_page(report, "x")
