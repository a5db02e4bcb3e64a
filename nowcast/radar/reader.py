"""Read a polar volume of any format into a :class:`PolarVolume`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from nowcast.errors import InputError
from nowcast.radar.content import POLAR_FORMATS, damage_told, plain_file, sniff
from nowcast.radar.polar import PolarVolume, Site, Sweep
from nowcast.radar.volume_head import VolumeHead


class PositionUnknown(InputError):
    """A file does not tell where its radar stands, and nobody else did."""


def read_volume(
    path: Path | str, *, site: Site | None = None, fallback: Site | None = None, also: Collection[str] = ()
) -> PolarVolume:
    """Read a polar radar volume; the format is found by content.

    Parameters
    ----------
    path
        An ODIM_H5, NEXRAD Level II, CfRadial, IRIS, UF or Rainbow file, also gzipped.
    site
        Position of the radar, in place of the one in the file.
    fallback
        Position of the radar where the file tells none.
    also
        Fields to read besides those that quality control looks at: ``spectrum_width``, ``kdp``, ``phidp``.

    Raises
    ------
    InputError
        The file is missing, empty, damaged, not a polar volume, has no reflectivity, no position (and none is
        given), or the radar marks it as a malfunction.
    """
    path = Path(path)
    head, sweeps = read_sweeps(path, also)
    place = site or head.site or fallback
    if place is None:
        step = "give its position, --site LAT,LON,ALT or, in a job, site: {lat, lon, alt}"
        raise PositionUnknown(f"{path} does not tell where the radar stands: {step}")
    return PolarVolume(
        site=place,
        time=head.time,
        sweeps=tuple(sorted(sweeps, key=lambda s: s.elevation_deg)),
        radar=head.radar,
        beam_width_deg=head.beam_width_deg,
        scan=head.scan,
        source=path.name,
        format=head.format,
        defect=head.defect,
    )


def read_volume_head(path: Path | str) -> VolumeHead:
    """Time, radar and position of a polar volume, without reading its data where the format allows that.

    Raises InputError as :func:`read_volume`, for what the header shows.
    """
    path = Path(path)
    kind = sniff(path)
    if kind == "nexrad":
        from nowcast.radar import nexrad

        with damage_told(path):
            return nexrad.read_head(path)
    with damage_told(path), plain_file(path) as plain:
        return replace(_read_head(plain, kind), path=path)


def read_site(head: VolumeHead) -> Site | None:
    """Position of the radar as the volume tells it, without reading all of it; None where it tells none."""
    if head.format != "nexrad":
        return head.site
    from nowcast.radar import nexrad

    try:
        with damage_told(head.path):
            return nexrad.read_site(head.path)
    except InputError:
        return None


def read_elevations(head: VolumeHead) -> tuple[float, ...] | None:
    """Elevations of the sweeps of a volume in the file's order, or None where it takes reading all of it."""
    if head.format != "odim":
        return head.elevations_deg
    from nowcast.radar import odim

    with damage_told(head.path), plain_file(head.path) as plain:
        return odim.read_elevations(plain)


def read_sweeps(path: Path | str, also: Collection[str] = ()) -> tuple[VolumeHead, list[Sweep]]:
    """The sweeps of a polar volume in the file's order with what the file says of itself; needs no position."""
    path = Path(path)
    kind = sniff(path)
    if kind not in POLAR_FORMATS:
        what = {"grid": "an already gridded file", "volumes": "a volume-sequence file"}.get(kind, f"a {kind} file")
        raise InputError(f"{path} is {what}, not a polar volume")
    if kind == "nexrad":
        from nowcast.radar import nexrad

        with damage_told(path):
            return nexrad.read_nexrad(path, also)
    with damage_told(path), plain_file(path) as plain:
        head, sweeps = _read(plain, kind, also)
    return replace(head, path=path), sweeps


def _read_head(path: Path, kind: str) -> VolumeHead:
    if kind == "odim":
        from nowcast.radar import odim

        return odim.read_head(path)
    from nowcast.radar.quick_heads import quick_head

    return quick_head(path, kind) or _read(path, kind, ())[0]


def _read(path: Path, kind: str, also: Collection[str]) -> tuple[VolumeHead, list[Sweep]]:
    if kind == "odim":
        from nowcast.radar import odim

        return odim.read_odim(path, also)
    if kind == "cfradial":
        from nowcast.radar import cfradial

        found = cfradial.read_cfradial(path, also)
        if found is not None:
            return found
    from nowcast.radar.pyart_reader import read_with_pyart
    from nowcast.radar.quick_heads import quick_head

    head, sweeps = read_with_pyart(path, kind)
    quick = quick_head(path, kind)
    if quick is not None:
        # The same answers as when the file was listed, and the antenna's altitude where Py-ART gives the ground's.
        head = replace(head, time=quick.time, radar=quick.radar or head.radar, site=quick.site or head.site)
        if len(sweeps) < quick.planned_sweeps:
            head = head.with_defect(f"the file ends after {len(sweeps)} of {quick.planned_sweeps} sweeps")
    return head, sweeps
