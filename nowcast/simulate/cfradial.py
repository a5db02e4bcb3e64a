"""Writing a polar volume as CfRadial 1, which Py-ART, xradar and other radar software read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.io.atomic import atomic_path
from nowcast.radar.polar import NO_ECHO_DBZ, PolarVolume
from nowcast.simulate.radar import Radar
from nowcast.types import REFLECTIVITY

FILL = np.int16(-32768)
FIELDS: dict[str, tuple[str, float, dict[str, str]]] = {
    "reflectivity": (
        "DBZH",
        0.01,
        {
            "standard_name": "equivalent_reflectivity_factor",
            "long_name": "radar equivalent reflectivity factor, horizontal polarisation",
            "units": "dBZ",
        },
    ),
    "velocity": (
        "VRADH",
        0.01,
        {
            "standard_name": "radial_velocity_of_scatterers_away_from_instrument",
            "long_name": "radial velocity of scatterers away from instrument",
            "units": "m/s",
        },
    ),
    "rhohv": (
        "RHOHV",
        0.0001,
        {
            "standard_name": "cross_correlation_ratio_hv",
            "long_name": "cross correlation ratio HV",
            "units": "1",
        },
    ),
}
"""For each quantity the variable's name, its resolution in the file, and its attributes."""


def write_cfradial(volume: PolarVolume, radar: Radar, path: Path | str, *, history: str = "") -> None:
    """Write a volume whose sweeps have equal gates as CfRadial 1.4 in NetCDF-4.

    Gates without signal are fill values, as radars write them.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    import netCDF4

    with atomic_path(path) as temporary, netCDF4.Dataset(temporary, "w") as file:
        start = np.datetime_as_string(volume.time, unit="s")
        end = np.datetime_as_string(volume.time + np.timedelta64(round(radar.volume_s), "s"), unit="s")
        _attributes(file, volume, history)
        rays = sum(len(s.azimuth_deg) for s in volume.sweeps)
        sizes = {"time": rays, "range": radar.gates, "sweep": len(volume.sweeps), "string_length": 32}
        for name, size in sizes.items():
            file.createDimension(name, size)
        _coordinates(file, volume, radar, f"{start}Z")
        _text(file, "time_coverage_start", f"{start}Z")
        _text(file, "time_coverage_end", f"{end}Z")
        _sweeps(file, volume, radar)
        _parameters(file, radar, rays)
        for name in volume.sweeps[0].fields:
            _field(file, name, np.concatenate([s.fields[name] for s in volume.sweeps]))


def _attributes(file: Any, volume: PolarVolume, history: str) -> None:
    file.setncatts(
        {
            "Conventions": "CF-1.7 CF/Radial",
            "Sub_conventions": "CF-Radial instrument_parameters",
            "version": "CF-Radial-1.4",
            "title": "simulated radar volume",
            "institution": "",
            "references": "",
            "source": "nowcast simulate",
            "history": history,
            "comment": "no observation: made by a simulator",
            "instrument_name": volume.radar,
            "site_name": volume.radar,
            "scan_name": volume.scan,
            "platform_is_mobile": "false",
            "n_gates_vary": "false",
            "ray_times_increase": "true",
        }
    )


def _variable(file: Any, name: str, kind: str, dimensions: tuple[str, ...], data: Any, **attributes: Any) -> None:
    variable = file.createVariable(name, kind, dimensions)
    variable.setncatts(attributes)
    variable[...] = data


def _text(file: Any, name: str, value: str | list[str]) -> None:
    lines = [value] if isinstance(value, str) else value
    letters = np.array([list(line.ljust(32, "\0")) for line in lines], "S1")
    dimensions = ("string_length",) if isinstance(value, str) else ("sweep", "string_length")
    variable = file.createVariable(name, "S1", dimensions)
    variable[...] = letters[0] if isinstance(value, str) else letters


def _coordinates(file: Any, volume: PolarVolume, radar: Radar, start: str) -> None:
    turn = np.arange(radar.rays) * radar.turn_s / radar.rays
    seconds = np.concatenate([k * radar.turn_s + turn for k in range(len(volume.sweeps))])
    azimuth = np.concatenate([s.azimuth_deg for s in volume.sweeps])
    elevation = np.repeat([s.elevation_deg for s in volume.sweeps], radar.rays)
    _variable(
        file,
        "time",
        "f8",
        ("time",),
        seconds,
        standard_name="time",
        long_name="time_in_seconds_since_volume_start",
        units=f"seconds since {start}",
        calendar="gregorian",
    )
    _variable(
        file,
        "range",
        "f4",
        ("range",),
        radar.range_m,
        standard_name="projection_range_coordinate",
        long_name="range_to_measurement_volume",
        units="meters",
        axis="radial_range_coordinate",
        spacing_is_constant="true",
        meters_to_center_of_first_gate=radar.first_gate_m,
        meters_between_gates=radar.gate_m,
    )
    _variable(file, "azimuth", "f4", ("time",), azimuth, units="degrees", long_name="azimuth_angle_from_true_north")
    _variable(
        file,
        "elevation",
        "f4",
        ("time",),
        elevation,
        units="degrees",
        long_name="elevation_angle_from_horizontal_plane",
    )
    site = volume.site
    _variable(file, "latitude", "f8", (), site.lat, units="degrees_north", standard_name="latitude")
    _variable(file, "longitude", "f8", (), site.lon, units="degrees_east", standard_name="longitude")
    _variable(file, "altitude", "f8", (), site.alt, units="meters", standard_name="altitude", positive="up")


def _sweeps(file: Any, volume: PolarVolume, radar: Radar) -> None:
    count = len(volume.sweeps)
    first = np.arange(count) * radar.rays
    _variable(file, "volume_number", "i4", (), 0, long_name="data_volume_index_number")
    _variable(file, "sweep_number", "i4", ("sweep",), np.arange(count), long_name="sweep_index_number_0_based")
    angles = [s.elevation_deg for s in volume.sweeps]
    _variable(file, "fixed_angle", "f4", ("sweep",), angles, units="degrees", long_name="ray_target_fixed_angle")
    _variable(file, "sweep_start_ray_index", "i4", ("sweep",), first, long_name="index_of_first_ray_in_sweep")
    last = first + radar.rays - 1
    _variable(file, "sweep_end_ray_index", "i4", ("sweep",), last, long_name="index_of_last_ray_in_sweep")
    _text(file, "sweep_mode", ["azimuth_surveillance"] * count)


def _parameters(file: Any, radar: Radar, rays: int) -> None:
    group = {"meta_group": "instrument_parameters"}
    nyquist = np.full(rays, radar.nyquist_ms)
    _variable(
        file,
        "nyquist_velocity",
        "f4",
        ("time",),
        nyquist,
        units="m/s",
        long_name="unambiguous_doppler_velocity",
        **group,
    )
    for name in ("radar_beam_width_h", "radar_beam_width_v"):
        _variable(
            file,
            name,
            "f4",
            (),
            radar.beam_width_deg,
            units="degrees",
            long_name="half_power_radar_beam_width",
            **group,
        )


def _field(file: Any, name: str, values: NDArray[np.float32]) -> None:
    standard, step, attributes = FIELDS[name]
    missing = values == NO_ECHO_DBZ if name == REFLECTIVITY else np.isnan(values)
    packed = np.where(missing, np.float32(0), np.rint(values / np.float32(step))).astype(np.int16)
    packed[missing] = FILL
    variable = file.createVariable(
        standard,
        "i2",
        ("time", "range"),
        zlib=True,
        complevel=1,
        fill_value=FILL,
        chunksizes=(len(packed) // 7, packed.shape[1]),
    )
    variable.set_auto_maskandscale(False)
    variable.setncatts(attributes | {"coordinates": "elevation azimuth range"})
    variable.setncatts({"scale_factor": np.float32(step), "add_offset": np.float32(0)})
    variable[...] = packed
