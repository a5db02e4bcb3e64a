"""Fields on another map projection, or on a grid of latitudes and longitudes.

The levels stay where they are; each plane is looked up at the places of the new grid. Missing stays missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import UsageError
from nowcast.io import cf
from nowcast.projection import plane_crs
from nowcast.types import Float32

if TYPE_CHECKING:
    import xarray as xr
    from pyproj import CRS

Doubles = NDArray[np.float64]
METHODS = ("nearest", "bilinear")
MOST_CELLS = 10**8
NONE_IS_ZERO = frozenset({"dBZ", "m", "mm", "mm h-1", "kg m-2", "g m-3"})
"""Units of quantities of which 0 says that there is nothing: no echo, no top, no rain."""
BESIDE_DEG = 6.0
"""So far beside the area that a projection is made for it still serves: a zone of UTM's."""
KIND = "reprojected"
MAPS = ("volumes", "forecast", "products", KIND)
"""The kinds of files that hold fields on a map, and nothing else that a place belongs to."""


def crs_of(dataset: xr.Dataset) -> CRS:
    """The projection of one of our datasets; our own is azimuthal equidistant around the grid's origin on WGS84."""
    from pyproj import CRS

    mapping = dataset[cf.GRID_MAPPING].attrs
    if "crs_wkt" in mapping:
        return CRS.from_wkt(mapping["crs_wkt"])
    lat, lon = (float(mapping[f"{name}_of_projection_origin"]) for name in ("latitude", "longitude"))
    return plane_crs(lat, lon)


