"""Small archives to fit, whole and broken."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest
from helpers import moving_cells, small_grid

import nowcast.pipeline.fit_job as fit_module
from nowcast.gaussians import FitConfig
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.inputs import GridConfig
from nowcast.types import GaussianSequence, VolumeSequence

GRID = small_grid((4, 20, 24))
FEW = FitConfig(gaussians=24)
COARSE = GridConfig(spacing_m=10_000.0, extent_m=60_000.0, top_m=9000.0, level_spacing_m=1000.0)


def archive(tmp_path: Path, steps: int = 8) -> Path:
    path = tmp_path / "storm.nc"
    write_volumes(moving_cells(GRID, steps=steps), path)
    return path


class Counted:
    """Counts the fits, and stops the one with the given number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop_at: int, error: BaseException) -> None:
        self.calls, self.stop_at, self.error, self.fit = 0, stop_at, error, fit_module.fit_sequence
        monkeypatch.setattr(fit_module, "fit_sequence", self)

    def __call__(self, volumes: VolumeSequence, config: FitConfig) -> GaussianSequence:
        self.calls += 1
        if self.calls == self.stop_at:
            raise self.error
        return self.fit(volumes, config)


def blank_out(path: Path) -> None:
    """Make a volume of which only the data show that it cannot be used: its header stays."""
    with h5py.File(path, "r+") as file:
        for sweep in [name for name in file if name.startswith("dataset")]:
            del file[sweep]["data1"]
