"""The scores of several methods side by side, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.errors import PartialFailure
from nowcast.types import GridSpec, Times
from nowcast.verify.tally import Tally, TallyConfig


@dataclass(frozen=True)
class Report:
    """Scores by method, weather event and lead time.

    Attributes
    ----------
    initial_times
        ``[I]`` times of the forecasts that were scored, UTC.
    lead_times
        ``[L]`` timedelta64[ns].
    event_of
        ``[I]`` int, the number of the event of each initial time; see :func:`nowcast.times.event_numbers`.
    by_event
        By name of method and number of event. Within an event all methods have the same voxels.
    scored_on
        Which voxels were scored, in words.
    failures
        Why forecasts from other initial times could not be made; they count for no method.
    """

    initial_times: Times
    lead_times: NDArray[np.timedelta64]
    event_of: NDArray[np.int64]
    by_event: Mapping[str, Mapping[int, Tally]]
    scored_on: str
    failures: Mapping[np.datetime64, str] = field(default_factory=dict)

    @cached_property
    def tallies(self) -> dict[str, Tally]:
        """By name of method, all events together."""
        totals = {}
        for name, events in self.by_event.items():
            totals[name] = Tally(len(self.lead_times), self.grid, self.config)
            for tally in events.values():
                totals[name].merge(tally)
        return totals

    @property
    def events(self) -> list[int]:
        """The numbers of the events that were scored."""
        return sorted({number for events in self.by_event.values() for number in events})

    def times_of(self, event: int) -> Times:
        """The initial times of an event."""
        return self.initial_times[self.event_of == event]

    @property
    def lead_minutes(self) -> list[float]:
        return [units.minutes(lead) for lead in self.lead_times]

    @property
    def config(self) -> TallyConfig:
        """What all methods were scored at."""
        return self._any.config

    @property
    def grid(self) -> GridSpec:
        return self._any.grid

    @property
    def thresholds_dbz(self) -> tuple[float, ...]:
        """Thresholds of the categorical scores, the same for every method."""
        return self.config.thresholds_dbz

    @property
    def heights_m(self) -> list[float]:
        """Heights of the levels."""
        return [float(z) for z in self.grid.z]

    @property
    def _any(self) -> Tally:
        return next(tally for events in self.by_event.values() for tally in events.values())

    def answer(self) -> dict[str, Any]:
        """The JSON answer; a score that is not defined is NaN."""
        from nowcast.verify.answer import report_answer

        return report_answer(self)

    def raise_failures(self) -> None:
        """Raise PartialFailure (exit code 4) where an initial time failed."""
        if self.failures:
            first = next(iter(self.failures.values()))
            total = len(self.failures) + len(self.initial_times)
            raise PartialFailure(f"forecasts from {len(self.failures)} of {total} initial times failed: {first}")
