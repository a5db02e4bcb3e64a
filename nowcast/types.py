"""The checked values that travel through the program.

Arrays run ``(time, channel, z, y, x)``. Volumes are numpy arrays; Gaussians are torch tensors, because the voxelizer
differentiates them. Times are ``numpy.datetime64[ns]`` in UTC. Every type checks its shapes when made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, device

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
Times = NDArray[np.datetime64]
Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is to do."""

REFLECTIVITY = "reflectivity"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


@dataclass(frozen=True)
class GridSpec:
    """A regular grid on an azimuthal-equidistant projection around its origin.

    Attributes
    ----------
    origin_lat, origin_lon
        Centre of the projection, degrees north and east (WGS84).
    shape
        Number of levels, rows, columns: ``(nz, ny, nx)``.
    first_m
        Coordinates ``(z, y, x)`` of the first voxel's centre, metres; y north and x east of the origin.
    spacing_m
        Distances ``(dz, dy, dx)`` between voxel centres, metres, positive.
    origin_alt
        Altitude of z = 0 above mean sea level, metres. Grids made by nowcast have 0.
    """

    origin_lat: float
    origin_lon: float
    shape: tuple[int, int, int]
    first_m: tuple[float, float, float]
    spacing_m: tuple[float, float, float]
    origin_alt: float = 0.0

    def __post_init__(self) -> None:
        _require(-90 <= self.origin_lat <= 90, f"grid origin latitude {self.origin_lat} is not within -90..90")
        _require(-360 <= self.origin_lon <= 360, f"grid origin longitude {self.origin_lon} is not a longitude")
        _require(len(self.shape) == 3 and min(self.shape) >= 1, f"grid shape {self.shape} is not (nz, ny, nx)")
        _require(len(self.spacing_m) == 3 and min(self.spacing_m) > 0, f"grid spacing {self.spacing_m} m")
        _require(len(self.first_m) == 3, f"grid first point {self.first_m} is not (z, y, x)")

    @staticmethod
    def from_axes(lat: float, lon: float, z: ArrayLike, y: ArrayLike, x: ArrayLike, alt: float = 0.0) -> GridSpec:
        """Make a grid from its coordinate axes in metres; raises InputError unless each is evenly spaced."""
        first, spacing, shape = [], [], []
        for name, axis in (("z", z), ("y", y), ("x", x)):
            values = np.asarray(axis, np.float64)
            _require(values.ndim == 1 and values.size >= 1, f"grid axis {name} is not a list of coordinates")
            step = np.diff(values)
            even = step.size == 0 or bool(step[0] > 0 and np.ptp(step) <= 1e-3 * abs(step[0]))
            _require(even, f"grid axis {name} is not evenly spaced and rising: resample it first")
            first.append(float(values[0]))
            spacing.append(float(step.mean()) if step.size else 1000.0)
            shape.append(int(values.size))
        return GridSpec(lat, lon, tuple(shape), tuple(first), tuple(spacing), alt)  # type: ignore[arg-type]

    def axis(self, index: int) -> NDArray[np.float64]:
        """Coordinates in metres along axis 0 (z), 1 (y) or 2 (x)."""
        return self.first_m[index] + self.spacing_m[index] * np.arange(self.shape[index], dtype=np.float64)

    @property
    def z(self) -> NDArray[np.float64]:
        return self.axis(0)

    @property
    def y(self) -> NDArray[np.float64]:
        return self.axis(1)

    @property
    def x(self) -> NDArray[np.float64]:
        return self.axis(2)

    def index_of(self, points: ArrayLike) -> NDArray[np.float64]:
        """Fractional indices ``[N, 3]`` (z, y, x) of points ``[N, 3]`` (x, y, z) in metres; 0 is the first centre."""
        return (np.asarray(points, np.float64)[:, ::-1] - self.first_m) / self.spacing_m

    def matches(self, other: GridSpec) -> bool:
        """Whether both describe the same voxels: origin, first and last coordinates agree to about a metre."""
        ours, theirs = (
            (*g.first_m, *(a[-1] for a in (g.z, g.y, g.x)), g.origin_alt, 1e5 * g.origin_lat, 1e5 * g.origin_lon)
            for g in (self, other)
        )
        return self.shape == other.shape and bool(np.allclose(ours, theirs, rtol=0.0, atol=1.0))


