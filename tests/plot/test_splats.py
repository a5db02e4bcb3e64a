"""Export for splat viewers: what stands in the file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import helpers
import numpy as np
import pytest
import torch
from gaussian_cases import drifting
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.errors import InputError, UsageError
from nowcast.gaussians import render
from nowcast.io.atomic import file_digest
from nowcast.io.gaussians import as_stored, write_windows
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.export import export_fit
from nowcast.plot import splats
from nowcast.plot.splats import UNIT_M, write_splats
from nowcast.plot.style import drawn_colours, reflectivity_scale
from nowcast.types import FittedWindow, GaussianSequence

needs_gsplat = pytest.mark.skipif(find_spec("gsplat") is None, reason="gsplat is not installed")
GRID = helpers.small_grid((8, 40, 48))


def read_ply(path: Path) -> np.ndarray:
    """The splats of a PLY file, by name."""
    head, _, body = path.read_bytes().partition(b"end_header\n")
    lines = head.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    names = [line.split()[2] for line in lines if line.startswith("property float ")]
    count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex "))
    found = np.frombuffer(body, [(name, "<f4") for name in names])
    assert len(found) == count
    return found


def columns(found: np.ndarray, *names: str) -> np.ndarray:
    return np.stack([found[name] for name in names], axis=1)


@needs_gsplat
def test_splats_are_the_gaussians_in_other_units(tmp_path: Path) -> None:
    """Separate Gaussians: each shows its own reflectivity."""
    sequence = drifting(40, 1, grid=GRID)
    g = sequence.at(0)
    g.means[:, 0], g.means[:, 1] = torch.tensor(GRID.x[2:42]).float(), torch.linspace(-3e4, 3e4, 40)
    g.means[:, 2] = 4000.0
    g.intensities[:] = torch.linspace(-10.0, 60.0, 40)[:, None]
    g.intensities[30] = 0.0
    count = write_splats(g, GRID, tmp_path / "storm.ply")
    found = read_ply(tmp_path / "storm.ply")
    shown = [int(np.argmin(np.abs(g.means[:, 0].numpy() / UNIT_M - x))) for x in found["x"]]
    assert count == len(found) and 30 not in shown
    assert (g.intensities[shown] > 0).all() and set(range(31, 40)) <= set(shown)
    np.testing.assert_allclose(columns(found, "x", "y", "z"), g.means[shown] / UNIT_M, rtol=1e-6)
    scales = np.exp(columns(found, "scale_0", "scale_1", "scale_2"))
    np.testing.assert_allclose(scales, g.log_scales[shown].exp() / UNIT_M, rtol=1e-5)
    quats = g.quats[shown] / g.quats[shown].norm(dim=1, keepdim=True)
    np.testing.assert_allclose(columns(found, "rot_0", "rot_1", "rot_2", "rot_3"), quats, atol=1e-6)
    alpha = 1 / (1 + np.exp(-found["opacity"]))
    np.testing.assert_allclose(alpha, g.intensities[shown, 0] / 70, rtol=1e-4)
    rgb = 0.5 + 0.28209479177387814 * columns(found, "f_dc_0", "f_dc_1", "f_dc_2")
    places = np.rint(GRID.index_of(g.means[shown].numpy())).astype(int)
    expected = drawn_colours(reflectivity_scale(), render(g, GRID)[0][tuple(places.T)])
    bytes_of = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in expected])
    np.testing.assert_allclose(255 * rgb, bytes_of, atol=1.0)


@needs_gsplat
def test_strongest_echo_is_finite_and_no_echo_writes_nothing(tmp_path: Path) -> None:
    g = drifting(5, 1, grid=GRID).at(0)
    strong = replace(g, intensities=torch.full((5, 1), 79.0))
    assert write_splats(strong, GRID, tmp_path / "a.ply") == 5
    assert np.isfinite(columns(read_ply(tmp_path / "a.ply"), "opacity")).all()
    assert write_splats(replace(g, intensities=torch.zeros(5, 1)), GRID, tmp_path / "b.ply") == 0
    assert not (tmp_path / "b.ply").exists()


def windows() -> list[GaussianSequence]:
    """Two sequences that share a time, half an hour apart."""
    first = drifting(20, 4, grid=GRID)
    return [first, replace(first, times=first.times + np.timedelta64(1200, "s"), means=first.means + 1e3)]


@needs_gsplat
def test_the_newest_input_or_every_one(tmp_path: Path) -> None:
    older, newer = map(as_stored, windows())
    fits = tmp_path / "fit.nc"
    write_windows([FittedWindow(w, 3, "event") for w in (older, newer)], fits)
    assert export_fit(fits, tmp_path / "storm.ply") == [tmp_path / "storm.ply"]
    newest = read_ply(tmp_path / "storm.ply")
    write_splats(newer.at(2), GRID, tmp_path / "direct.ply")
    assert (newest == read_ply(tmp_path / "direct.ply")).all()
    told = (tmp_path / "storm.ply").read_bytes().split(b"end_header")[0].decode()
    assert f"comment fit.nc sha256 {file_digest(fits)}\n" in told and "comment valid 2020-01-01T00:40:00Z" in told
    written = export_fit(fits, tmp_path / "storms")
    assert [p.name for p in written] == [f"20200101T00{m}000.ply" for m in range(5)]
    assert (read_ply(written[-1]) == newest).all()
    write_splats(newer.at(0), GRID, tmp_path / "shared.ply")
    assert (read_ply(written[2]) == read_ply(tmp_path / "shared.ply")).all()


@needs_gsplat
def test_nothing_to_export(tmp_path: Path) -> None:
    dry = drifting(20, 2, grid=GRID, idle=20)
    write_windows([FittedWindow(dry, 2, "event")], tmp_path / "fit.nc")
    for target in ("storm.ply", "storms"):
        with pytest.raises(InputError, match="no echo"):
            export_fit(tmp_path / "fit.nc", tmp_path / target)
    with pytest.raises(UsageError, match=r"\.ply"):
        export_fit(tmp_path / "fit.nc", tmp_path / "storm.obj")


@needs_gsplat
def test_fit_exports(tmp_path: Path) -> None:
    write_volumes(helpers.moving_cells(GRID, steps=2), tmp_path / "v.nc")
    ply = tmp_path / "storm.ply"
    arguments = ["fit", tmp_path / "v.nc", "--gaussians", "64", "-o", tmp_path / "f.nc", "--export", ply, "--json"]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["exported"] == [str(ply)] and len(read_ply(ply)) > 20
    top = columns(read_ply(ply), "x", "y").astype(np.float64)
    assert math.hypot(*np.abs(top).max(axis=0)) < 15  # 60 km to each side


def test_without_gsplat_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splats, "find_spec", lambda name: None)
    write_volumes(helpers.moving_cells(GRID, steps=2), tmp_path / "v.nc")
    arguments = ["fit", tmp_path / "v.nc", "-o", tmp_path / "f.nc", "--export", tmp_path / "storm.ply"]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 3 and "pip install 'gaussian-nowcast[export]'" in done.stderr
    assert not (tmp_path / "f.nc").exists()
