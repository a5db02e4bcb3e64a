"""Positions of the NEXRAD radars by their ICAO names, from the table that comes with Py-ART."""

from __future__ import annotations

import importlib.util
import re
from functools import lru_cache
from pathlib import Path

from nowcast.radar.polar import Site

FOOT_M = 0.3048
_ICAO = re.compile(r"(?<![A-Za-z])([A-Z]{4})(?=\d|_|$)")


def nexrad_site(icao: str) -> Site | None:
    """The position of a NEXRAD radar, or None when the name is in no table."""
    entry = _locations().get(icao.upper())
    return Site(entry["lat"], entry["lon"], entry["elev"] * FOOT_M) if entry else None


def nexrad_names() -> list[str]:
    """The ICAO names of all radars in the table."""
    return sorted(_locations())


def icao_in_name(name: str) -> str:
    """The ICAO name at the front of ``KTLX19910605_162126.gz``, or an empty text."""
    match = _ICAO.match(name)
    return match.group(1) if match else ""


@lru_cache(maxsize=1)
def _locations() -> dict[str, dict[str, float]]:
    # The file is run on its own: importing the whole of Py-ART takes seconds, and its own function for this
    # converts feet to metres in place, once more at each call.
    package = importlib.util.find_spec("pyart")
    if package is None or package.origin is None:
        return {}
    path = Path(package.origin).parent / "io" / "nexrad_common.py"
    spec = importlib.util.spec_from_file_location("_nexrad_common", path)
    if spec is None or spec.loader is None or not path.exists():
        return {}
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.NEXRAD_LOCATIONS)