def _sample(shape: tuple[int, ...], most: int = 100_000) -> tuple[slice, ...]:
    """Every k-th element along each axis of ``shape``, about ``most`` in all: looking at every voxel takes too long."""
    stride = max(round((math.prod(shape) / most) ** (1 / len(shape))), 1)
    return (slice(None, None, stride),) * len(shape)


def radars_seen(radars: Sequence[str], missing: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The radars that are not missing all the time, of which ``missing`` names those without a volume."""
    return tuple(name for name in radars if not missing or any(name not in names for names in missing))


@dataclass(frozen=True)
class VolumeSequence:
    """Gridded radar volumes in order of time.

    Attributes
    ----------
    values
        ``[T, C, Z, Y, X]`` float32. Reflectivity in dBZ within 0..80, observed voxels without echo are 0,
        NaN exactly where ``mask`` is False. Other channels in the unit that :mod:`nowcast.channels` tells, NaN
        wherever they were not measured: where nothing was observed, and where there is no echo to measure.
    mask
        ``[T, Z, Y, X]`` bool, True where the scan observed the voxel, with or without echo.
    times
        ``[T]`` valid times, UTC, strictly rising.
    grid
        The voxels.
    channels
        Name of each channel; the first is ``"reflectivity"``.
    sources
        For each time, the file the volume came from, or the files.
    radars
        Names of the radars that saw any of it, as far as the files tell.
    missing
        Of mosaics, for each time the radars that had no volume; empty for a single radar.
    coverage
        ``[Z, Y, X]`` bool or None. Some gridded files do not tell "not observed" from "no echo"; then ``mask`` is
        True everywhere, and ``coverage`` marks the voxels that held a value at least once in the archive. It may
        come from volumes later than an initial time: verification scores on it, no forecast may read it.
    """

    values: Float32
    mask: Bool
    times: Times
    grid: GridSpec
    channels: tuple[str, ...] = (REFLECTIVITY,)
    sources: tuple[str, ...] = ()
    coverage: Bool | None = None
    radars: tuple[str, ...] = ()
    missing: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        t, shape = len(self.times), self.grid.shape
        expected = (t, len(self.channels), *shape)
        _require(self.values.shape == expected, f"volume values have shape {self.values.shape}, not {expected}")
        _require(self.values.dtype == np.float32, f"volume values are {self.values.dtype}, not float32")
        _require(self.mask.shape == (t, *shape), f"volume mask has shape {self.mask.shape}, not {(t, *shape)}")
        _require(self.mask.dtype == np.bool_, f"volume mask is {self.mask.dtype}, not bool")
        _require(self.channels[:1] == (REFLECTIVITY,), f"first channel is {self.channels[:1]}, not reflectivity")
        _require(
            self.times.dtype == np.dtype("datetime64[ns]"), f"volume times are {self.times.dtype}, not datetime64[ns]"
        )
        rising = bool((np.diff(self.times) > np.timedelta64(0, "ns")).all())
        _require(rising, "volume times do not rise strictly: sort the volumes and drop duplicates")
        _require(len(self.sources) in (0, t), f"{len(self.sources)} sources for {t} volumes")
        _require(len(self.missing) in (0, t), f"missing radars of {len(self.missing)} volumes for {t} volumes")
        covered = self.coverage
        told = covered is None or (covered.shape == shape and covered.dtype == np.bool_)
        _require(told, f"volume coverage is not bool of shape {shape}")
        some = _sample(self.mask.shape)
        same = bool((np.isnan(self.reflectivity[some]) == ~self.mask[some]).all())
        _require(same, "volume reflectivity is not NaN exactly where the mask says that nothing was observed")

    def __len__(self) -> int:
        return len(self.times)

    @property
    def reflectivity(self) -> Float32:
        """``[T, Z, Y, X]`` dBZ, NaN where not observed."""
        return self.values[:, 0]

    def filled(self) -> Float32:
        """``[T, Z, Y, X]`` reflectivity in dBZ with 0 where not observed, for methods that cannot carry a mask."""
        return np.nan_to_num(self.reflectivity, nan=0.0)

    def with_channels(self, names: Sequence[str]) -> VolumeSequence:
        """The named channels, reflectivity first; those that are not here are NaN throughout."""
        if tuple(names) == self.channels:
            return self
        held = dict(zip(self.channels, self.values.swapaxes(0, 1), strict=True))
        nothing = np.full(self.mask.shape, np.nan, np.float32)
        values = np.stack([held.get(name, nothing) for name in names], axis=1)
        return replace(self, values=values, channels=tuple(names))

    def select(self, indices: slice | Sequence[int] | NDArray[np.integer]) -> VolumeSequence:
        """The volumes at the given positions along time."""
        keep = np.arange(len(self))[indices]
        sources = tuple(self.sources[i] for i in keep) if self.sources else ()
        missing = tuple(self.missing[i] for i in keep) if self.missing else ()
        return replace(
            self,
            values=self.values[keep],
            mask=self.mask[keep],
            times=self.times[keep],
            sources=sources,
            radars=radars_seen(self.radars, missing),
            missing=missing,
        )

    def until(self, time: np.datetime64) -> VolumeSequence:
        """The volumes valid at or before ``time``."""
        return self.select(np.flatnonzero(self.times <= time))


@dataclass(frozen=True)
class GaussianSet:
    """N anisotropic 3D Gaussians at one time; the field is ``sum_i a_i exp(-q_i / 2)``, cut where ``q_i > 9``.

    Attributes
    ----------
    means
        ``[N, 3]`` float32 centres in metres as (x, y, z).
    log_scales
        ``[N, 3]`` natural logarithm of the standard deviations in metres along the rotated axes.
    quats
        ``[N, 4]`` rotation quaternions (w, x, y, z), not necessarily normalised.
    intensities
        ``[N, C]`` amplitudes in the channel's physical unit (dBZ for reflectivity), from its value at rest, which
        :mod:`nowcast.channels` tells: 1 for RHOHV, otherwise 0.
    """

    means: Tensor
    log_scales: Tensor
    quats: Tensor
    intensities: Tensor

    def __post_init__(self) -> None:
        n = self.means.shape[0]
        for name, width in (("means", 3), ("log_scales", 3), ("quats", 4)):
            shape = tuple(getattr(self, name).shape)
            _require(shape == (n, width), f"Gaussian {name} have shape {shape}, not {(n, width)}")
        shape = tuple(self.intensities.shape)
        _require(len(shape) == 2 and shape[0] == n, f"Gaussian intensities have shape {shape}, not ({n}, channels)")

    def __len__(self) -> int:
        return int(self.means.shape[0])

    @property
    def active(self) -> Tensor:
        """``[N]`` bool: which Gaussians have an intensity that is not zero; the others are idle."""
        return (self.intensities != 0).any(dim=-1)

    def take(self, rows: Tensor) -> GaussianSet:
        """The Gaussians of the given rows (indices or a mask)."""
        return GaussianSet(self.means[rows], self.log_scales[rows], self.quats[rows], self.intensities[rows])

    def to(self, where: device) -> GaussianSet:
        """The Gaussians on a device."""
        tensors = (self.means, self.log_scales, self.quats, self.intensities)
        return GaussianSet(*(tensor.to(where) for tensor in tensors))


@dataclass(frozen=True)
class GaussianSequence:
    """The same N Gaussians over T times; index i is one tracked piece of storm.

    ``means [T, N, 3]``, ``log_scales [T, N, 3]``, ``quats [T, N, 4]``, ``intensities [T, N, C]`` as in
    :class:`GaussianSet`. ``velocities [T, N, 3]`` is the fit's estimate of each Gaussian's motion at that time, m/s
    as (x, y, z): that of the echo around it, from times up to and including it. ``ids [N]`` int64 persist from
    cycle to cycle. ``times [T]`` as in :class:`VolumeSequence`. A Gaussian without intensity
    is idle.
    """

    means: Tensor
    log_scales: Tensor
    quats: Tensor
    intensities: Tensor
    velocities: Tensor
    ids: Tensor
    times: Times
    grid: GridSpec
    channels: tuple[str, ...] = (REFLECTIVITY,)

    def __post_init__(self) -> None:
        t, n = len(self.times), self.means.shape[1]
        widths = {"means": 3, "log_scales": 3, "quats": 4, "velocities": 3, "intensities": len(self.channels)}
        for name, width in widths.items():
            shape = tuple(getattr(self, name).shape)
            _require(shape == (t, n, width), f"Gaussian {name} have shape {shape}, not {(t, n, width)}")
        _require(tuple(self.ids.shape) == (n,), f"Gaussian ids have shape {tuple(self.ids.shape)}, not {(n,)}")

    def __len__(self) -> int:
        return len(self.times)

    def at(self, index: int) -> GaussianSet:
        """The Gaussians of one time."""
        return GaussianSet(self.means[index], self.log_scales[index], self.quats[index], self.intensities[index])

    def select(self, indices: slice | list[int]) -> GaussianSequence:
        """The Gaussians of some of the times."""
        names = ("means", "log_scales", "quats", "intensities", "velocities", "times")
        chosen: dict[str, Any] = {name: getattr(self, name)[indices] for name in names}
        return replace(self, **chosen)

    def take(self, rows: Tensor) -> GaussianSequence:
        """The Gaussians of the given rows (indices or a mask), at all times."""
        return replace(
            self,
            means=self.means[:, rows],
            log_scales=self.log_scales[:, rows],
            quats=self.quats[:, rows],
            intensities=self.intensities[:, rows],
            velocities=self.velocities[:, rows],
            ids=self.ids[rows],
        )

    def to(self, where: device) -> GaussianSequence:
        """The Gaussians on a device."""
        names = ("means", "log_scales", "quats", "intensities", "velocities", "ids")
        moved: dict[str, Any] = {name: getattr(self, name).to(where) for name in names}
        return replace(self, **moved)

    def join(self, others: GaussianSequence) -> GaussianSequence:
        """These Gaussians and then the others, of the same times and channels."""
        names = ("means", "log_scales", "quats", "intensities", "velocities")
        joined: dict[str, Any] = {name: _joined([getattr(self, name), getattr(others, name)], dim=1) for name in names}
        return replace(self, **joined, ids=_joined([self.ids, others.ids]))

    def with_channels(self, names: Sequence[str]) -> GaussianSequence:
        """The same Gaussians in the named channels, reflectivity first; without amplitude in those not here."""
        if tuple(names) == self.channels:
            return self
        held = dict(zip(self.channels, self.intensities.split(1, dim=-1), strict=True))
        nothing = self.intensities.new_zeros((*self.means.shape[:2], 1))
        intensities = _joined([held.get(name, nothing) for name in names], dim=-1)
        return replace(self, intensities=intensities, channels=tuple(names))

    def concat(self, later: GaussianSequence) -> GaussianSequence:
        """These times and then those of ``later``, which has the same Gaussians."""
        names = ("means", "log_scales", "quats", "intensities", "velocities")
        joined: dict[str, Any] = {name: _joined([getattr(self, name), getattr(later, name)]) for name in names}
        return replace(self, **joined, times=np.concatenate([self.times, later.times]))


def _joined(parts: list[Tensor], dim: int = 0) -> Tensor:
    from torch import cat  # here, so that those who need volumes only need not wait for it

    return cat(parts, dim)


@dataclass(frozen=True)
class FittedWindow:
    """A fitted stretch of an event: what ``nowcast fit`` writes and ``nowcast train`` reads.

    Attributes
    ----------
    gaussians
        The Gaussians at all times of the window.
    inputs
        The first so many times were fitted together and causally, exactly as a forecast issued at the last of them
        would do; the times after it continue the same Gaussians forward and serve as training targets only.
    event
        Name of the weather event; training and validation never share one.
    volumes
        The observed volumes of all times, for the rendered loss; None where only the Gaussians were kept.
    """

    gaussians: GaussianSequence
    inputs: int
    event: str
    volumes: VolumeSequence | None = None

    def __post_init__(self) -> None:
        t = len(self.gaussians)
        _require(1 <= self.inputs <= t, f"{self.inputs} input times in a window of {t}")
        same = self.volumes is None or np.array_equal(self.volumes.times, self.gaussians.times)
        _require(same, "the volumes of a fitted window have other times than its Gaussians")

    def with_channels(self, names: Sequence[str]) -> FittedWindow:
        """The same window with some of its channels."""
        volumes = None if self.volumes is None else self.volumes.with_channels(names)
        return replace(self, gaussians=self.gaussians.with_channels(names), volumes=volumes)

    def later(self, steps: int) -> FittedWindow:
        """The same window without its first times: as many are inputs, the newest of them so many steps later."""
        volumes = self.volumes
        if volumes is not None:
            parts = {name: getattr(volumes, name)[steps:] for name in ("values", "mask", "times", "sources")}
            volumes = replace(volumes, **parts)  # views: no copy of the field
        return replace(self, gaussians=self.gaussians.select(slice(steps, None)), volumes=volumes)


@dataclass(frozen=True)
class Forecast:
    """A reflectivity forecast.

    Attributes
    ----------
    init_time
        The valid time of the newest volume used, UTC.
    lead_times
        ``[L]`` timedelta64[ns], rising.
    values
        ``[M, L, Z, Y, X]`` float32 dBZ within 0..80 for M members (one when deterministic); NaN where nothing is known,
        because the radar does not observe the voxel or because its air comes from where nothing was observed.
    method
        ``"gaumamba"``, ``"advection"``, ``"extrapolation"``, ...
    provenance
        Facts for the file's global attributes: inputs, model, settings.
    control
        ``[L, Z, Y, X]`` the one best forecast that an ensemble was made around, like ``values``; None where there is
        no ensemble, or nothing but its members.
    """

    init_time: np.datetime64
    lead_times: NDArray[np.timedelta64]
    values: Float32
    grid: GridSpec
    method: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    control: Float32 | None = None

    def __post_init__(self) -> None:
        leads, shape = len(self.lead_times), self.grid.shape
        ok = self.values.ndim == 5 and self.values.shape[1:] == (leads, *shape)
        _require(ok, f"forecast values have shape {self.values.shape}, not (members, {leads}, {shape})")
        if self.control is not None:
            ok = self.control.shape == (leads, *shape)
            _require(ok, f"the control forecast has shape {self.control.shape}, not ({leads}, {shape})")

    @property
    def valid_times(self) -> Times:
        return self.init_time + self.lead_times

    @property
    def radars(self) -> tuple[str, ...]:
        """Names of the radars that it was made from, as far as their files tell."""
        return tuple(self.provenance.get("radars", ()))

    @property
    def mask(self) -> Bool:
        """``[L, Z, Y, X]`` bool: where the forecast says something."""
        return np.asarray(np.isfinite(self.values).all(axis=0))
