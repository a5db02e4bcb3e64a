"""What training minimises, and the scores it reports.

Squared error rewards a forecast for dimming whatever it cannot place; the soft CSI rewards echo of the right strength
in the right place, at each of the thresholds that the forecast is judged by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nowcast.train.config import LossConfig
from nowcast.train.distributed import Processes
from nowcast.types import GaussianSet, GridSpec
from nowcast.units import ECHO_FLOOR_DBZ, MAX_DBZ
from nowcast_kernels.voxelize import voxelize

_ALMOST = 0.95  # of the fair score, the rest of the one that counts every member for itself
_FEW_VOXELS = 20.0  # a threshold that fewer voxels pass, seen or forecast, counts proportionally less

# Differences that count as one in the parameter loss.
_MEAN_M, _LOG_SCALE, _TURN, _INTENSITY = 2000.0, 0.3, 0.1, 5.0


def render_reflectivity(gaussians: GaussianSet, grid: GridSpec) -> Tensor:
    """Reflectivity ``[Z, Y, X]`` in dBZ within 0..80, differentiable."""
    field = voxelize(gaussians.means, gaussians.log_scales, gaussians.quats, gaussians.intensities[:, :1], grid)[0]
    return field.clamp(ECHO_FLOOR_DBZ, MAX_DBZ)


def threshold_losses(forecast: Tensor, observed: Tensor, config: LossConfig) -> tuple[Tensor, Tensor]:
    """One minus the soft critical success index, and the error of the area, both averaged over the thresholds.

    With ``p = sigmoid((dBZ - q) / width)``, less its value at no echo so that dry voxels count nothing, the index is
    ``sum(min(p_forecast, p_observed)) / sum(max(p_forecast, p_observed))`` over the voxels; sharp sigmoids make it
    the CSI. The area error is ``((F - O) / (F + O))^2`` of the sums F and O of ``p``: 0 where the frequency bias is 1.

    Parameters
    ----------
    forecast, observed
        ``[V]`` dBZ at observed voxels, not below 0.
    """
    csi, area = forecast.new_zeros(()), forecast.new_zeros(())
    for q in config.thresholds_dbz:
        p, o = (_passes(field, q, config.softness_dbz) for field in (forecast, observed))
        hits, either = torch.minimum(p, o).sum(), torch.maximum(p, o).sum()
        weight = (either.detach() / _FEW_VOXELS).clamp(max=1.0)
        csi = csi + weight * (1 - hits / either.clamp_min(1e-6))
        area = area + weight * ((p.sum() - o.sum()) / (hits + either).clamp_min(1e-6)).square()
    return csi / len(config.thresholds_dbz), area / len(config.thresholds_dbz)


def _passes(field: Tensor, threshold: float, width: float) -> Tensor:
    passed = torch.sigmoid((field - threshold) / width) - torch.sigmoid(field.new_tensor(-threshold / width))
    return passed.clamp_min(0)  # the two sigmoids may round differently


def relative_mae(forecast: Tensor, observed: Tensor) -> Tensor:
    """Sum of absolute errors over the sum of what is observed or, if that is more, forecast; 0 where both are dry."""
    echo = torch.maximum(observed.sum(), forecast.detach().sum())
    return (forecast - observed).abs().sum() / echo.clamp_min(1e-6)


def almost_fair_crps(members: Tensor, observed: Tensor) -> Tensor:
    """Continuous ranked probability score ``[V]`` in dBZ, almost fair (Lang et al. 2024, arXiv 2412.15832).

    ``mean_j |x_j - y| - (1 - (1 - a) / M) / (2 M (M - 1)) sum_jk |x_j - x_k|`` with a = 0.95: the fair score, which
    does not depend on the number of members, kept from leaving one of them free.

    Parameters
    ----------
    members, observed
        ``[M, V]`` and ``[V]`` dBZ at observed voxels; M is 2 at least.
    """
    count = len(members)
    ordered = members.sort(dim=0).values
    rank = torch.arange(count, dtype=members.dtype, device=members.device)[:, None]
    apart = (2 * (2 * rank - count + 1) * ordered).sum(dim=0)  # of all ordered pairs
    keep = (1 - (1 - _ALMOST) / count) / (2 * count * (count - 1))
    return (members - observed).abs().mean(dim=0) - keep * apart


def relative_crps(members: Tensor, observed: Tensor, mask: Tensor, config: LossConfig) -> Tensor:
    """CRPS of the voxels, of the maxima over 5 x 5 columns, and weighted by threshold, relative to the echo there is.

    Without the maxima members may differ in how they blur; with them each needs cores as strong as there are. The last,
    which is the CRPS of the soft exceedances of :func:`threshold_losses` (Gneiting and Ranjan 2011, threshold-weighted,
    with the weight around the threshold), keeps the area of strong cores, a small part of all echo, as it is observed.

    Parameters
    ----------
    members, observed, mask
        ``[M, Z, Y, X]`` and ``[Z, Y, X]`` dBZ, not below 0, and which voxels to compare.
    """
    both = torch.where(mask, torch.cat([members, observed[None]]), 0.0)
    voxels, maxima = with_echo(both), with_echo(F.max_pool2d(both, 5, stride=2))
    passes = [_relative(_passes(voxels, q, config.softness_dbz), _FEW_VOXELS) for q in config.thresholds_dbz]
    return (_relative(voxels) + _relative(maxima)) / 4 + torch.stack(passes).mean() / 2


def with_echo(fields: Tensor, mask: Tensor | None = None) -> Tensor:
    """``[K, V]`` the voxels, of a mask if any, where one of ``K`` fields has echo: the others count nothing."""
    echo = (fields.detach() > 0).any(dim=0)
    (where,) = torch.nonzero((echo if mask is None else echo & mask).flatten(), as_tuple=True)
    return fields.flatten(1).index_select(1, where)


def _relative(both: Tensor, few: float = 0.0) -> Tensor:
    """CRPS of ``both[:-1]`` against ``both[-1]`` over the sum of the echo, less where that is ``few`` only."""
    members, observed = both[:-1], both[-1]
    echo = torch.maximum(observed.sum(), members.detach().mean(dim=0).sum())
    return almost_fair_crps(members, observed).sum() / echo.clamp_min(max(few, 1e-6))


def parameter_loss(forecast: GaussianSet, target: GaussianSet, huber: float = 1.0) -> Tensor:
    """Huber distance, linear beyond ``huber``, of the Gaussians active in both.

    In units of 2 km, 0.3 in log-scale, 18 degrees and 5 dBZ.
    """
    both = forecast.active & target.active
    if not bool(both.any()):
        return forecast.means.new_zeros(())
    units = F.normalize(forecast.quats[both], dim=-1), F.normalize(target.quats[both], dim=-1)
    sine_squared = 1 - (units[0] * units[1]).sum(-1).square()
    differences = (
        (forecast.means - target.means)[both] / _MEAN_M,
        (forecast.log_scales - target.log_scales)[both] / _LOG_SCALE,
        sine_squared / _TURN,
        (forecast.intensities - target.intensities)[both] / _INTENSITY,
    )
    parts = [F.huber_loss(d, torch.zeros_like(d), delta=huber) for d in differences]
    return torch.stack(parts).mean()


@dataclass
class Scores:
    """Hits, misses, false alarms and errors pooled over voxels, for the training log. Thresholds as given."""

    thresholds_dbz: tuple[float, ...]

    def __post_init__(self) -> None:
        self._counts = torch.zeros(len(self.thresholds_dbz), 3, dtype=torch.float64)
        self._errors = torch.zeros(2, dtype=torch.float64)  # their sum and their number

    def add(self, forecast: Tensor, observed: Tensor) -> None:
        """Count one forecast volume: ``[V]`` dBZ at observed voxels."""
        for row, q in enumerate(self.thresholds_dbz):
            f, o = forecast >= q, observed >= q
            self._counts[row] += torch.stack([(f & o).sum(), (o & ~f).sum(), (f & ~o).sum()]).cpu()
        error = float((forecast - observed).abs().sum(dtype=torch.float64))
        self._errors += torch.tensor([error, forecast.numel()], dtype=torch.float64)

    def pool(self, processes: Processes) -> None:
        """Count what the other processes counted, too."""
        self._counts, self._errors = processes.total(self._counts), processes.total(self._errors)

    def summary(self) -> dict[str, float]:
        """CSI and frequency bias by threshold and MAE in dBZ; what nothing was counted for is left out."""
        hits, misses, false_alarms = self._counts.T
        csi, bias = hits / self._counts.sum(1), (hits + false_alarms) / (hits + misses)
        error, voxels = self._errors.tolist()
        out = {"mae_dbz": error / voxels} if voxels else {}
        for row, q in enumerate(self.thresholds_dbz):
            out |= {f"csi_{q:g}": csi[row].item(), f"bias_{q:g}": bias[row].item()}
        return {name: value for name, value in out.items() if math.isfinite(value)}
