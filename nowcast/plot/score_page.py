"""A report as one web page that needs nothing else: pictures inside, no scripts, no network, light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

import nowcast
from nowcast.plot.curves import INK
from nowcast.plot.ensembles import ensembles_of, plot_ranks, plot_reliability, plot_spread
from nowcast.plot.score_words import CAPTIONS, DEFINITIONS, METHODS
from nowcast.plot.scores import plot_by_height, plot_by_lead, plot_by_scale
from nowcast.plot.structure import plot_areas, plot_spectra
from nowcast.units import iso_utc
from nowcast.verify import Report, bootstrap
from nowcast.verify.summary import Column, Score, summary_columns, verdict


@dataclass(frozen=True)
class Picture:
    """A picture of a report: the name of its file, the heading above it, and what draws it."""

    key: str
    title: str
    draw: Callable[[Report], Figure]
    of_ensembles: bool = False


PICTURES = (
    Picture("scores", "By lead time", plot_by_lead),
    Picture("by_height", "By height", plot_by_height),
    Picture("by_scale", "By scale", plot_by_scale),
    Picture("spread", "Ensemble: CRPS, spread and error", plot_spread, of_ensembles=True),
    Picture("reliability", "Ensemble: reliability", plot_reliability, of_ensembles=True),
    Picture("ranks", "Ensemble: rank histogram", plot_ranks, of_ensembles=True),
    Picture("spectra", "Power spectra", plot_spectra),
    Picture("areas", "Area of echo", plot_areas),
)


def pictures_of(report: Report) -> list[Picture]:
    """The pictures that a report has something to show in."""
    return [picture for picture in PICTURES if not picture.of_ensembles or ensembles_of(report)]


def score_page(report: Report, title: str) -> str:
    """The page as HTML text; ``title`` tells what was forecast, the archive's name as a rule."""
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        files("nowcast.plot").joinpath("score_page.html").read_text(encoding="utf-8")
    )
    columns = summary_columns(report)
    return template.render(
        title=title,
        version=nowcast.__version__,
        period=_period(report),
        leads=", ".join(f"{m:g}" for m in report.lead_minutes),
        lead_list=[f"{m:g}" for m in report.lead_minutes],
        scored_on=report.scored_on,
        verdict=verdict(report),
        confidence=bootstrap.note(len(report.events)),
        warnings=list(_warnings(report)),
        columns=columns,
        rows=[_row(report, name, columns) for name in report.tallies],
        has_intervals=any(score.interval is not None for column in columns for score in column.scores.values()),
        sections=[
            {
                "key": p.key,
                "title": p.title,
                "caption": CAPTIONS[p.key],
                "picture": inline_svg(p.draw(report), p.key, p.title),
            }
            for p in pictures_of(report)
        ],
        event_threshold=f"{_event_threshold(report):g}",
        events=[_event(report, event) for event in report.events],
        counts=[_counts(report, k) for k in range(len(report.thresholds_dbz))],
        definitions=[*((name, METHODS[name]) for name in report.tallies if name in METHODS), *DEFINITIONS],
    )


def inline_svg(figure: Figure, key: str, label: str) -> Markup:
    """A figure as SVG to stand within a page: transparent, its black the page's ink, its ids its own."""
    text = io.StringIO()
    figure.suptitle("")  # the page has said it
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": key}):
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    # In a page the namespaces are known, and an address would look like something to fetch.
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{key}-", svg)
    svg = svg.replace(INK, "currentColor")
    return Markup(svg.replace("<svg", f'<svg role="img" fill="currentColor" aria-label="{label}"', 1))


def _period(report: Report) -> str:
    first, last = (iso_utc(report.initial_times[i], "m") for i in (0, -1))
    count, events = len(report.initial_times), len(report.events)
    times = f"{count} initial time{'s' if count > 1 else ''}"
    return f"{times} of {events} event{'s' if events > 1 else ''}, {first} to {last}"


def _warnings(report: Report) -> Iterator[str]:
    if report.failures:
        yield f"Forecasts from {len(report.failures)} initial times failed and count for no method."
    fields = {name: int(tally.cases.sum()) for name, tally in report.tallies.items()}
    if len(set(fields.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in fields.items())
        yield f"Methods were not scored at the same times, so that they do not compare: fields of {listed}."


def _row(report: Report, name: str, columns: list[Column]) -> dict[str, Any]:
    found = report.tallies[name].ensemble
    return {
        "method": name,
        "members": 1 if found is None else found.members,
        "cells": [_cell(column.scores.get(name), column.digits, name == column.best) for column in columns],
    }


def _cell(score: Score | None, digits: int, best: bool) -> dict[str, Any]:
    if score is None:
        return {"mean": "", "interval": "", "best": False}
    interval = "" if score.interval is None else " to ".join(_number(bound, digits) for bound in score.interval)
    return {"mean": _number(score.mean, digits), "interval": interval, "best": best}


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def _event_threshold(report: Report) -> float:
    return 35.0 if 35.0 in report.thresholds_dbz else report.thresholds_dbz[-1]


def _event(report: Report, event: int) -> dict[str, Any]:
    times, k = report.times_of(event), report.thresholds_dbz.index(_event_threshold(report))
    tallies = {name: events.get(event) for name, events in report.by_event.items()}
    csi = {name: Score(t.csi()[:, k]) for name, t in tallies.items() if t is not None}
    mae = {name: Score(t.mae()) for name, t in tallies.items() if t is not None}
    best = Column("CSI", "", 3, csi, 1.0).best
    return {
        "name": f"{iso_utc(times[0], 'm')} to {iso_utc(times[-1], 'm')}",
        "count": len(times),
        "cells": [
            {
                "csi": _number(csi[name].mean, 3) if name in csi else "",
                "mae": _number(mae[name].mean, 2) if name in mae else "",
                "best": name == best,
            }
            for name in tallies
        ],
    }


def _counts(report: Report, k: int) -> dict[str, Any]:
    rows = []
    for name, tally in report.tallies.items():
        counts, csi = tally.counts.sum(axis=1)[:, k], tally.csi()[:, k]
        cells = [
            {"csi": _number(value, 3), "counts": " / ".join(f"{n:,}" for n in three)}
            for value, three in zip(csi, counts, strict=True)
        ]
        rows.append({"method": name, "cells": cells})
    return {"threshold": f"{report.thresholds_dbz[k]:g}", "rows": rows}
