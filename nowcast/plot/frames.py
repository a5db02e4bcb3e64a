"""One volume as the pictures see it, whether it was observed or forecast, and the words that name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nowcast.errors import UsageError
from nowcast.plot.style import LEVELS_DBZ
from nowcast.times import MATCH_LIMIT, match_tolerance, nearest, nominal_step
from nowcast.types import Float32, Forecast, GaussianSequence, GridSpec, VolumeSequence
from nowcast.units import minutes, seconds

Source = VolumeSequence | Forecast
MOST_NAMES = 5
"""More radars than these are counted and not named."""


@dataclass(frozen=True)
class Frame:
    """A reflectivity volume at one time.

    Attributes
    ----------
    field
        ``[Z, Y, X]`` dBZ, NaN where not observed.
    grid
        Its voxels.
    valid_time
        UTC.
    init_time
        When the forecast was issued; None for an observation.
    method
        Name of the forecast method, ``"observed"`` for an observation.
    certain
        False where the files do not tell "no echo" from "not observed", so that both are drawn as no echo.
    radars
        Names of the radars, as far as known.
    """

    field: Float32
    grid: GridSpec
    valid_time: np.datetime64
    init_time: np.datetime64 | None = None
    method: str = "observed"
    certain: bool = True
    radars: tuple[str, ...] = ()

    @property
    def is_forecast(self) -> bool:
        return self.init_time is not None

    @property
    def lead_minutes(self) -> float:
        """Minutes from the initial time, 0 for an observation."""
        return 0.0 if self.init_time is None else minutes(self.valid_time - self.init_time)

    @property
    def mark(self) -> str:
        """``OBSERVED`` or ``FORECAST +30 min``."""
        return f"FORECAST {lead_text(self.lead_minutes)}" if self.is_forecast else "OBSERVED"

    @property
    def times(self) -> str:
        """Initial and valid time in words."""
        valid = f"valid {utc(self.valid_time)}"
        return valid if self.init_time is None else f"init {utc(self.init_time)}, {valid}"


def frame_of(source: Source, index: int = -1, member: int | None = None) -> Frame:
    """One time of a sequence or one lead of a forecast; raises UsageError when there is no such time or member.

    Of an ensemble ``member``, or without one the control forecast and, where there is none, the first member.
    """
    if not -len(source_times(source)) <= index < len(source_times(source)):
        raise UsageError(f"there is no frame {index} among {len(source_times(source))}")
    if isinstance(source, VolumeSequence):
        field, certain = source.reflectivity[index], source.coverage is None
        return Frame(field, source.grid, source.times[index], certain=certain, radars=source.radars)
    if member is None and source.control is not None:
        field, method = source.control[index], source.method
    else:
        members, member = len(source.values), member or 0
        if not 0 <= member < members:
            raise UsageError(f"there is no member {member} among {members}")
        method = source.method if members == 1 else f"{source.method}, member {member + 1} of {members}"
        field = source.values[member, index]
    return Frame(field, source.grid, source.valid_times[index], source.init_time, method, radars=source.radars)


def frames_of(source: Source, indices: Sequence[int] | None = None) -> list[Frame]:
    """Some or all of the times of a source."""
    chosen = range(len(source_times(source))) if indices is None else indices
    return [frame_of(source, int(index)) for index in chosen]


def source_times(source: Source) -> np.ndarray:
    """Valid times of all frames of a source."""
    return source.times if isinstance(source, VolumeSequence) else source.valid_times


def frame_at(source: Source | None, time: np.datetime64, tolerance_s: float) -> Frame | None:
    """The frame valid nearest to ``time``, or None where there is none within ``tolerance_s`` seconds."""
    if source is None:
        return None
    index = nearest(source_times(source), time, np.timedelta64(round(tolerance_s * 1e9), "ns"))
    return None if index is None else frame_of(source, index)


def match_tolerance_s(source: Source) -> float:
    """How far an observation may lie from a valid time and still stand for it, seconds."""
    times = source_times(source)
    if isinstance(source, Forecast):
        times = np.concatenate([[source.init_time], times])
    return seconds(match_tolerance(nominal_step(times)) if len(times) > 1 else MATCH_LIMIT)


def check_index(sequence: GaussianSequence, index: int) -> None:
    """Raise UsageError where there is no such time."""
    if not -len(sequence) <= index < len(sequence):
        raise UsageError(f"there is no time {index} among {len(sequence)} fitted ones")


def spread_indices(count: int, most: int) -> list[int]:
    """At most ``most`` indices spread evenly over ``range(count)``, the last one among them."""
    if count <= most:
        return list(range(count))
    return sorted({round((i + 1) * count / most) - 1 for i in range(most)})


def utc(time: np.datetime64) -> str:
    """``2005-11-27 04:41 UTC``."""
    return str(np.datetime_as_string(time, unit="m")).replace("T", " ") + " UTC"


def clock(time: np.datetime64) -> str:
    """``04:41 UTC``."""
    return utc(time)[11:]


def lead_text(lead_minutes: float) -> str:
    """``+30 min``."""
    return f"+{lead_minutes:.0f} min" if float(lead_minutes).is_integer() else f"+{lead_minutes:.1f} min"


def origin_text(grid: GridSpec) -> str:
    """``27.61°S 152.54°E``."""
    north = f"{abs(grid.origin_lat):.2f}°{'N' if grid.origin_lat >= 0 else 'S'}"
    longitude = (grid.origin_lon + 180.0) % 360.0 - 180.0
    return f"{north} {abs(longitude):.2f}°{'E' if longitude >= 0 else 'W'}"


def place_text(grid: GridSpec, radars: Sequence[str] = ()) -> str:
    """``radar CPOL · origin 12.25°S 131.04°E``; the origin alone where no file tells a name."""
    origin = f"origin {origin_text(grid)}"
    if not radars:
        return origin
    several = f"radars {', '.join(radars)}" if len(radars) <= MOST_NAMES else f"{len(radars)} radars"
    return f"{several if len(radars) > 1 else f'radar {radars[0]}'} · {origin}"


def peak_of(field: Float32) -> str:
    """The strongest echo of a field in words, so that an empty picture explains itself."""
    if np.isnan(field).all():
        return "nothing observed"
    peak = float(np.nanmax(field))
    return f"max {peak:.0f} dBZ" if peak >= LEVELS_DBZ[0] else "no echo"


def peak_text(shown: Frame) -> str:
    """The strongest echo of a volume in words."""
    return peak_of(shown.field)


def datum(grid: GridSpec) -> str:
    """What heights are measured from."""
    return "above sea level" if abs(grid.origin_alt) < 1.0 else "above the origin"
