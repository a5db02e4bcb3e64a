"""Cells as GeoJSON (RFC 7946) and as CSV: one entry for each cell at each time, and one for each forecast position."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import Proj

from nowcast.cells.find import Doubles
from nowcast.cells.track import Ahead, Cell
from nowcast.errors import UsageError
from nowcast.io.answers import json_text
from nowcast.io.atomic import atomic_write_text
from nowcast.io.cf import global_attributes, provenance_attribute
from nowcast.projection import plane
from nowcast.types import GridSpec
from nowcast.units import iso_utc

FORMATS = (".geojson", ".json", ".csv")
_PLACE = ("kind", "id", "time", "lon", "lat")
_SEEN = ("area_km2", "max_dbz", "top_m", "vil_kg_m2", "east_ms", "north_ms", "growth_km2_h", "age_minutes", "parent")
COLUMNS = (*_PLACE, *_SEEN, "lead_minutes", "spread_m")


def write_cells(
    cells: Sequence[Sequence[Cell]],
    ahead: Sequence[Ahead],
    grid: GridSpec,
    path: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    history: str = "",
) -> None:
    """Write cells by time and where those of the last time go, as the name of the file says; atomically.

    ``source``, ``history`` and, of ``facts``, ``provenance`` stand beside the features of GeoJSON, and before the rows
    of CSV as comments, ``# NAME: TEXT``.

    Raises UsageError for another suffix, OutputError when the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"cells are written as {', '.join(FORMATS)}: {path.name} is none of these")
    project = plane(grid.origin_lat, grid.origin_lon)
    last = cells[-1][0].time if cells and cells[-1] else None
    seen = [cell_facts(cell, project) for now in cells for cell in now]
    expected = [facts for track in ahead for facts in _ahead_facts(track, last, project)]
    told = {key: value for key, value in global_attributes("", "", history).items() if key in ("source", "history")}
    if path.suffix.lower() == ".csv":
        lines = told | provenance_attribute(facts)
        comments = "".join(f"# {name}: {' '.join(text.splitlines())}\n" for name, text in lines.items())
        atomic_write_text(path, comments + _csv_text([*seen, *expected]))
        return
    outlines = [_lonlat(cell.shape.outline_m, project) for now in cells for cell in now]
    features = [_feature("Polygon", [outline], facts) for outline, facts in zip(outlines, seen, strict=True)]
    features += [_feature("Point", [facts["lon"], facts["lat"]], facts) for facts in expected]
    features += _tracks(seen, expected)
    whole = {"type": "FeatureCollection", **told, "provenance": dict(facts or {}), "features": features}
    atomic_write_text(path, json_text(whole))


def cell_facts(cell: Cell, project: Proj) -> dict[str, Any]:
    """What is told of a cell at one time; the centroid in degrees."""
    lon, lat = project(cell.shape.x_m, cell.shape.y_m, inverse=True)
    east, north = cell.velocity_ms or (None, None)
    return {
        "kind": "cell",
        "id": cell.id,
        "time": iso_utc(cell.time),
        "lon": round(lon, 5),
        "lat": round(lat, 5),
        "area_km2": round(cell.shape.area_km2, 2),
        "max_dbz": round(cell.shape.max_dbz, 1),
        "top_m": round(cell.shape.top_m),
        "vil_kg_m2": round(cell.shape.vil, 2),
        "east_ms": None if east is None else round(east, 2),
        "north_ms": None if north is None else round(north, 2),
        "growth_km2_h": None if cell.growth_km2_h is None else round(cell.growth_km2_h, 1),
        "age_minutes": round(cell.age_s / 60.0, 1),
        "parent": cell.parent,
    }


def _ahead_facts(track: Ahead, last: np.datetime64 | None, project: Proj) -> list[dict[str, Any]]:
    facts = []
    for k, (x, y) in enumerate(track.centre_m):
        lon, lat = project(x, y, inverse=True)
        minutes = track.lead_s[k] / 60.0
        valid = None if last is None else iso_utc(last + np.timedelta64(round(track.lead_s[k]), "s"))
        spread = None if track.spread_m is None else round(float(track.spread_m[k]))
        one = {"kind": "forecast", "id": track.id, "time": valid, "lon": round(lon, 5), "lat": round(lat, 5)}
        facts.append({**one, "lead_minutes": minutes, "spread_m": spread})
    return facts


def _tracks(seen: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines through the places of each cell: where it was, and from its last place where it is to be."""
    lines = []
    for number in sorted({facts["id"] for facts in seen}):
        past = [facts for facts in seen if facts["id"] == number]
        ahead = [facts for facts in expected if facts["id"] == number]
        for kind, places in (("track", past), ("forecast_track", [past[-1], *ahead])):
            if len(places) > 1:
                line = [[facts["lon"], facts["lat"]] for facts in places]
                told = {"kind": kind, "id": number, "times": [facts["time"] for facts in places]}
                lines.append(_feature("LineString", line, told))
    return lines


def _feature(kind: str, coordinates: Any, facts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": facts}


def _lonlat(points_m: Doubles, project: Proj) -> list[list[float]]:
    lon, lat = project(points_m[:, 0], points_m[:, 1], inverse=True)
    return np.stack([lon, lat], axis=1).round(5).tolist()


def _csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Every row has the columns of all; what a row does not have is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
