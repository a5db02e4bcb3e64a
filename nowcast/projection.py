"""The plane that a grid lies in: azimuthal equidistant around its origin, on the WGS84 ellipsoid."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyproj import CRS, Proj


def plane_crs(lat: float, lon: float) -> CRS:
    """The plane around a place (degrees) as a coordinate reference system, in metres."""
    from pyproj.crs import GeographicCRS, ProjectedCRS
    from pyproj.crs.coordinate_operation import AzimuthalEquidistantConversion

    name = f"Azimuthal equidistant around {lat:.4f}, {lon:.4f}"
    return ProjectedCRS(AzimuthalEquidistantConversion(lat, lon), name, geodetic_crs=GeographicCRS("WGS 84"))


@lru_cache(maxsize=16)
def plane(lat: float, lon: float) -> Proj:
    """What takes longitude and latitude to metres east and north of a place (degrees), and back with ``inverse``."""
    from pyproj import Proj

    return Proj(plane_crs(lat, lon))