def parse_crs(text: str) -> CRS:
    """The projection of a code or definition; raises UsageError unless it is one of maps or of latitude, longitude."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise UsageError(f"--crs {text!r} is not known: expected a code such as EPSG:4326 or EPSG:3857") from error
    if len(crs.axis_info) != 2 or not (crs.is_projected or crs.is_geographic):
        raise UsageError(f"--crs {text!r} ({crs.name}) is no plane: expected a map projection or latitude, longitude")
    return crs


def plan_dims(dataset: xr.Dataset) -> tuple[str, str]:
    """The dimensions that run north and east; raises UsageError for a file that is no map."""
    kind = dataset.attrs.get("nowcast_kind")
    if kind not in MAPS:
        raise UsageError(f"a {kind} file holds no fields on a map: it goes to .nc and .zarr, and as it is")
    found = {str(v.attrs.get("axis")): str(name) for name, v in dataset.coords.items() if v.ndim == 1}
    return found["Y"], found["X"]


@dataclass(frozen=True)
class Plan:
    """Centres of the cells of a plan, ``y [Y]`` and ``x [X]`` rising and evenly spaced, in the unit of its ``crs``."""

    crs: CRS
    y: Doubles
    x: Doubles

    @staticmethod
    def of(dataset: xr.Dataset) -> Plan:
        """The plan of one of our datasets."""
        y, x = plan_dims(dataset)
        return Plan(crs_of(dataset), dataset[y].values.astype(np.float64), dataset[x].values.astype(np.float64))

    @property
    def spacing(self) -> tuple[float, float]:
        """Distance between rows, and between columns."""
        return _step(self.y), _step(self.x)

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """West, south, east and north edge of the outermost cells."""
        dy, dx = self.spacing
        return self.x[0] - dx / 2, self.y[0] - dy / 2, self.x[-1] + dx / 2, self.y[-1] + dy / 2

    def on(
        self, crs: CRS, spacing: float | None = None, bounds: tuple[float, float, float, float] | None = None
    ) -> Plan:
        """The plan in another projection that holds this one, or that fills ``bounds``.

        Parameters
        ----------
        spacing
            Of its cells, in the unit of the projection; by default about that of this plan at its centre. The edges of
            cells lie at multiples of it.
        bounds
            West, south, east, north in the unit of the projection.

        Raises
        ------
        UsageError
            This plan has no place in the projection, or the new one none or too many cells.
        """
        self._check_area(crs)
        step = self._step_on(crs) if spacing is None else spacing
        west, south, east, north = self._edges_on(crs) if bounds is None else bounds
        if not (step > 0 and west < east and south < north):
            raise UsageError(f"no grid from {west:g} to {east:g} and {south:g} to {north:g} in steps of {step:g}")
        y, x = _centres(south, north, step), _centres(west, east, step)
        if not 0 < y.size * x.size <= MOST_CELLS:
            raise UsageError(f"{y.size} x {x.size} cells of {step:g} {_unit(crs)}: give another --spacing or --bounds")
        return Plan(crs, y, x)

    def _check_area(self, crs: CRS) -> None:
        """Refuse a projection that is made for elsewhere: far from there its numbers say nothing."""
        from pyproj import Transformer

        area = crs.area_of_use
        if area is None:
            return
        there = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        west, south, east, north = there.transform_bounds(*self.edges, densify_pts=21)
        width, reach = (east - west) % 360.0, (area.east - area.west) % 360.0 or 360.0
        first, reach = area.west - BESIDE_DEG, reach + 2 * BESIDE_DEG
        beside = reach < 360.0 and (west - first) % 360.0 > reach and (first - west) % 360.0 > width
        if beside or south > area.north + BESIDE_DEG or north < area.south - BESIDE_DEG:
            made_for, here = _told(area.west, area.south, area.east, area.north), _told(west, south, east, north)
            raise UsageError(f"{crs.name} is made for {made_for}, and the file lies at {here}: give another --crs")

    def _step_on(self, crs: CRS) -> float:
        """Spacing of this plan at its centre in another projection, rounded down to two digits."""
        from pyproj import Transformer

        (dy, dx), y, x = self.spacing, float(self.y.mean()), float(self.x.mean())
        there = Transformer.from_crs(self.crs, crs, always_xy=True)
        east, north = there.transform(np.array([x, x + dx, x]), np.array([y, y, y + dy]))
        length = float(np.hypot(east[1:] - east[0], north[1:] - north[0]).min())
        if not (math.isfinite(length) and length > 0):
            raise _no_place(crs)
        digit = 10.0 ** (math.floor(math.log10(length)) - 1)
        return round(math.floor(length / digit + 1e-6) * digit, 12)

    def _edges_on(self, crs: CRS) -> tuple[float, float, float, float]:
        from pyproj import Transformer

        there = Transformer.from_crs(self.crs, crs, always_xy=True)
        west, south, east, north = there.transform_bounds(*self.edges, densify_pts=51)
        if crs.is_geographic and west > east:
            east += 360.0  # beyond the date line longitudes go on
        if not np.isfinite([west, south, east, north]).all():
            raise _no_place(crs)
        return west, south, east, north


def _step(axis: Doubles) -> float:
    return float(axis[-1] - axis[0]) / (axis.size - 1) if axis.size > 1 else 1000.0


def _unit(crs: CRS) -> str:
    return str(crs.axis_info[0].unit_name)


def _told(west: float, south: float, east: float, north: float) -> str:
    return f"{south:.1f} to {north:.1f} degrees north, {west:.1f} to {east:.1f} east"


def _no_place(crs: CRS) -> UsageError:
    return UsageError(f"{crs.name} cannot show where the file lies: choose a projection of that area")


def _centres(low: float, high: float, step: float) -> Doubles:
    """Centres of the cells between multiples of ``step`` that hold ``low`` to ``high``."""
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    return np.arange(first + 0.5, last) * step


class _Lookup:
    """Where the cells of a plan lie in another."""

    def __init__(self, source: Plan, target: Plan) -> None:
        from pyproj import Transformer

        back = Transformer.from_crs(target.crs, source.crs, always_xy=True)
        x, y = back.transform(*np.meshgrid(target.x, target.y))
        (dy, dx), (rows, cols) = source.spacing, (source.y.size, source.x.size)
        row, col = (np.where(np.isfinite(v), v, -9.0) for v in ((y - source.y[0]) / dy, (x - source.x[0]) / dx))
        self.inside = (row >= -0.5) & (row < rows - 0.5) & (col >= -0.5) & (col < cols - 0.5)
        row, col = np.clip(row[self.inside], 0, rows - 1), np.clip(col[self.inside], 0, cols - 1)
        self.nearest = np.rint(row).astype(np.intp), np.rint(col).astype(np.intp)
        low_row, low_col = np.floor(row).astype(np.intp), np.floor(col).astype(np.intp)
        up, right = row - low_row, col - low_col
        self.corners = [
            (np.minimum(low_row + i, rows - 1), np.minimum(low_col + j, cols - 1), share)
            for i, j, share in (
                (0, 0, (1 - up) * (1 - right)),
                (0, 1, (1 - up) * right),
                (1, 0, up * (1 - right)),
                (1, 1, up * right),
            )
        ]

    def field(self, values: NDArray[Any], method: str, none_is_zero: bool) -> NDArray[Any]:
        """A plane ``[Y, X]`` on the new plan: whole numbers by the nearest cell and 0 beyond, others NaN beyond."""
        if values.dtype.kind != "f":
            found = np.zeros(self.inside.shape, values.dtype)
            found[self.inside] = values[self.nearest]
            return found
        mixed = values[self.nearest] if method == "nearest" else self._mixed(values.astype(np.float32), none_is_zero)
        result = np.full(self.inside.shape, np.nan, np.float32)
        result[self.inside] = mixed
        return result

    def _mixed(self, values: Float32, none_is_zero: bool) -> Float32:
        """Bilinear over the cells that hold something; whether there is something the nearest cell says."""
        something = np.isfinite(values) & ((values != 0) | (not none_is_zero))
        near = values[self.nearest]
        total, weight = np.zeros(near.shape), np.zeros(near.shape)
        for rows, cols, share in self.corners:
            counts = something[rows, cols]
            total += np.where(counts, share * values[rows, cols], 0)
            weight += share * counts
        return np.where(something[self.nearest], total / np.maximum(weight, 1e-6), near).astype(np.float32)


def reproject(dataset: xr.Dataset, target: Plan, method: str = "nearest") -> xr.Dataset:
    """A dataset of ours on another plan.

    Parameters
    ----------
    dataset
        With fields ``(..., y, x)``; what has no such dimensions stays as it is.
    target
        Of :meth:`Plan.on`.
    method
        ``"nearest"`` keeps every value. ``"bilinear"`` takes the mean of the four cells around, weighted by distance,
        over those only that hold something, where the nearest cell does: echo is not thinned by the air beside it, and
        neither echo nor what is missing grows.

    Returns
    -------
    Variables with the same dimensions, or ``lat`` and ``lon`` in place of the last two.

    Raises
    ------
    UsageError
        The plan has no cell within the dataset's.
    """
    import xarray as xr

    lookup, (y, x) = _Lookup(Plan.of(dataset), target), plan_dims(dataset)
    if not lookup.inside.any():
        raise UsageError("no cell of that map lies within the file's: give other --bounds, or a smaller --spacing")
    names = ("lat", "lon") if target.crs.is_geographic else ("y", "x")
    variables: dict[Any, Any] = {}
    for name, variable in dataset.variables.items():
        if variable.dims[-2:] == (y, x):
            none_is_zero = variable.attrs.get("units") in NONE_IS_ZERO
            planes = variable.values.reshape(-1, *variable.shape[-2:])
            values = np.stack([lookup.field(plane, method, none_is_zero) for plane in planes])
            values = values.reshape(*variable.shape[:-2], *lookup.inside.shape)
            encoding = {k: v for k, v in variable.encoding.items() if k != "chunksizes"}
            variables[name] = xr.Variable((*variable.dims[:-2], *names), values, variable.attrs, encoding)
        elif name not in (y, x, cf.GRID_MAPPING):
            variables[name] = variable
    variables[names[0]], variables[names[1]] = _axes(target, names)
    altitude = {k: v for k, v in dataset[cf.GRID_MAPPING].attrs.items() if k == "origin_altitude"}
    variables[cf.GRID_MAPPING] = xr.Variable((), np.int32(0), {**target.crs.to_cf(), **altitude})
    coordinates = ({*dataset.coords} - {y, x}) | {*names}
    return xr.Dataset(variables, attrs={**dataset.attrs, "nowcast_kind": KIND}).set_coords(coordinates)


def _axes(plan: Plan, names: tuple[str, str]) -> tuple[Any, Any]:
    """Coordinates of the rows and of the columns with their CF attributes."""
    import xarray as xr

    told = {axis["axis"]: dict(axis) for axis in plan.crs.cs_to_cf() if "axis" in axis}
    rows, columns = (xr.Variable(n, v, told[a]) for n, v, a in zip(names, (plan.y, plan.x), "YX", strict=True))
    return rows, columns
