"""Scores of what has become verifiable: on which voxels, and what is kept for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from helpers import moving_cells, small_grid

from nowcast.io.forecasts import write_forecast
from nowcast.operations.full_job import FullJob
from nowcast.operations.job import Input, Output
from nowcast.operations.publish import keep_baseline, publish
from nowcast.operations.scores import score_arrived
from nowcast.types import Forecast, VolumeSequence
from nowcast.units import iso_utc

GRID = small_grid((4, 20, 24))
LEAD = np.timedelta64(10, "m")


def published(job: FullJob, volumes: VolumeSequence, step: int) -> None:
    """A cycle whose forecast and extrapolation say that the volume stays as it is; its volume is scored as it comes."""
    start, work = volumes.select([step]), job.inside / "work" / "run"
    lead = LEAD.astype("timedelta64[ns]")
    forecast = Forecast(start.times[0], np.array([lead]), start.reflectivity[None], GRID, "extrapolation")
    write_forecast(forecast, work / "forecast.nc")
    cycle = iso_utc(start.times[0])
    keep_baseline(job, cycle, work / "forecast.nc")
    facts = {"run": "r", "state": "done", "reason": None, "method": "m", "published": cycle, "input_files": []}
    publish(job, work, cycle, "SIMR", [work / "forecast.nc"], facts | {"lead_minutes": [10.0]})


def scored(job: FullJob, volumes: VolumeSequence, observed: slice) -> dict[str, Any]:
    """The tables of the first cycle, whose volume is not observed but in these columns."""
    mask = np.zeros_like(volumes.mask)
    mask[0, ..., observed], mask[1:] = True, True
    known = replace(volumes, mask=mask, values=np.where(mask[:, None], volumes.values, np.nan).astype(np.float32))
    score_arrived(job, known.select([0]))
    published(job, volumes, 0)
    return score_arrived(job, known.select([0, 1]))


def job_at(root: Path) -> FullJob:
    return FullJob(Input("feed"), Output(root), "desk", leads=1, step_minutes=10.0)


def test_only_voxels_count_that_every_method_covers(tmp_path: Path) -> None:
    """Persistence knows nothing where the first volume observed nothing: none is scored there."""
    volumes = moving_cells(GRID, steps=2)
    for columns in (slice(None), slice(0, 12)):
        tables = scored(job_at(tmp_path / str(columns.stop)), volumes, columns)
        assert tables["latest"]["forecasts"] == [1]
        both = volumes.reflectivity[:, ..., columns].astype(np.float64)
        expected = float(np.abs(both[1] - both[0]).mean())
        for method, found in tables["latest"]["methods"].items():
            np.testing.assert_allclose(found["mae_dbz"], [expected], atol=0.02, err_msg=method)


def test_what_no_score_can_come_of_any_more_is_removed(tmp_path: Path) -> None:
    job, volumes = job_at(tmp_path), moving_cells(GRID, steps=12)
    for step in range(12):
        score_arrived(job, volumes.select(slice(max(step - 1, 0), step + 1)))
        published(job, volumes, step)
    for folder in ("observed", "baselines"):
        kept = sorted(path.name for path in (job.inside / folder).iterdir())
        assert kept[0] == "2020-01-01T004000Z.nc" and len(kept) == 8, "of the last hour and the longest lead time"
