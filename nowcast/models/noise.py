"""Random fields by which the members of an ensemble differ: smooth in space and time, moving along with the echo.

A field of one kind is a sum of waves, ``sum_f a_f cos(p_f) + b_f sin(p_f)`` with ``p_f = k_f x + w_f t``, whose wave
numbers and frequencies are normal and whose amplitudes are normal, one set for each member and component (random
Fourier features, Rahimi and Recht 2007). Its values are standard normal with the correlation
``exp(-d^2 / 2 L^2 - s^2 / 2 T^2)`` at a distance d and a time s apart. It depends on no grid, and can be told anywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

KINDS = ((8.0, 15.0), (25.0, 30.0), (80.0, 90.0))
"""Correlation lengths L, km, and times T, minutes: of single cells, of storms, of the weather."""

COMPONENTS = 3
"""One for growth and one for each horizontal component of the drift."""

_WAVES = 64


class NoiseFields:
    """The fields of every kind and component, for some members at some places.

    Parameters
    ----------
    places_km
        ``[N, 2]`` where each Gaussian is at the newest observed time, km: its noise goes along with it. Columns of
        echo have the same noise at all heights.
    members
        How many members.
    seed
        Of the random numbers: the same seed and places give the same fields.
    """

    def __init__(self, places_km: Tensor, members: int, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.members = members
        numbers, frequencies, amplitudes = [], [], []
        for length_km, minutes in KINDS:
            numbers.append(torch.randn(2, _WAVES, generator=draw) / length_km)
            frequencies.append(torch.randn(_WAVES, generator=draw) / minutes)
            amplitudes.append(torch.randn(2 * _WAVES, members * COMPONENTS, generator=draw) / math.sqrt(_WAVES))
        self._phases = [places_km @ number.to(places_km) for number in numbers]
        self._frequencies = [frequency.to(places_km) for frequency in frequencies]
        self._amplitudes = [amplitude.to(places_km) for amplitude in amplitudes]

    def at(self, minutes: float) -> Tensor:
        """``[M, N, S, 3]`` the fields so many minutes after the newest observed time; S kinds, standard normal."""
        fields = []
        for phase, frequency, amplitude in zip(self._phases, self._frequencies, self._amplitudes, strict=True):
            angle = phase + minutes * frequency
            waves = torch.cat([torch.cos(angle), torch.sin(angle)], dim=1)
            fields.append((waves @ amplitude).unflatten(1, (self.members, COMPONENTS)))
        return torch.stack(fields, dim=2).movedim(1, 0)
