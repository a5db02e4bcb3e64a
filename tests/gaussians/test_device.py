"""The fit on a CUDA device: chosen, refused, and run by Triton's interpreter; on a GPU: test_device_gpu.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from helpers import moving_cells, small_grid
from interpreted import choose_interpreter, fit_interpreted

from nowcast.errors import ConfigError, InputError
from nowcast.gaussians import FitConfig, fit_sequence, reconstruction_scores
from nowcast.gaussians import device as device_module
from nowcast.gaussians.compute import Compute
from nowcast.gaussians.device import WORTH_IT, compute_on, computed
from nowcast.gaussians.on_cpu import CPU
from nowcast.gaussians.optimise import _gram
from nowcast.gaussians.passes import image_term
from nowcast.types import VolumeSequence

GRID = small_grid((4, 8, 16), 6000.0)
SHORT = FitConfig(
    gaussians=6, rounds=1, seed_steps=3, round_steps=2, polish_steps=2, backward_steps=2, forward_steps=2, last_steps=2,
    amplitude_steps=2,
)  # fmt: skip


def two_channels(steps: int = 2) -> VolumeSequence:
    """Moving cells with ZDR where there is echo, and three columns that the radar does not see."""
    cells = moving_cells(GRID, cells=3, steps=steps)
    mask = cells.mask.copy()
    mask[:, :, :, :3] = False
    zdr = np.where(cells.reflectivity > 8, 0.05 * cells.reflectivity, np.nan)
    values = np.where(mask[:, None], np.stack([cells.reflectivity, zdr], axis=1), np.nan)
    return replace(cells, values=values.astype(np.float32), mask=mask, channels=("reflectivity", "zdr"))


def needs_triton() -> None:
    # Older interpreters do not work with numpy 2.4.
    pytest.importorskip("triton", minversion="3.8", reason="needs triton 3.8 or newer", exc_type=ImportError)


@pytest.fixture
def cuda() -> Compute:
    """The arithmetic of the device in torch alone: no kernel runs here."""
    needs_triton()
    from nowcast.gaussians.on_cuda import OnCuda

    return OnCuda(torch.device("cpu"))


def test_the_fit_on_the_device_is_the_fit_on_the_cpu() -> None:
    needs_triton()
    volumes = two_channels()
    expected = fit_sequence(volumes, SHORT)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=choose_interpreter) as process:
        arrays = process.submit(fit_interpreted, volumes, SHORT).result(timeout=300)
    names = ("means", "log_scales", "quats", "intensities", "velocities")
    got = replace(expected, **dict(zip(names, map(torch.from_numpy, arrays), strict=True)))
    ours, theirs = reconstruction_scores(got, volumes), reconstruction_scores(expected, volumes)
    np.testing.assert_allclose(ours["psnr_db"], theirs["psnr_db"], rtol=0, atol=0.1)
    np.testing.assert_allclose(ours["rmse"]["zdr"], theirs["rmse"]["zdr"], rtol=0.01)
    assert float((got.means - expected.means).norm(dim=-1).max()) < 60.0  # a hundredth of a voxel
    assert min(ours["psnr_db"]) > 25


def test_target_and_weight_are_those_of_the_cpu(cuda: Compute) -> None:
    volumes = two_channels()
    volumes.mask.flags.writeable = False  # as files may give them
    ours, theirs = (image_term(volumes, 0, FitConfig(), compute) for compute in (cuda, CPU))
    for name in ("target", "root_weight"):
        np.testing.assert_allclose(cuda.to_host(getattr(ours, name)), getattr(theirs, name), rtol=1e-6, atol=0)


def test_what_counts_as_a_difference_is_the_same(cuda: Compute) -> None:
    rng = np.random.default_rng(0)
    target = rng.uniform(-0.2, 1.3, (2, *GRID.shape)).astype(np.float32)
    target[0] = target[0].clip(0.0, 80 / 70)
    field, weight = rng.normal(0.5, 1, target.shape).astype(np.float32), rng.uniform(0, 2, target.shape)
    weight = np.where(weight < 0.5, 0.0, weight).astype(np.float32)
    target[weight == 0] = np.nan
    ours = cuda.compare(*map(torch.from_numpy, (field, target, weight)))
    for a, b in zip(ours, CPU.compare(field, target, weight), strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
    columns = cuda.columns(torch.from_numpy(field[0]), torch.from_numpy(weight[0] > 0))
    np.testing.assert_array_equal(columns, CPU.columns(field[0], weight[0] > 0))


@pytest.mark.parametrize("shape", [(4, 8, 16), (1, 2, 9), (3, 1, 1)])
def test_seeds_are_drawn_at_the_same_voxels(cuda: Compute, shape: tuple[int, int, int]) -> None:
    residual = np.random.default_rng(1).normal(0, 0.1, shape).astype(np.float32)
    weights, expected = cuda.missing(torch.from_numpy(residual), 0.01), CPU.missing(residual, 0.01)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-4, atol=1e-9)
    drawn = [compute.draw(w, 20, np.random.default_rng(2)) for compute, w in ((cuda, weights), (CPU, expected))]
    np.testing.assert_array_equal(*drawn)
    both = np.stack([residual, 2 * residual])
    np.testing.assert_array_equal(cuda.values_at(torch.from_numpy(both), drawn[0]), CPU.values_at(both, drawn[1]))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_scalar_products_are_the_same(count: int) -> None:
    rng = np.random.default_rng(3)
    rows = [[rng.normal(size=30_000).astype(np.float32), rng.normal(size=50)] for _ in range(count)]
    ours = _gram([[torch.from_numpy(field), rest] for field, rest in rows])
    np.testing.assert_allclose(ours, _gram(rows), rtol=1e-5, atol=1e-2)  # float32 sums of thousands, on the CPU


def test_the_fit_loads_triton_only_for_a_device() -> None:
    code = "import sys, nowcast.gaussians; sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes torch tell of so many CUDA devices."""

    def hold(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return hold


def test_auto_takes_cuda_where_there_is_any_and_it_is_worth_it(held, monkeypatch) -> None:
    needs_triton()
    held(1)
    assert compute_on("auto", WORTH_IT).device == torch.device("cuda")
    assert compute_on("cuda:0", 1).device == torch.device("cuda", 0)
    assert compute_on("auto", WORTH_IT - 1) is CPU and compute_on("cpu", WORTH_IT) is CPU
    monkeypatch.setattr(device_module, "triton_serves", lambda: False)
    assert compute_on("auto", WORTH_IT) is CPU
    with pytest.raises(ConfigError, match="fit device is cuda, which needs the package triton"):
        compute_on("cuda", 1)


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:2", 2)])
def test_a_device_that_is_not_there_is_told(held, name: str, count: int) -> None:
    needs_triton()
    held(count)
    with pytest.raises(ConfigError, match=rf"fit device is {name}, but torch sees {count} CUDA devices"):
        fit_sequence(moving_cells(GRID), FitConfig(gaussians=4, device=name))
    assert compute_on("auto", WORTH_IT) is CPU or count


def test_a_device_of_another_name_is_refused() -> None:
    for name in ("gpu", "cuda:", "CUDA", ""):
        with pytest.raises(ConfigError, match="fit device is"):
            FitConfig(device=name)


@pytest.mark.parametrize(
    ("error", "warning", "refusal"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "no room for the fit, which takes some 0.0 GiB", InputError),
        (RuntimeError("Failed to find C compiler"), "failed (RuntimeError: Failed to find C compiler)", RuntimeError),
    ],
)
def test_what_the_device_fails_at_the_cpu_does_if_it_may(error, warning, refusal, monkeypatch, caplog) -> None:
    monkeypatch.setattr(device_module, "compute_on", lambda device, values: object())

    def fit(compute: Compute) -> Compute:
        if compute is not CPU:
            raise error
        return compute

    assert computed(FitConfig(), two_channels(), fit) is CPU
    assert warning in caplog.text and "it is done on the CPU" in caplog.text
    with pytest.raises(refusal):
        computed(FitConfig(device="cuda"), two_channels(), fit)
