"""The page: what it holds as JSON, and the one HTML file around it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import nowcast
from nowcast.io.answers import json_text
from nowcast.plot.coastline import coastlines
from nowcast.plot.frames import datum, origin_text
from nowcast.plot.graticule import graticule, to_degrees
from nowcast.plot.maps import extent_km, ring_radii_km
from nowcast.types import GridSpec, Times
from nowcast.view.codes import DBZ, packed
from nowcast.view.contents import Contents, Source
from nowcast.view.layers import scales

SCRIPTS = ("data", "colours", "map", "profile", "shader", "storm", "follow", "app")
PLACES = 17
"""Longitude and latitude are given at so many places along each side of the grid; the page interpolates."""


def page_of(view: str | None, title: str) -> str:
    """The page as HTML text, which needs no other file and no network.

    ``view`` is the text of :func:`view_json`; with None the page asks the server that it came from, and only that one.
    """
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_text("page.html"))
    return template.render(
        title=title,
        css=Markup(_text("page.css")),
        script=Markup("\n".join(_text(f"{name}.js") for name in SCRIPTS)),
        view=Markup("null" if view is None else view),
        connect="'self'" if view is None else "'none'",
        version=nowcast.__version__,
    )


def _text(name: str) -> str:
    return files("nowcast.view").joinpath(name).read_text(encoding="utf-8")


def view_json(contents: Contents) -> str:
    """All that the page shows as JSON, which may stand within HTML whatever the files say of themselves."""
    blocks: list[str] = []
    used = scales()
    codings = {layer.key: used[layer.scale].coding for layer in contents.layers}

    def placed(source: Source, arrays: Any, coding: Any) -> list[int]:
        """The block of each frame, -1 where the source has none."""
        where = [-1] * len(contents.times)
        for frame, values in zip(source.frames, arrays, strict=True):
            where[frame] = len(blocks)
            blocks.append(packed(coding.encode(values)))
        return where

    sources = {
        key: {
            "name": source.name,
            "volumes": placed(source, source.volumes, DBZ),
            "planes": {name: placed(source, plane, codings[name]) for name, plane in source.planes.items()},
        }
        for key, source in contents.sources.items()
    }
    facts = {
        "title": contents.title,
        "notes": contents.notes,
        "method": contents.method,
        "init": None if contents.init_time is None else _milliseconds(np.array([contents.init_time]))[0],
        "times": _milliseconds(contents.times),
        "leads": contents.leads,
        "grid": _grid(contents.grid),
        "certain": contents.certain,
        "sources": sources,
        "layers": [layer.facts() for layer in contents.layers],
        "scales": {name: used[name].facts() for name in dict.fromkeys(layer.scale for layer in contents.layers)},
        "blocks": blocks,
    }
    return json_text(facts).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _milliseconds(times: Times) -> list[int]:
    found: list[int] = times.astype("datetime64[ms]").astype(np.int64).tolist()
    return found


def _grid(grid: GridSpec) -> dict[str, Any]:
    """The voxels and, in km, the lines of the map."""
    extent = extent_km(grid)
    x, y = np.meshgrid(np.linspace(*extent[:2], PLACES), np.linspace(*extent[2:], PLACES))
    lon, lat = to_degrees(grid, x.ravel(), y.ravel())
    lines = graticule(grid, extent)
    return {
        "shape": grid.shape,
        "z": grid.z / 1e3,
        "extent": extent,
        "origin": origin_text(grid),
        "datum": datum(grid),
        "places": {"count": PLACES, "lon": np.round(lon, 5), "lat": np.round(lat, 5)},
        "coast": [np.round(line, 2).ravel() for line in coastlines(grid)],
        "graticule": [
            {"points": np.round(line.points_km, 2).ravel(), "name": line.name, "parallel": line.is_parallel}
            for line in lines
        ],
        "rings": ring_radii_km(grid),
    }
