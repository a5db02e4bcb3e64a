"""A map of static ground clutter, learnt from dry volumes of the same radar and scan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import InputError
from nowcast.radar.polar import SAME_ELEVATION_DEG, SAME_PLACE_M, PolarVolume, Site, Sweep
from nowcast.types import Bool, Float32, Times
from nowcast.units import seconds

MIN_VOLUMES = 3
CLUTTER_DBZ = 0.0
KIND = "clutter"


@dataclass(frozen=True)
class ClutterSweep:
    """Clutter at one elevation, on evenly spaced rays.

    ``frequency [R, G]`` is the share of dry volumes with echo of at least 0 dBZ in a gate (NaN: never observed),
    ``level_dbz [R, G]`` the strongest such echo. Ray i is centred on ``(i + 0.5) * 360 / R`` degrees.
    """

    elevation_deg: float
    first_gate_m: float
    gate_m: float
    frequency: Float32
    level_dbz: Float32


@dataclass(frozen=True)
class ClutterMap:
    """Where a radar sees the ground.

    Attributes
    ----------
    site, radar
        The radar that it was learnt from.
    times
        Valid times of the dry volumes; a volume earlier than the last of them must not be judged by this map.
    sweeps
        Rising elevation.
    min_frequency, margin_db
        A gate counts as clutter that had echo at least so often, as long as it is no more than so much stronger than
        clutter ever was there.
    """

    site: Site
    radar: str
    times: Times
    sweeps: tuple[ClutterSweep, ...]
    min_frequency: float = 0.3
    margin_db: float = 5.0

    def check(self, volume: PolarVolume) -> None:
        """Raise InputError unless the map is of this radar and of a scan with these elevations and gates."""
        apart = self.site.distance_m(volume.site)
        if apart > SAME_PLACE_M:
            raise InputError(
                f"the clutter map is of radar {self.radar or self.site} at {self.site}, {apart / 1000:.0f} km from "
                f"{volume.radar or 'this radar'} at {volume.site}: learn one for this radar with nowcast clutter"
            )
        if not any(self._match(s) is not None for s in volume.sweeps):
            have = ", ".join(f"{s.elevation_deg:.1f}" for s in self.sweeps)
            raise InputError(
                f"the clutter map has other sweeps ({have} degrees) than {volume.source or 'the volume'}: "
                "learn one from volumes of the same scan"
            )

    def flags(self, sweep: Sweep) -> Bool:
        """Gates ``[R, G]`` of a sweep that are static clutter; none where the map has no such sweep."""
        own = self._match(sweep)
        flags: Bool = np.zeros(sweep.reflectivity.shape, bool)
        if own is None:
            return flags
        rays = _ray_index(sweep.azimuth_deg, own.frequency.shape[0])
        dbz = sweep.reflectivity[:, : own.frequency.shape[1]]
        gates = dbz.shape[1]
        frequency, level = own.frequency[rays, :gates], own.level_dbz[rays, :gates]
        flags[:, :gates] = (frequency >= self.min_frequency) & (dbz <= level + self.margin_db)
        return flags

    def _match(self, sweep: Sweep) -> ClutterSweep | None:
        near = min(self.sweeps, key=lambda s: abs(s.elevation_deg - sweep.elevation_deg))
        same_gates = abs(near.gate_m - sweep.gate_m) < 0.01 * sweep.gate_m
        same_start = abs(near.first_gate_m - sweep.first_gate_m) < 0.5 * sweep.gate_m
        close = abs(near.elevation_deg - sweep.elevation_deg) < SAME_ELEVATION_DEG
        return near if close and same_gates and same_start else None


class NoClutterMap(InputError):
    """A file that is named as a clutter map is none that can be read."""


class TooFewVolumes(InputError):
    """There are not enough dry volumes to tell clutter from rain."""


def learn_clutter(volumes: Iterable[PolarVolume]) -> ClutterMap:
    """Learn a clutter map from dry volumes of one radar, one after another: none is kept.

    Raises
    ------
    TooFewVolumes
        There are fewer than three volumes.
    InputError
        The volumes are of several radars, or have no sweep in common.
    """
    counts: list[_Counts] = []
    times: list[np.datetime64] = []
    site, radar, source = None, "", ""
    for volume in volumes:
        if site is None:
            site, radar, source = volume.site, volume.radar, volume.source
        if volume.site.distance_m(site) > SAME_PLACE_M:
            raise InputError(f"{volume.source} is of a radar at {volume.site}, {source} of one at {site}")
        times.append(volume.time)
        _count(volume, counts)
    if site is None or len(times) < MIN_VOLUMES:
        raise TooFewVolumes(f"a clutter map needs at least {MIN_VOLUMES} dry volumes, got {len(times)}")
    sweeps = [c.result() for c in counts if c.volumes >= MIN_VOLUMES]
    if not sweeps:
        raise InputError("the volumes have no sweep in common: a clutter map needs volumes of the same scan")
    rising = tuple(sorted(sweeps, key=lambda s: s.elevation_deg))
    return ClutterMap(site, radar, np.sort(np.array(times, "datetime64[ns]")), rising)


def _count(volume: PolarVolume, counts: list[_Counts]) -> None:
    """Count the echoes of one more volume, each elevation once."""
    for known in counts:
        same = [s for s in volume.sweeps if _alike(known, s)]
        if same:
            known.add(min(same, key=lambda s: abs(s.elevation_deg - known.elevation_deg)))
    for sweep in volume.sweeps:
        if not any(_alike(known, sweep) for known in counts):
            counts.append(_Counts(sweep))
            counts[-1].add(sweep)


def _alike(a: _Counts, b: Sweep) -> bool:
    return (
        abs(a.elevation_deg - b.elevation_deg) < SAME_ELEVATION_DEG
        and abs(a.gate_m - b.gate_m) < 0.01 * b.gate_m
        and abs(a.first_gate_m - b.first_gate_m) < 0.5 * b.gate_m
    )


class _Counts:
    """How often each gate of one elevation was observed and held echo, and its strongest echo, all ``[R, G]``."""

    def __init__(self, like: Sweep) -> None:
        self.elevation_deg, self.first_gate_m, self.gate_m = like.elevation_deg, like.first_gate_m, like.gate_m
        shape = max(round(360.0 / float(np.median(np.diff(like.azimuth_deg)))), 1), like.reflectivity.shape[1]
        self.volumes = 0
        self.observed = np.zeros(shape, np.int32)
        self.echoes = np.zeros(shape, np.int32)
        self.level = np.full(shape, -np.inf, np.float32)

    def add(self, sweep: Sweep) -> None:
        """Count one more sweep."""
        dbz = sweep.reflectivity
        longer = ((0, 0), (0, max(dbz.shape[1] - self.level.shape[1], 0)))
        if longer[1][1]:
            self.observed, self.echoes = np.pad(self.observed, longer), np.pad(self.echoes, longer)
            self.level = np.pad(self.level, longer, constant_values=-np.inf)
        self.volumes += 1
        row, there = _ray_index(sweep.azimuth_deg, self.level.shape[0]), slice(0, dbz.shape[1])
        # ufunc.at, because two rays may fall into the same slot
        np.add.at(self.observed[:, there], row, np.isfinite(dbz).astype(np.int32))
        np.add.at(self.echoes[:, there], row, (dbz >= CLUTTER_DBZ).astype(np.int32))
        np.maximum.at(self.level[:, there], row, np.where(dbz >= CLUTTER_DBZ, dbz, -np.inf).astype(np.float32))

    def result(self) -> ClutterSweep:
        """What was counted, as frequencies."""
        with np.errstate(invalid="ignore", divide="ignore"):
            frequency = (self.echoes / self.observed).astype(np.float32)
        return ClutterSweep(self.elevation_deg, self.first_gate_m, self.gate_m, frequency, self.level)


def _ray_index(azimuth_deg: Float32, rays: int) -> NDArray[np.intp]:
    return np.floor(np.mod(azimuth_deg, 360.0) * rays / 360.0).astype(np.intp) % rays


def write_clutter_map(clutter: ClutterMap, path: Path, history: str = "") -> None:
    """Write a clutter map as NetCDF-4, one group a sweep. The caller makes the write atomic."""
    import netCDF4

    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.setncatts(
            {
                "Conventions": "CF-1.11",
                "title": "Static clutter of a weather radar",
                "nowcast_kind": KIND,
                "history": history or "nowcast",
                "radar": clutter.radar,
                "latitude": clutter.site.lat,
                "longitude": clutter.site.lon,
                "altitude": clutter.site.alt,
                "min_frequency": clutter.min_frequency,
                "margin_db": clutter.margin_db,
            }
        )
        file.createDimension("time", len(clutter.times))
        time = file.createVariable("time", "f8", ("time",))
        time.setncatts({"standard_name": "time", "units": "seconds since 1970-01-01T00:00:00"})
        time[:] = seconds(clutter.times - np.datetime64(0, "s"))
        _write_overview(file, clutter)
        for k, sweep in enumerate(clutter.sweeps):
            _write_sweep(file.createGroup(f"sweep_{k}"), sweep)


def _write_overview(file: Any, clutter: ClutterMap) -> None:
    """What a reader that does not look into groups sees."""
    file.comment = "one group a sweep: frequency and level of echo in dry volumes; read with xarray.open_datatree"
    file.createDimension("sweep", len(clutter.sweeps))
    elevation = file.createVariable("elevation", "f4", ("sweep",))
    elevation.setncatts({"long_name": "elevation of each sweep", "units": "degrees"})
    elevation[:] = [sweep.elevation_deg for sweep in clutter.sweeps]
    gates = file.createVariable("clutter_gates", "i4", ("sweep",))
    gates.setncatts({"long_name": "gates with clutter in each sweep", "units": "1"})
    gates[:] = [int((sweep.frequency >= clutter.min_frequency).sum()) for sweep in clutter.sweeps]


def _write_sweep(group: Any, sweep: ClutterSweep) -> None:
    group.setncatts({"elevation_deg": sweep.elevation_deg})
    rays, gates = sweep.frequency.shape
    axes = {
        "azimuth": ((np.arange(rays) + 0.5) * 360.0 / rays, "degrees"),
        "range": (sweep.first_gate_m + sweep.gate_m * np.arange(gates), "m"),
    }
    for name, (values, unit) in axes.items():
        group.createDimension(name, values.size)
        axis = group.createVariable(name, "f8", (name,))
        axis.units = unit
        axis[:] = values
    level = np.where(np.isfinite(sweep.level_dbz), sweep.level_dbz, np.nan)
    fields = {"frequency": (sweep.frequency, "1"), "level": (level, "dBZ")}
    for name, (values, unit) in fields.items():
        field = group.createVariable(name, "f4", ("azimuth", "range"), zlib=True)
        field.units = unit
        field[:] = values


def read_clutter_map(path: Path | str) -> ClutterMap:
    """Read a file of :func:`write_clutter_map`; raises NoClutterMap, an InputError, when it is not one."""
    import netCDF4

    path = Path(path)
    if not path.is_file():
        raise NoClutterMap(f"{path} does not exist: expected a clutter map made by nowcast clutter")
    try:
        with netCDF4.Dataset(path) as file:
            if getattr(file, "nowcast_kind", None) != KIND:
                raise NoClutterMap(f"{path} is not a clutter map: make one with nowcast clutter ARCHIVE -o MAP.nc")
            file.set_auto_mask(False)
            seconds = np.asarray(file["time"][:], np.float64)
            times = np.datetime64(0, "ns") + (seconds * 1e9).astype("timedelta64[ns]")
            names = sorted(file.groups, key=lambda n: int(n.split("_")[1]))
            site = Site(float(file.latitude), float(file.longitude), float(file.altitude))
            sweeps = tuple(_read_sweep(file[n]) for n in names)
            return ClutterMap(site, str(file.radar), times, sweeps, float(file.min_frequency), float(file.margin_db))
    except (OSError, RuntimeError, KeyError, AttributeError, IndexError, ValueError) as error:
        if isinstance(error, NoClutterMap):
            raise
        raise NoClutterMap(f"{path} is a damaged clutter map: {error}") from error


def _read_sweep(group: Any) -> ClutterSweep:
    range_m = np.asarray(group["range"][:], np.float64)
    level = np.asarray(group["level"][:], np.float32)
    return ClutterSweep(
        float(group.elevation_deg),
        float(range_m[0]),
        float(np.diff(range_m).mean()),
        np.asarray(group["frequency"][:], np.float32),
        np.where(np.isfinite(level), level, -np.inf).astype(np.float32),
    )
