"""GauMamba: the model that corrects the extrapolation of Gaussians. See :mod:`nowcast.models.gaumamba`."""

from nowcast.models.checkpoint import load_checkpoint, save_checkpoint
from nowcast.models.gaumamba import GauMamba, ModelConfig
from nowcast.models.rollout import roll_out, roll_out_ensemble

__all__ = ["GauMamba", "ModelConfig", "load_checkpoint", "roll_out", "roll_out_ensemble", "save_checkpoint"]
