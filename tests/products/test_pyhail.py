"""Hail beside pyhail, which adds up levels times their depth: the same where the lowest and highest have none."""

from __future__ import annotations

import numpy as np
import pytest

from nowcast.products import hail

METHODS = {"witt": "witt1998", "mh75": "mh2019_75", "mh95": "mh2019_95"}


@pytest.mark.parametrize("size", METHODS)
def test_hail_is_that_of_pyhail(size: str) -> None:
    pyart, mesh_grid = pytest.importorskip("pyart"), pytest.importorskip("pyhail.mesh_grid")

    dbz = np.random.default_rng(0).uniform(20, 70, (29, 7, 7)).astype(np.float32)
    dbz[-1] = 0.0
    grid = pyart.testing.make_empty_grid(dbz.shape, ((1000, 15000), (-9000, 9000), (-9000, 9000)))
    grid.radar_altitude = {"data": np.zeros(1)}
    grid.add_field("dbz", {"data": np.ma.array(dbz, np.float64)})
    told = {"radar_band": "S", "mesh_method": METHODS[size], "speckle_filter": False, "near_radar_mask_range": None}
    theirs = mesh_grid.main(grid, "dbz", [4200.0, 7400.0], mesh_fname="mesh", **told)
    shi = hail.severe_hail_index(dbz, np.linspace(1000.0, 15000.0, 29), (4200.0, 7400.0))
    np.testing.assert_allclose(shi, theirs["shi"]["data"][0], rtol=1e-4)
    np.testing.assert_allclose(hail.expected_hail_size(shi, size), theirs["mesh"]["data"][0], rtol=1e-4)
    np.testing.assert_allclose(hail.severe_hail_probability(shi, 4200.0), theirs["posh"]["data"][0] / 100, atol=1e-4)
