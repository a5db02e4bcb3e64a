"""The products of a file of volumes or of a forecast, for ``nowcast products`` and beside a forecast."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.io import cf, forecasts
from nowcast.pipeline.digests import input_digests
from nowcast.pipeline.inputs import load_sequence
from nowcast.pipeline.outputs import check_output
from nowcast.products import ProductConfig
from nowcast.products.files import write_products
from nowcast.types import Forecast, VolumeSequence
from nowcast.units import minutes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProductRun:
    """Products that were made: of what, where they lie, and the variables."""

    source: VolumeSequence | Forecast
    output: Path
    variables: tuple[str, ...]

    def answer(self) -> dict[str, Any]:
        """The command's JSON answer."""
        of: dict[str, Any] = {"times": list(valid_times(self.source)), "members": 1}
        if isinstance(self.source, Forecast):
            leads = [minutes(lead) for lead in self.source.lead_times]
            of |= {"init_time": self.source.init_time, "lead_minutes": leads, "members": len(self.source.values)}
        return {"output": str(self.output), "variables": list(self.variables), **of}


def run_products(
    source: Path, output: Path, config: ProductConfig, *, at: np.datetime64 | None = None, history: str = ""
) -> ProductRun:
    """Make the products of a forecast file, or of anything that holds gridded volumes.

    ``at`` takes the observed volumes at or before a time.

    Raises
    ------
    InputError
        The file cannot be read.
    UsageError
        A CAPPI is asked for at a height where the grid has none, or ``output`` is named like another format or
        like ``source``.
    OutputError
        The file cannot be written.
    """
    check_output(output, source)
    read = read_source(source, at)
    sources = () if isinstance(read, Forecast) else read.sources
    facts: dict[str, Any] = {"input_files": [source.name], "input_sha256": input_digests(source, sources)}
    if isinstance(read, Forecast):
        facts["forecast"] = dict(read.provenance)
    elif read.sources:
        facts["volumes"] = [Path(name).name for name in read.sources]
    return ProductRun(read, output, write_products(read, output, config, facts=facts, history=history))


def read_source(source: Path, at: np.datetime64 | None = None) -> VolumeSequence | Forecast:
    """A forecast file, or the volumes of a file or folder; raises InputError."""
    if cf.kind_of(source) == forecasts.KIND:
        return forecasts.read_forecast(source)
    return load_sequence(source, at=at)


def valid_times(source: VolumeSequence | Forecast) -> np.ndarray:
    """When its volumes are valid."""
    return source.valid_times if isinstance(source, Forecast) else source.times


def products_beside(forecast: Forecast, output: Path, config: ProductConfig, history: str = "") -> list[Path]:
    """Publish the products that the settings name beside a forecast's file, as ``FORECAST.products.nc``.

    None where none is named, or where they cannot be made, which is told: the forecast is published already.
    """
    if not config.names:
        return []
    path = output.with_suffix(".products.nc")
    try:
        made_from = {"input_files": [output.name], "input_sha256": input_digests(output, ())}
        facts: dict[str, Any] = {**made_from, "forecast": dict(forecast.provenance)}
        write_products(forecast, path, config, facts=facts, history=history)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong with a product, the forecast stays
        logger.warning("%s was not made: %s", path, str(error) or type(error).__name__)
        return []
    return [path]
