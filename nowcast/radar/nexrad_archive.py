"""How NOAA's archive of NEXRAD Level II volumes names them: ``YYYY/MM/DD/SITE/SITEYYYYMMDD_HHMMSS_V06``.

Older volumes end in ``_V03``, ``_V04`` or nothing, many of them packed (``.gz``). Names that end in ``_MDM`` are
metadata, not volumes. Source: https://registry.opendata.aws/noaa-nexrad/.
"""

from __future__ import annotations

import difflib
import logging
import re

import numpy as np

from nowcast.errors import UsageError
from nowcast.radar.nexrad_sites import nexrad_names, nexrad_site

logger = logging.getLogger(__name__)

_VOLUME = re.compile(r"([A-Z][A-Z0-9]{3})(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)(?:_V\d\d)?(?:\.gz)?")
_SITE = re.compile(r"[A-Z]{4}")


def checked_site(name: str) -> str:
    """The ICAO name of a radar in capitals.

    Raises UsageError unless it has four letters. Of one that no table knows, warns: it may be new.
    """
    site = name.strip().upper()
    if not _SITE.fullmatch(site):
        raise UsageError(f"{name!r} names no NEXRAD radar: expected four letters such as KTLX")
    if nexrad_site(site) is None:
        near = difflib.get_close_matches(site, nexrad_names(), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        logger.warning("no NEXRAD radar %s is known here%s", site, hint)
    return site


def volume_time(key: str, site: str) -> np.datetime64 | None:
    """When the volume of an archive's key began, UTC; None where the key is no volume of this radar."""
    match = _VOLUME.fullmatch(key.rsplit("/", 1)[-1])
    if match is None or match.group(1) != site:
        return None
    year, month, day, hour, minute, second = match.groups()[1:]
    try:
        return np.datetime64(f"{year}-{month}-{day}T{hour}:{minute}:{second}", "ns")
    except ValueError:
        return None


def day_prefixes(site: str, start: np.datetime64, end: np.datetime64) -> list[str]:
    """Under which prefixes the volumes of a radar lie that began from ``start`` on and before ``end``."""
    last = (end - np.timedelta64(1, "ns")).astype("datetime64[D]")
    days = np.arange(start.astype("datetime64[D]"), last + np.timedelta64(1, "D"))
    return [f"{str(day).replace('-', '/')}/{site}/" for day in days]
