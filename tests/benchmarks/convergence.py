"""How fast the fit of one volume gets good, against plain Adam and against the published recipe, in one run.

``python tests/benchmarks/convergence.py --out DIR [--data ROOT]``. All start on the same echo with as many Gaussians
and draw with the same voxelizer, on one core. PSNR is over the whole grid with dBZ/70 as the scale, clipped to
0..80 dBZ. Seconds are of processor time, which other work on the machine hardly changes, without the time that the
PSNR takes.

- ``ours``: the first pass of :func:`nowcast.gaussians.fit_sequence`, which stops when it gains little. Strong echo
  counts more, and amplitudes have a price. ``ours, on``: the same going on, for the plain squared error as the others.
- ``adam``: every step the whole volume, squared error, a tuned step size for each kind of parameter.
- ``published``: the recipe of arXiv 2502.14895 for one frame, 5,000 steps of density, then 15,000, of which the first
  5,000 are density again. A step sees one random slice, every other one vertical; Gaussians within 1.5 voxels of it
  count as if they stood in it, so none learns its depth from it. Its step sizes and schedule; its weighting of echo,
  SSIM and flow terms are left out, which favours its PSNR. Drawn for the score by its own slices, level by level.
  ``no density``: only the 10,000 steps that see the echo.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from system import GRIDDED, PACKAGES, simulated_volumes, windows_of
from torch import Tensor

from nowcast.gaussians import FitConfig, fit_sequence, passes
from nowcast.gaussians.quality import peak_signal_to_noise
from nowcast.gaussians.seed import idle_gaussians, seeds_on_echo
from nowcast.gaussians.state import State
from nowcast.gaussians.terms import ImageLinear, ImageTerm
from nowcast.types import Float32, VolumeSequence
from nowcast.units import clip_dbz, model_to_dbz
from nowcast_kernels.voxelize import RegularGrid, voxelize

sys.path.append(str(Path(__file__).parents[2] / "kernels" / "benchmarks"))
from machine import machine

TARGETS_DB = (34, 38, 40, 42)
AT_STEPS = (20, 50, 100, 300, 2000, 20_000)
AT_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0, 20.0, 60.0)
REACH = 1.5  # voxels either side of a slice


@dataclass(frozen=True)
class Adam:
    """Step sizes in voxels, logarithms, quaternion units and model scale; they fall to ``end`` of that by the end."""

    shift: float = 0.2
    log_scale: float = 0.08
    turn: float = 0.08
    amplitude: float = 0.03
    end: float = 0.1
    steps: int = 2000


@dataclass(frozen=True)
class Published:
    """``rate`` falls to ``end`` of itself; it is low for the first ``delay`` steps of each part."""

    backward: int = 5000
    forward: int = 15_000
    density: int = 5000
    rate: float = 0.002
    end: float = 0.1
    delay: int = 1000
    blur: float = math.e
    clip: float = 0.3


@dataclass
class Curve:
    """PSNR by steps and seconds, of processor time or of another clock."""

    name: str
    points: list[tuple[int, float, float]] = field(default_factory=list)
    started: float = 0.0
    clock: Callable[[], float] = time.process_time

    def start(self) -> None:
        self.started = self.clock()

    def mark(self, step: int, psnr: Callable[[], float]) -> None:
        """Add a point, without the time that its PSNR takes."""
        stop = self.clock()
        self.points.append((step, stop - self.started, psnr()))
        self.started += self.clock() - stop

    def reach(self, target: float) -> tuple[int, float] | None:
        """Steps and seconds until the PSNR first is that high."""
        return next(((step, s) for step, s, psnr in self.points if psnr >= target), None)

    def best(self, column: int, until: float) -> float | None:
        """Best PSNR within so many steps (0) or seconds (1)."""
        return max((p[2] for p in self.points if p[column] <= until), default=None)


def psnr_of(field: Float32, volumes: VolumeSequence) -> float:
    """Of a field in model scale against the one volume."""
    seen = volumes.mask[0]
    return peak_signal_to_noise((clip_dbz(model_to_dbz(field[0])) - volumes.reflectivity[0])[seen])


def run_ours(volumes: VolumeSequence, name: str, config: FitConfig) -> Curve:
    """The fit, watched at each evaluation of its image term; a step is a gradient."""
    curve, steps = Curve(name), [0]

    class Watched(ImageTerm):
        def at(self, state: State) -> ImageLinear:
            linear = super().at(state)
            curve.mark(steps[0], lambda: psnr_of(linear.field, volumes))
            return Counted(**{f.name: getattr(linear, f.name) for f in fields(linear)})

    class Counted(ImageLinear):
        def gradient(self) -> State:
            steps[0] += 1
            return super().gradient()

    def watched(*arguments: Any) -> ImageTerm:
        term = image_term(*arguments)
        return Watched(**{f.name: getattr(term, f.name) for f in fields(term)})

    image_term = passes.image_term
    with mock.patch.object(passes, "image_term", watched):
        curve.start()
        fit_sequence(volumes, config)
    return curve


def seeds(volumes: VolumeSequence, count: int, device: str = "cpu") -> tuple[list[Tensor], ImageTerm]:
    """Parameters to optimise, means in voxels (x, y, z), and the target; seeds that find no echo start idle."""
    image = passes.image_term(volumes, 0, FitConfig())
    grid = volumes.grid
    state = seeds_on_echo(image.target, image.root_weight, grid, count, np.random.default_rng(0))
    state = state.join(idle_gaussians(count - len(state), len(volumes.channels), grid))
    means = grid.index_of(state.means)[:, ::-1].astype(np.float32)
    scales = state.log_scales - np.log(grid.spacing_m[::-1]).astype(np.float32)
    arrays = means.copy(), scales, state.quats, state.intensities
    return [torch.tensor(a, device=device, requires_grad=True) for a in arrays], image


def draw(parameters: list[Tensor], shape: tuple[int, int, int]) -> Tensor:
    """The field ``[C, Z, Y, X]`` on a grid of voxels of size 1."""
    means, log_scales, quats, intensities = parameters
    return voxelize(means, log_scales, quats, intensities, RegularGrid(shape, (0.0,) * 3, (1.0,) * 3))


def run_adam(volumes: VolumeSequence, count: int, recipe: Adam) -> Curve:
    """Squared error of the whole volume by Adam."""
    parameters, image = seeds(volumes, count)
    target, seen = torch.from_numpy(image.target[0]), torch.from_numpy(volumes.mask[0])
    rates = recipe.shift, recipe.log_scale, recipe.turn, recipe.amplitude
    curve = Curve("adam")
    curve.start()
    groups = [{"params": [p], "lr": rate} for p, rate in zip(parameters, rates, strict=True)]
    optimiser = torch.optim.Adam(groups, eps=1e-15)
    fall = torch.optim.lr_scheduler.ExponentialLR(optimiser, recipe.end ** (1 / recipe.steps))
    for step in range(recipe.steps):
        field = draw(parameters, volumes.grid.shape)[0]
        curve.mark(step, lambda field=field: psnr_of(field.detach().numpy()[None], volumes))  # type: ignore[misc]
        optimiser.zero_grad()
        torch.where(seen, field - target, 0.0).square().mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        fall.step()
    return curve


def slice_of(parameters: list[Tensor], shape: tuple[int, int, int], axis: int, at: int) -> Tensor:
    """A slice ``[C, ...]`` across ``axis`` (0 z, 1 y, 2 x) as published: what is near counts as if it stood in it."""
    means = parameters[0]
    column = 2 - axis
    near = torch.nonzero((means[:, column].detach() - at).abs() <= REACH)[:, 0]
    means, *others = (p[near] for p in parameters)
    flat = torch.ones(3, device=means.device)
    flat[column] = 0.0
    thin = [1 if k == axis else n for k, n in enumerate(shape)]
    return draw([means * flat, *others], (thin[0], thin[1], thin[2])).squeeze(1 + axis)


def run_published(
    volumes: VolumeSequence,
    name: str,
    count: int,
    recipe: Published,
    *,
    device: str = "cpu",
    every: int = 200,
    clock: Callable[[], float] = time.process_time,
) -> Curve:
    """Random slices by Adam, density first. All channels are drawn; PSNR, every so many steps, is of reflectivity."""
    parameters, image = seeds(volumes, count, device)
    target, shape = image.target, volumes.grid.shape
    blurred = gaussian_filter(target[:1], (0, 0, recipe.blur, recipe.blur))
    density = torch.from_numpy(np.clip(blurred, 0.0, recipe.clip)).to(device)
    volume, seen = (torch.from_numpy(a).to(device) for a in (target, volumes.mask[0]))
    rng = np.random.default_rng(0)
    plain = [
        torch.zeros(count, 3, device=device),
        torch.tensor([1.0, 0.0, 0.0, 0.0], device=device).expand(count, 4),
        torch.ones(count, 1, device=device),
    ]

    def drawn() -> float:
        with torch.no_grad():
            levels = [slice_of(parameters, shape, 0, z)[0].cpu().numpy() for z in range(shape[0])]
        return psnr_of(np.stack(levels)[None], volumes)

    def step(goal: Tensor, k: int, only_density: bool) -> None:
        axis = 0 if k % 2 == 0 else int(rng.integers(1, 3))
        at = int(rng.integers(shape[axis]))
        shown = slice_of([parameters[0], *plain] if only_density else parameters, shape, axis, at)
        error = torch.where(seen.select(axis, at), shown - goal.select(1 + axis, at), 0.0)
        optimiser.zero_grad()
        error.square().mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    curve, done = Curve(name, clock=clock), 0
    curve.start()
    for part, steps in ((recipe.density, recipe.backward), (recipe.density, recipe.forward)):
        optimiser = torch.optim.Adam([{"params": [p]} for p in parameters], eps=1e-15)
        for k in range(steps):
            early = recipe.end + (1 - recipe.end) * math.sin(0.5 * math.pi * min(k / recipe.delay, 1.0))
            rate = early * recipe.rate * recipe.end ** (k / recipe.forward)
            sizes = (5.0, 0.0, 0.0, 0.0) if k < part else (1.0, 5.0, 5.0, 2.5)
            for group, size in zip(optimiser.param_groups, sizes, strict=True):
                group["lr"] = rate * size
            step(density if k < part else volume, k, k < part)
            done += 1
            if done in AT_STEPS or done % every == 0:
                curve.mark(done, drawn)
    return curve


def table(name: str, curves: list[Curve]) -> str:
    """The curves as text: steps and seconds to a PSNR, and PSNR at equal steps and seconds."""

    def shown(value: float | None) -> str:
        return f"{value:9.1f}" if value is not None else f"{'-':>9}"

    lines = [name, f"{'steps / s to dB':16}" + "".join(f"{t:>16}" for t in TARGETS_DB)]
    for curve in curves:
        reached = [curve.reach(t) for t in TARGETS_DB]
        cells = [f"{r[0]} / {r[1]:.2f}" if r else "not reached" for r in reached]
        lines.append(f"{curve.name:16}" + "".join(f"{c:>16}" for c in cells))
    for column, head, points in ((0, "dB at steps", AT_STEPS), (1, "dB at seconds", AT_SECONDS)):
        lines.append(f"{head:16}" + "".join(f"{p:>9}" for p in points))
        lines += [f"{c.name:16}" + "".join(shown(c.best(column, p)) for p in points) for c in curves]
    ends = (f"{c.name} {c.points[-1][0]} steps, {c.points[-1][1]:.1f} s, {c.points[-1][2]:.1f} dB" for c in curves)
    return "\n".join([*lines, "at the end: " + "; ".join(ends)])


def busiest(volumes: list[VolumeSequence]) -> VolumeSequence:
    """The newest volume of the window with most echo there."""
    newest = [window.select(slice(-1, None)) for window in volumes]
    return max(newest, key=lambda v: float((v.filled() > 0).mean()))


def warm_up(volumes: VolumeSequence) -> None:
    """Compile the kernels: nothing of it is timed."""
    fit_sequence(volumes, FitConfig(gaussians=64))
    run_adam(volumes, 64, Adam(steps=2))
    run_published(volumes, "", 64, Published(2, 4, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--data", type=Path, help="folder of real volumes; simulated ones where it is not given")
    parser.add_argument("--gaussians", type=int, default=2048)
    options = parser.parse_args()
    torch.set_num_threads(1)  # of the voxelizer too
    real = options.data and (options.data / GRIDDED).is_dir()
    volumes = busiest(windows_of(options.data / GRIDDED) if real else [simulated_volumes()])
    name = f"{'CPOL' if real else 'simulated'} {'x'.join(map(str, volumes.grid.shape))} N={options.gaussians}"
    warm_up(volumes)
    count = options.gaussians
    plain = FitConfig(gaussians=count, strong_weight=0.0, amplitude_cost=0.0, plateau=0.0, polish_steps=300)
    curves = [
        run_ours(volumes, "ours", FitConfig(gaussians=count)),
        run_ours(volumes, "ours, on", plain),
        run_adam(volumes, count, Adam()),
        run_published(volumes, "published", count, Published()),
        run_published(volumes, "no density", count, Published(backward=0, forward=10_000, density=0)),
    ]
    print(table(name, curves))
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {"machine": machine(PACKAGES), "name": name, "adam": asdict(Adam()), "published": asdict(Published())}
    facts["curves"] = {c.name: c.points for c in curves}
    (options.out / "convergence.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
