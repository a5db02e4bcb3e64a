"""STC-GS: volumes as 3D Gaussians that persist from frame to frame, and move on with the flow."""

from nowcast.gaussians.advect import advect
from nowcast.gaussians.config import FitConfig
from nowcast.gaussians.fit import extend_fit, fit_sequence
from nowcast.gaussians.measures import coherence_voxels, compressed_bytes, equal_error_bytes
from nowcast.gaussians.order import hilbert_order, morton_order
from nowcast.gaussians.quality import reconstruction_scores, render
from nowcast.gaussians.sequences import with_idle
from nowcast.gaussians.warm import continue_fit, why_not_continue

__all__ = [
    "FitConfig",
    "advect",
    "coherence_voxels",
    "compressed_bytes",
    "continue_fit",
    "equal_error_bytes",
    "extend_fit",
    "fit_sequence",
    "hilbert_order",
    "morton_order",
    "reconstruction_scores",
    "render",
    "why_not_continue",
    "with_idle",
]
