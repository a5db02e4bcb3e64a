"""GauMamba: reads frames of Gaussians one by one and says how each will depart from being moved along.

After STC-GS (arXiv 2502.14895). Tokens are Gaussians along a curve through space, each layer pair reads them both ways
and keeps a gated memory of the frame before. What differs: the answer is a set of rates, a *correction* to Lagrangian
extrapolation, and the last layer starts at zero, so that an untrained model is exactly the extrapolation. Forecast
frames are not read again: one reading of the observed ones tells the rates at every lead time, which costs a fifth
and cannot run away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError
from nowcast.gaussians import hilbert_order, morton_order
from nowcast.models.features import Snapshot, axes_3d, feature_count, features
from nowcast.models.linear import Linear
from nowcast.models.memory import GatedPair
from nowcast.models.noise import KINDS
from nowcast.models.ssd_block import SSDPair

Memory = list[Tensor]

LEAD_SCALES_S = (1800.0, 7200.0)
"""The lead time enters as ``1 - exp(-lead / scale)``, so that long forecasts stay near what training saw."""

_SPREAD_START = 0.1  # of the most that a rate may be: members must differ to learn by how much
_FEATURE_LIMIT = 5.0  # standard deviations; keeps an odd Gaussian from driving its neighbours


@dataclass(frozen=True)
class ModelConfig:
    """Size of the model and the most it may correct.

    Attributes
    ----------
    channels
        Channels of the volumes; the first is reflectivity.
    d_model
        Width of a token.
    pairs
        Layer pairs, each a forward and a backward block; with 0 a Gaussian sees its neighbours' averages only.
    memory
        Whether a layer pair keeps a gated memory of the frame before; without, only the newest frame is read.
    both_ways
        Whether the second block of a pair reads the tokens backwards; otherwise both read them forwards.
    order
        The curve along which the tokens are read: "morton", "hilbert", or "shuffled": another one in each layer pair,
        of the two and of both with x and y exchanged (Wu et al., arXiv 2312.10035).
    motion_prior
        Whether the Gaussians are moved along before they are corrected; otherwise they stay where they were.
    changes_from
        What is corrected: the "last" observed frame, or as in the paper the "first".
    d_state, head_dim, expand, conv_width
        As in Mamba-2; ``expand * d_model`` is a multiple of ``head_dim``.
    candidates
        Most idle Gaussians, beside the strongest, that may become active, see :mod:`nowcast.models.initiation`; with 0
        the forecast holds no new echo.
    max_growth_per_min
        Most that the logarithm of an intensity changes in a minute.
    max_start_dbz_per_min
        Most that the reflectivity of an idle Gaussian rises in a minute, dBZ.
    max_stretch_per_min
        Most that the logarithm of a scale changes in a minute.
    max_drift_ms
        Most that a component of the velocity is corrected, m/s.
    max_turn_deg_per_min
        Most that a Gaussian turns about one axis in a minute, degrees.
    """

    channels: int = 1
    d_model: int = 48
    pairs: int = 2
    memory: bool = True
    both_ways: bool = True
    order: Literal["morton", "hilbert", "shuffled"] = "morton"
    motion_prior: bool = True
    changes_from: Literal["last", "first"] = "last"
    d_state: int = 16
    head_dim: int = 32
    expand: int = 2
    conv_width: int = 4
    candidates: int = 256
    max_growth_per_min: float = 0.05
    max_start_dbz_per_min: float = 0.5
    max_stretch_per_min: float = 0.03
    max_drift_ms: float = 10.0
    max_turn_deg_per_min: float = 1.0

    def __post_init__(self) -> None:
        sizes = ("channels", "d_model", "d_state", "head_dim", "expand", "conv_width")
        rates = ("growth_per_min", "start_dbz_per_min", "stretch_per_min", "drift_ms", "turn_deg_per_min")
        not_negative = ("pairs", "candidates", *(f"max_{rate}" for rate in rates))
        check_numbers(self, "model", positive=sizes, not_negative=not_negative)
        if self.expand * self.d_model % self.head_dim:
            inner = f"expand * d_model = {self.expand * self.d_model}"
            raise ConfigError(f"model head_dim {self.head_dim} does not divide {inner}: change one of them")
        for name, known in (("order", ("morton", "hilbert", "shuffled")), ("changes_from", ("last", "first"))):
            if getattr(self, name) not in known:
                raise ConfigError(f"model {name} is {getattr(self, name)!r}: expected one of {', '.join(known)}")


@dataclass(frozen=True)
class Rates:
    """How fast each of N Gaussians departs from extrapolation.

    Attributes
    ----------
    growth
        ``[N, C]`` change of the logarithm of the intensity, 1/min. Multiplicative: no echo stays no echo.
    start
        ``[N, C]`` what the intensity of an idle Gaussian gains, 1/min: reflectivity, never negative; otherwise 0.
    drift
        ``[N, 3]`` added velocity, m/s as (x, y, z).
    stretch
        ``[N, 2]`` change of the logarithm of the horizontal and of the vertical extent, 1/min.
    turn
        ``[N, 3]`` rotation vector in grid axes, rad/min.
    spread
        How the members of an ensemble depart from these rates.
    """

    growth: Tensor
    start: Tensor
    drift: Tensor
    stretch: Tensor
    turn: Tensor
    spread: Spread

    def member(self, noise: Tensor) -> Rates:
        """The rates of one member, given its noise ``[N, S, 3]`` of :class:`~nowcast.models.noise.NoiseFields`.

        Gradients go to the spread alone: an ensemble is trained around the one forecast, which it does not change.
        """
        growth = self.spread.shift + (self.spread.growth * noise[..., 0]).sum(-1, keepdim=True)
        drift = (self.spread.drift[..., None] * noise[..., 1:]).sum(-2)
        return Rates(
            growth=self.growth.detach() + growth,
            start=self.start.detach(),
            drift=self.drift.detach() + F.pad(drift, (0, 1)),
            stretch=self.stretch.detach(),
            turn=self.turn.detach(),
            spread=self.spread,
        )


@dataclass(frozen=True)
class Spread:
    """What of a Gaussian's rates is uncertain: the standard deviation by each of the S kinds of noise.

    ``shift [N, C]`` 1/min is added to the growth of every member: the one forecast that scores best is not the mean of
    what may come. ``growth [N, S]`` 1/min, ``drift [N, S]`` m/s in each horizontal direction.
    """

    shift: Tensor
    growth: Tensor
    drift: Tensor


class GauMamba(nn.Module):
    """The model. ``provenance`` says what it was trained on; it is saved with the weights.

    Parameters
    ----------
    config
        Its size.
    seed
        Of the start values; the caller's random state is left alone.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: ModelConfig | None = None, *, seed: int = 0) -> None:
        super().__init__()
        self.config = c = config or ModelConfig()
        self.provenance: dict[str, Any] = {}
        width = feature_count(c.channels)
        self.register_buffer("feature_mean", torch.zeros(width))
        self.register_buffer("feature_std", torch.ones(width))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(Linear(width, 2 * c.d_model), nn.SiLU(), Linear(2 * c.d_model, c.d_model))
            self.pairs = nn.ModuleList(
                GatedPair(SSDPair(c.d_model, c.d_state, c.head_dim, c.expand, c.conv_width, c.both_ways), c.d_model)
                for _ in range(c.pairs)
            )
            self.head_norm = nn.RMSNorm(c.d_model)
            self.widen = Linear(c.d_model, 2 * c.d_model)
            self.lead = nn.Linear(len(LEAD_SCALES_S), 2 * c.d_model, bias=False)
            self.narrow = Linear(2 * c.d_model, c.d_model)
            self.head = nn.Linear(c.d_model, sum(_outputs(c)))
            self.spread = nn.Linear(c.d_model, c.channels + 2 * len(KINDS))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, _SPREAD_START)
        nn.init.zeros_(self.spread.bias[: c.channels])

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.feature_mean.device

    def use_bfloat16(self) -> None:
        """Take the large matrix products in bfloat16 from now on; weights and everything else stay float32."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.in_bfloat16 = True

    def normalise(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and standard deviation ``[F]`` of the features, taken from training data."""
        self.feature_mean.copy_(mean)
        self.feature_std.copy_(std.clamp_min(1e-3))

    def forward(self, history: Sequence[Snapshot], memory: Memory | None) -> tuple[Tensor, Memory]:
        """Read the newest frame.

        Parameters
        ----------
        history
            The last frames' descriptors, oldest first, the newest to be read.
        memory
            What this function gave for the frame before, None for the first.

        Returns
        -------
        What :meth:`rates` goes by, ``[N, 2 d_model]``, and the memory for the next frame.
        """
        c = self.config
        tokens = (features(history) - self.feature_mean) / self.feature_std
        x = self.encoder(tokens.clamp(-_FEATURE_LIMIT, _FEATURE_LIMIT))
        orders = token_orders(history[-1], c.order, c.pairs)
        kept: Memory = []
        for layer, pair in enumerate(self.pairs):
            x = pair(x, orders[layer], memory[layer] if memory is not None else None)
            kept.append(x)
        return self.widen(self.head_norm(x)), kept

    def rates(self, read: Tensor, lead_s: float, axes: Tensor) -> Rates:
        """How the Gaussians depart from extrapolation ``lead_s`` after the newest frame, in grid axes.

        ``axes`` are the ``[2, 2]`` orthogonal ones in which the frames were described.
        """
        lead = read.new_tensor([1 - math.exp(-lead_s / scale) for scale in LEAD_SCALES_S])
        x = F.silu(self.narrow(F.silu(read + self.lead(lead))))
        # What is uncertain is learnt from what the forecast knows already, and does not change it.
        return self._rates(self.head(x), self._spread(self.spread(x.detach())), axes)

    def _spread(self, out: Tensor) -> Spread:
        """Bound the output ``[N, C + 2 S]`` of the spread's head."""
        c = self.config
        shift, growth, drift = torch.tanh(out).split((c.channels, len(KINDS), len(KINDS)), dim=-1)
        return Spread(c.max_growth_per_min * shift, c.max_growth_per_min * growth, c.max_drift_ms * drift)

    def _rates(self, out: Tensor, spread: Spread, axes: Tensor) -> Rates:
        """Bound the head's output ``[N, C + 9]`` and turn its vectors from the model's axes to the grid's."""
        c = self.config
        growth, drift, stretch, turn, start = torch.tanh(out).split(_outputs(c), dim=-1)
        # The gradient is that of the value without its bound: one that stays idle could never learn to start otherwise.
        start = start + (start.clamp(min=0) - start).detach()
        full = axes_3d(axes)
        # A rotation vector is axial: mirrored axes reverse it.
        spin = full * torch.det(axes)
        return Rates(
            growth=c.max_growth_per_min * growth,
            start=F.pad(c.max_start_dbz_per_min * start, (0, c.channels - start.shape[-1])),
            drift=c.max_drift_ms * drift @ full,
            stretch=c.max_stretch_per_min * stretch,
            turn=math.radians(c.max_turn_deg_per_min) * turn @ spin,
            spread=spread,
        )


def _outputs(config: ModelConfig) -> tuple[int, ...]:
    """Columns of the head: growth, drift, stretch, turn, and start where a Gaussian may."""
    return config.channels, 3, 2, 3, min(config.candidates, 1)


def token_orders(snapshot: Snapshot, order: str, pairs: int) -> list[Tensor]:
    """For each layer pair the order ``[N]`` of the Gaussians, from their own corner: it moves along with the storm."""
    means = (snapshot.means_km - snapshot.means_km.amin(dim=0)) * 1e3
    if order == "shuffled":
        turned = means[:, [1, 0, 2]]
        ways = ((morton_order, means), (hilbert_order, means), (morton_order, turned), (hilbert_order, turned))
        drawn = [curve(places) for curve, places in ways[:pairs]]
        return [drawn[layer % len(ways)] for layer in range(pairs)]
    return [hilbert_order(means) if order == "hilbert" else morton_order(means)] * pairs
