"""What a volume can hold besides reflectivity: the one table of channels, their units and scales.

The fit works on ``(value - rest) / scale``: a channel rests where it says nothing of the storm, so that Gaussians of
no amplitude draw rest (RHOHV rests at 1, the others at 0), and an error of ``scale`` counts as much as one of the
scale of reflectivity, 70 dBZ. So the scales are the weights too. They make what the channels usually vary by within
echo (1 dB, 0.5 deg/km, 0.03, 1.5 m/s, 0.001/s) count like 1 to 2 dBZ each: all channels have a say in the Gaussians'
shapes, and reflectivity loses next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import UsageError
from nowcast.types import REFLECTIVITY, Float32
from nowcast.units import ECHO_FLOOR_DBZ, MAX_DBZ, MODEL_SCALE_DBZ


@dataclass(frozen=True)
class Channel:
    """One quantity on the grid.

    Attributes
    ----------
    name, unit, long_name
        As files tell them (CF units). The CF table of standard names has only that of reflectivity.
    low, high
        Plausible values; what lies beyond is limited to them.
    scale
        Error that counts as much as an error of 70 dBZ in reflectivity.
    moments
        The polar quantities that it is made of: any one of them is enough.
    rest
        Value of no Gaussian.
    step
        Files keep values to this.
    """

    name: str
    unit: str
    long_name: str
    low: float
    high: float
    scale: float
    moments: tuple[str, ...]
    rest: float = 0.0
    step: float = 0.001


_TABLE = (
    Channel(REFLECTIVITY, "dBZ", "radar reflectivity", ECHO_FLOOR_DBZ, MAX_DBZ, MODEL_SCALE_DBZ, (REFLECTIVITY,)),
    Channel("zdr", "dB", "differential reflectivity", -8.0, 8.0, 30.0, ("zdr",)),
    Channel("kdp", "degree km-1", "specific differential phase", -5.0, 20.0, 30.0, ("kdp", "phidp")),
    Channel("rhohv", "1", "copolar correlation coefficient", 0.2, 1.0, 1.5, ("rhohv",), rest=1.0, step=1e-4),
    Channel("spectrum_width", "m s-1", "Doppler spectrum width", 0.0, 25.0, 90.0, ("spectrum_width",)),
    Channel(
        "azimuthal_shear", "s-1", "azimuthal derivative of radial velocity, half the vorticity of a vortex",
        -0.05, 0.05, 0.06, ("velocity",), step=2e-6,
    ),
    Channel(
        "divergence", "s-1", "radial derivative of radial velocity, half the divergence of a round outflow",
        -0.05, 0.05, 0.06, ("velocity",), step=2e-6,
    ),
)  # fmt: skip
CHANNELS = {channel.name: channel for channel in _TABLE}
PAPER = "paper"
"""The seven channels of arXiv 2502.14895: all that the table has."""


def channel_names(wanted: Sequence[str]) -> tuple[str, ...]:
    """The channels meant by names among which may be ``paper``; reflectivity is always the first.

    Raises
    ------
    UsageError
        There is no such channel.
    """
    names = [name.strip().lower() for name in wanted]
    unknown = [name for name in names if name not in (*CHANNELS, PAPER)]
    if unknown:
        raise UsageError(f"there is no channel {unknown[0]!r}: expected {PAPER}, or some of {', '.join(CHANNELS)}")
    return tuple(name for name in CHANNELS if name == REFLECTIVITY or name in names or PAPER in names)


def moments_of(channels: Sequence[str]) -> frozenset[str]:
    """The polar quantities that these channels may be made of."""
    return frozenset(moment for name in channels for moment in CHANNELS[name].moments)


def scales_of(channels: Sequence[str]) -> Float32:
    """``[C]`` the scale of each channel."""
    return np.array([CHANNELS[name].scale for name in channels], np.float32)


def rests_of(channels: Sequence[str]) -> Float32:
    """``[C]`` the value at rest of each channel."""
    return np.array([CHANNELS[name].rest for name in channels], np.float32)


def to_model(values: Float32, channels: Sequence[str]) -> Float32:
    """Values ``[C, ...]`` on the scale of the fit: 0 at rest."""
    across = (-1, *(1,) * (values.ndim - 1))
    return (values - rests_of(channels).reshape(across)) / scales_of(channels).reshape(across)


def amplitude_limits(channels: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and most amplitude ``[C]`` of one Gaussian, in scales: it may reach every plausible value from rest."""
    reach = [max(c.high - c.rest, c.rest - c.low) / c.scale for c in (CHANNELS[name] for name in channels)]
    return -1.0 * np.array(reach), np.array(reach)
